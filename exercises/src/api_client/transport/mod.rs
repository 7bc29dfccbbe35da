//! What carries requests, and what can go wrong on the way.

use std::error::Error as StdError;
use std::future::Future;
use std::io;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, header};
use url::Url;

mod error;
mod redirect;
mod web;

pub use self::error::{Error, ErrorKind};
pub(super) use self::redirect::{follow, is_redirect};
pub use self::web::{Received, Web};
use super::policy::Trouble;

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
        call: &Call,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;

    /// Closes what is open and not in use, because this machine has no more files or ports.
    fn close_idle(&self) {}
}

/// The body of a response.
pub trait Body {
    /// The next piece; `None` after the last one.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

/// What goes over the wire: a request, or where it was redirected to.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in the request, until a redirect changes it.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// As in the request.
    pub headers: HeaderMap,
    /// As in the request.
    pub body: Bytes,
}

impl Call {
    /// Whether it has no body where the method leads to expect one: some hosts wait for it unless
    /// they are told.
    pub(super) fn says_no_body(&self) -> bool {
        let expected = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        expected && self.body.is_empty() && !self.headers.contains_key(header::TRANSFER_ENCODING)
    }
}

/// What went wrong with one attempt, and whether another one may help.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The outcome if there is no other attempt.
    pub error: Error,
    /// What to make of it.
    pub remedy: Remedy,
}

/// What may help against a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing.
    None,
    /// Another attempt.
    Retry(Trouble),
    /// Fewer at once: this machine has no more files or ports.
    Fewer,
}

impl Failure {
    /// A failure that another attempt would meet again.
    pub fn permanent(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { error: kind.because(detail), remedy: Remedy::None }
    }

    /// A failure of a request that the host may have seen.
    pub fn passing(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { error: kind.because(detail), remedy: Remedy::Retry(Trouble::Unclear) }
    }

    /// A failure of a request that has never left.
    pub fn unsent(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { error: kind.because(detail), remedy: Remedy::Retry(Trouble::Unsent) }
    }

    /// A lack on this side.
    pub fn starved(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { error: kind.because(detail), remedy: Remedy::Fewer }
    }
}

/// An error and its causes. An `io::Error` passes over the error that it wraps; here it counts.
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
