use http::StatusCode;

use super::Announced;

/// What one attempt says about its request and its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The host has dealt with the request: done, or refused for good.
    Accepted,
    /// The host has not dealt with it, because requests come too fast.
    Rejected,
    /// It went wrong in a way that another try may cure.
    Failed(Failing),
    /// It came in on the wrong connection (421): once more, on a new one.
    Misdirected,
    /// This machine lacks the means, such as open files; the host has no part in it.
    Starved,
    /// It failed for good before any host was asked: no such name, a bad certificate, a full disk.
    NotAsked,
}

/// How a request failed: what another try may do, and what it says about the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// There was no connection: nothing was sent, and the host is ill.
    Unreachable,
    /// The host has taken the connection, but certainly did not process the request.
    Unprocessed,
    /// 500: often the fault of one URL.
    Internal,
    /// 502, 504, 520 to 527, or an answer that broke off: the host may be ill.
    Broken,
    /// A 503 that does not mention rates. It is either a fault, as [`Failing::Broken`], or comes from
    /// a rate limiter that announces nothing.
    Unavailable,
    /// An answer that is not HTTP: as [`Failing::Broken`], but tried only twice.
    Malformed,
    /// The connection ended before the answer began: as [`Failing::Broken`], but the first time
    /// costs no try, because the connection may have been idle for too long.
    HungUp,
    /// A body broke off after bringing enough new bytes, and can be continued: costs no try.
    Interrupted,
    /// 408, 413 and 425: these concern this request only.
    Passing,
}

impl Answer {
    /// Reads a response.
    ///
    /// | status | is |
    /// |---|---|
    /// | 429, 430 (Shopify), 420 (once Twitter's), 529 (Anthropic: overloaded) | a rejection |
    /// | 403 and 503 with `Retry-After`, or with nothing remaining | a rejection |
    /// | 500, 502, 504, 520 to 527 (Cloudflare), other 503s, 408, 425 | a passing failure |
    /// | 413 with `Retry-After` | a passing failure |
    /// | 421 | misdirected |
    /// | the rest | accepted: a success, or final |
    pub fn of(status: StatusCode, announced: &Announced) -> Self {
        let limited = announced.retry_after.is_some() || announced.nothing_remains();
        match status.as_u16() {
            420 | 429 | 430 | 529 => Self::Rejected,
            403 | 503 if limited => Self::Rejected,
            503 => Self::Failed(Failing::Unavailable),
            500 => Self::Failed(Failing::Internal),
            502 | 504 | 520..=527 => Self::Failed(Failing::Broken),
            408 | 425 => Self::Failed(Failing::Passing),
            413 if announced.retry_after.is_some() => Self::Failed(Failing::Passing),
            421 => Self::Misdirected,
            _ => Self::Accepted,
        }
    }
}

impl Failing {
    /// Whether the host cannot have acted on the request: any method may be sent again.
    pub fn is_unprocessed(self) -> bool {
        matches!(self, Self::Unreachable | Self::Unprocessed)
    }

    /// Whether a row of these makes the host count as ill.
    pub(super) fn is_of_the_host(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::Broken | Self::Unavailable | Self::Malformed | Self::HungUp
        )
    }
}

/// Whether a response is what was asked for: 2xx, or 304 where the request had a condition.
pub fn is_success(status: StatusCode, conditional: bool) -> bool {
    status.is_success() || (conditional && status == StatusCode::NOT_MODIFIED)
}
