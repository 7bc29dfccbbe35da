use std::fmt;
use std::time::Duration;

use common::Work;
use url::{Position, Url};

use super::attempt::Attempt;
use super::input::Request;
use super::output::Outcome;
use super::policy::{Job, Reason};
use super::transport::{Call, Error, ErrorKind};

/// A request between its coming in and its outcome.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) request: Request,
    /// Its place in the input, from 1.
    pub(super) number: u64,
    pub(super) redirects: u32,
    /// How long all attempts took.
    pub(super) took: Duration,
    call: Option<Call>,
}

impl Flight {
    pub(super) fn new(request: Request, number: u64) -> Self {
        Self { request, number, redirects: 0, took: Duration::ZERO, call: None }
    }

    pub(super) fn to(self, url: Url) -> Self {
        let Request { method, headers, body, .. } = &self.request;
        let call =
            Call { method: method.clone(), url, headers: headers.clone(), body: body.clone() };
        Self { call: Some(call), ..self }
    }

    pub(super) fn call(&self) -> &Call {
        self.call.as_ref().expect("only a request with a URL is scheduled")
    }

    pub(super) fn call_mut(&mut self) -> &mut Call {
        self.call.as_mut().expect("only a request with a URL is scheduled")
    }

    /// An attempt in the picture of the run, which says where it goes and how often it went before.
    pub(super) fn bar(&self, attempts: u32) -> Work {
        let Call { method, url, .. } = self.call();
        common::bar(
            "slot #",
            fmt::from_fn(|f| {
                write!(f, "{method} {}", &url[Position::BeforePath..])?;
                if attempts > 1 { write!(f, ", try {attempts}") } else { Ok(()) }
            }),
        )
    }

    pub(super) fn never_sent(self, error: Error) -> Outcome {
        Outcome {
            id: self.request.id_or(self.number),
            key: self.request.key(),
            url: self.request.shown().into_owned(),
            status: None,
            attempts: 0,
            rejected: 0,
            waited_ms: 0,
            took_ms: millis(self.took),
            bytes: 0,
            file: None,
            error: Some(error),
            latency: Duration::ZERO,
            known: false,
        }
    }

    pub(super) fn canceled(job: Job<Box<Self>>, error: Error) -> Outcome {
        let (attempts, rejected, waited_ms) = (job.attempts, job.rejected, millis(job.waited));
        Outcome { attempts, rejected, waited_ms, ..job.item.never_sent(error) }
    }

    pub(super) fn failed(job: Job<Box<Self>>, attempt: &Attempt, error: Error) -> Outcome {
        Outcome {
            status: attempt.status.map(|status| status.as_u16()),
            bytes: attempt.bytes,
            latency: attempt.took,
            ..Self::canceled(job, error)
        }
    }

    /// The last answer decides.
    pub(super) fn answered(job: Job<Box<Self>>, mut attempt: Attempt) -> Outcome {
        let file = attempt.result.as_mut().ok().and_then(Option::take);
        let error = error_of(&attempt);
        let outcome = Self::failed(job, &attempt, ErrorKind::Status.because(""));
        Outcome { file, error, ..outcome }
    }

    /// It might have been tried again: says why it was not.
    pub(super) fn given_up(job: Job<Box<Self>>, attempt: Attempt, reason: Reason) -> Outcome {
        let mut outcome = Self::answered(job, attempt);
        if let Some(error) = &mut outcome.error {
            let why = match reason {
                Reason::Retries => "after all retries",
                Reason::Unsafe => "not tried again: it is not idempotent",
                Reason::Budget => "not tried again: the retry budget is used up",
                Reason::Patience => "the host has rejected everything for too long",
            };
            error.detail = format!("{} ({why})", error.detail);
            if reason == Reason::Budget {
                error.kind = ErrorKind::Budget;
            }
        }
        outcome
    }
}

fn error_of(attempt: &Attempt) -> Option<Error> {
    match (&attempt.result, attempt.status) {
        (Err(failure), _) => Some(failure.error.clone()),
        (Ok(_), Some(status)) if !status.is_success() => {
            Some(ErrorKind::Status.because(status.to_string()))
        }
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
