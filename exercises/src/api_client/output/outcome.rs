use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use crate::api_client::input::Id;
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
    pub latency: std::time::Duration,
    /// Whether an earlier run fetched it.
    #[serde(skip)]
    pub known: bool,
}

#[expect(clippy::ref_option, reason = "serde asks for a reference to the field")]
fn lossily<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}
