use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::request::Id;

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

/// Why a request was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Error {
    /// What to tell apart in a program.
    pub kind: ErrorKind,
    /// What to tell a person.
    pub detail: String,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// A limit of time was reached: of a connection, of an attempt, of the run.
    Timeout,
    /// There was no connection, or it broke before the response.
    Connect,
    /// The host has no address.
    Dns,
    /// The host is not who it says it is, or does not speak TLS.
    Tls,
    /// The body broke off, is too long, or could not be stored.
    Body,
    /// Too many redirects, a loop, or nowhere to go.
    Redirect,
    /// The host answered, but not with success.
    Status,
    /// It could be tried again, but the retry budget is used up.
    Budget,
    /// The run was ended before.
    Canceled,
    /// There was nothing to send.
    Invalid,
}

impl ErrorKind {
    /// The error of this kind.
    pub fn because(self, detail: impl Into<String>) -> Error {
        Error { kind: self, detail: detail.into() }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Body => "body",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Budget => "budget",
            Self::Canceled => "canceled",
            Self::Invalid => "invalid",
        })
    }
}
