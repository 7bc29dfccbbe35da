use http::StatusCode;

use super::Hints;

/// What came of one attempt, as far as the policy is concerned.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The host has dealt with the request: done, or refused for good.
    Accepted(Hints),
    /// The host has not dealt with it, because requests come too fast.
    Rejected(Hints),
    /// It went wrong in a way that another try may cure.
    Failed(Trouble, Hints),
    /// This machine lacks the means, such as open files; the host has no part in it.
    Starved,
}

/// What is known about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The request never left: any method may be tried again.
    Unsent,
    /// The host may have acted on it: only a method that is idempotent is tried again.
    Unclear,
    /// A 503 without a word about rates: overloaded, out of order, or a limiter of few words.
    Unavailable,
}

impl Answer {
    /// Reads a response: 429 is a rejection, and so is a 503 that talks about rates; other 5xx, 408
    /// and 425 are failures; anything else is final.
    pub fn of(status: StatusCode, hints: Hints) -> Self {
        match status.as_u16() {
            429 => Self::Rejected(hints),
            503 if hints.talk_of_rates() => Self::Rejected(hints),
            503 => Self::Failed(Trouble::Unavailable, hints),
            408 | 425 | 500 | 502 | 504 => Self::Failed(Trouble::Unclear, hints),
            _ => Self::Accepted(hints),
        }
    }
}
