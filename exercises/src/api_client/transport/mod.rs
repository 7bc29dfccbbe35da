//! What carries requests, and what can go wrong on the way.

use std::error::Error as StdError;
use std::future::Future;
use std::io;

use bytes::Bytes;
use http::Response;

mod error;
mod range;
mod redirect;
mod web;

pub use self::error::{Error, ErrorKind};
pub(super) use self::range::{Piece, Version};
pub(super) use self::redirect::{destination, follow, is_redirect};
pub use self::web::{Received, Web};
use super::input::Request;
use crate::policy::{Answer, Failing};

/// What carries requests: [`Web`] in the program, a simulated network in tests.
pub trait Transport: Send + Sync + 'static {
    /// A response's body as it comes in.
    type Body: Body + Send + 'static;

    /// Sends a request and waits for the head of its response. Redirects are not followed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the exchange; the host may have acted on it.
    fn send(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;

    /// Closes what is open and not in use, because this machine has no more files or ports.
    fn close_idle(&self) {}
}

/// The body of a response.
pub trait Body {
    /// The next piece; `None` after the last one.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

/// What went wrong with one attempt.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The error of the outcome if there is no other attempt.
    pub error: Error,
    /// What the policy makes of it.
    pub answer: Answer,
}

impl Failure {
    /// A failure in this way.
    pub fn new(kind: ErrorKind, detail: impl Into<String>, answer: Answer) -> Self {
        Self { error: kind.because(detail), answer }
    }

    /// A failure that every other attempt would meet too, and that says nothing about the host.
    pub fn permanent(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(kind, detail, Answer::NotAsked)
    }

    /// The answer broke off or did not come: the host may have acted on the request.
    pub fn broken(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(kind, detail, Answer::Failed(Failing::Broken))
    }

    /// There is no connection to the host.
    pub fn unreachable(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(kind, detail, Answer::Failed(Failing::Unreachable))
    }

    /// This machine has no more files or ports.
    pub fn starved(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::new(kind, detail, Answer::Starved)
    }
}

/// An error and its causes, including the error inside an `io::Error`, which `source` skips.
pub(in crate::api_client) fn causes<'a>(
    err: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(err), |cause| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map_or_else(|| cause.source(), |wrapped| Some(wrapped))
    })
}

/// No more file descriptors, in the process (24) or in the system (23), or no more local ports.
pub(in crate::api_client) fn is_starved(err: &(dyn StdError + 'static)) -> bool {
    causes(err).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|err| {
        matches!(err.raw_os_error(), Some(23 | 24)) || err.kind() == io::ErrorKind::AddrNotAvailable
    })
}
