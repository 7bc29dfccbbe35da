use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Error {
    /// The kind, for programs.
    pub kind: ErrorKind,
    /// The detail, for people.
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
    /// The host's certificate is not trusted, or it does not speak TLS.
    Tls,
    /// The body broke off, is too long, or could not be stored.
    Body,
    /// Too many redirects, a loop, or nowhere to go.
    Redirect,
    /// The host answered, but not with success.
    Status,
    /// The answer is not HTTP.
    Malformed,
    /// The host asked for a longer wait than `--max-retry-after`.
    Later,
    /// The run ended before it was fetched.
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
            Self::Malformed => "malformed",
            Self::Later => "later",
            Self::Canceled => "canceled",
            Self::Invalid => "invalid",
        })
    }
}
