use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::api_client::input::{Id, Request};
use crate::api_client::transport::Error;

/// What has become of a request. Every request has exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The request's own id, or its place in the input, from 1.
    pub id: Id,
    /// The URL as it was given.
    pub url: String,
    /// Of the last response, if there was one.
    pub status: Option<u16>,
    /// How often it was sent to a host; 0 if it never was.
    pub attempts: u32,
    /// How many of these came too fast for the host.
    pub rejected: u32,
    /// How long it waited for its turn.
    pub waited_ms: u64,
    /// How long it was on the wire, all attempts together. With `waited_ms` this is all the time
    /// from when it was read.
    pub took_ms: u64,
    /// The length of the body.
    pub bytes: u64,
    /// Where the body is; written down lossily if that is not UTF-8.
    #[serde(serialize_with = "lossily")]
    pub file: Option<PathBuf>,
    /// `None` if it was fetched.
    pub error: Option<Error>,
    /// The request's fingerprint.
    #[serde(skip)]
    pub key: u128,
    /// How long the last attempt was on the wire.
    #[serde(skip)]
    pub latency: Duration,
    /// How long all of them were: `took_ms` without rounding.
    #[serde(skip)]
    pub took: Duration,
    /// Where the last response sends the request.
    #[serde(skip)]
    pub location: Option<String>,
    /// Whether an earlier run fetched it.
    #[serde(skip)]
    pub known: bool,
}

impl Outcome {
    /// Nothing yet of a request, which is the given one of its input, from 1.
    pub(in crate::api_client) fn of(request: &Request, number: u64) -> Self {
        Self {
            id: request.id_or(number),
            url: request.shown().into_owned(),
            status: None,
            attempts: 0,
            rejected: 0,
            waited_ms: 0,
            took_ms: 0,
            bytes: 0,
            file: None,
            error: None,
            key: request.key(),
            latency: Duration::ZERO,
            took: Duration::ZERO,
            location: None,
            known: false,
        }
    }

    /// The next attempt decides, and not the one before.
    pub(in crate::api_client) fn begin_attempt(&mut self) {
        (self.status, self.bytes, self.error, self.location) = (None, 0, None, None);
    }

    pub(in crate::api_client) fn end_attempt(&mut self, took: Duration) {
        self.latency = took;
        self.took += took;
        self.took_ms = millis(self.took);
    }
}

/// Whole milliseconds.
pub(in crate::api_client) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::ref_option, reason = "serde asks for a reference to the field")]
fn lossily<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}
