use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use common::{Cause, Context, Ending};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::output::{Download, Store};
use super::policy::{Answer, Hints};
use super::transport::{Body, Call, ErrorKind, Failure, Remedy, Transport};

/// The body of a response that is no success is read up to here, so that its connection can be
/// used again.
const LEFTOVER: u64 = 64 * 1024;

/// What one attempt may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Between two pieces of a response, and until its head.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
    /// The longest body, in bytes.
    pub max_body: u64,
    /// How many redirects are followed.
    pub max_redirects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(5),
            max_body: u64::MAX,
            max_redirects: 10,
        }
    }
}

/// What came of an attempt.
pub(super) struct Attempt {
    pub(super) status: Option<StatusCode>,
    pub(super) location: Option<String>,
    pub(super) hints: Hints,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) result: Result<Option<PathBuf>, Failure>,
    /// The run ended, and this attempt with it.
    pub(super) ended: Option<Cause>,
}

impl Attempt {
    /// How the policy sees it.
    pub(super) fn answer(&self) -> Answer {
        match (&self.result, self.status) {
            (Err(failure), _) => match failure.remedy {
                Remedy::None => Answer::Accepted(self.hints),
                Remedy::Retry(trouble) => Answer::Failed(trouble, self.hints),
                Remedy::Fewer => Answer::Starved,
            },
            (Ok(_), Some(status)) => Answer::of(status, self.hints),
            (Ok(_), None) => Answer::Accepted(self.hints),
        }
    }

    /// How the picture of the run shows it: what is not accepted is as good as failed.
    pub(super) fn ending(&self) -> Ending {
        match self.answer() {
            _ if self.ended.is_some() => Ending::Canceled,
            Answer::Accepted(_) if self.result.is_ok() => Ending::Done,
            _ => Ending::Failed,
        }
    }
}

/// Makes one attempt within its limits.
pub(super) async fn attempt<T: Transport>(
    run: &Context,
    transport: &T,
    limits: &Limits,
    store: Option<&Store>,
    call: &Call,
    number: u64,
) -> Attempt {
    let started = Instant::now();
    let mut attempt = Attempt {
        status: None,
        location: None,
        hints: Hints::default(),
        bytes: 0,
        took: Duration::ZERO,
        result: Ok(None),
        ended: None,
    };
    let result = {
        let clock = Clock { limits, end: after(started, limits.total) };
        let exchange = exchange(transport, &clock, store, call, number, &mut attempt);
        // Pinned here, it is not moved from one future into the next.
        run.run(pin!(exchange)).await
    };
    attempt.took = started.elapsed();
    attempt.result = match result {
        Ok(result) => result,
        Err(cause) => {
            attempt.ended = Some(cause);
            Err(Failure::permanent(ErrorKind::Canceled, cause.to_string()))
        }
    };
    if attempt.answer() == Answer::Starved {
        transport.close_idle();
    }
    attempt
}

async fn exchange<T: Transport>(
    transport: &T,
    clock: &Clock<'_>,
    store: Option<&Store>,
    call: &Call,
    number: u64,
    attempt: &mut Attempt,
) -> Result<Option<PathBuf>, Failure> {
    let limits = clock.limits;
    let response = clock.not_idle(transport.send(call)).await?;
    let status = response.status();
    attempt.status = Some(status);
    attempt.hints = Hints::read(response.headers(), SystemTime::now());
    attempt.location = text(response.headers(), &header::LOCATION).map(str::to_owned);
    if !status.is_success() {
        discard(clock, response, attempt).await;
        return Ok(None);
    }
    let announced = text(response.headers(), &header::CONTENT_LENGTH);
    let announced = announced.filter(|_| call.method != Method::HEAD); // what a GET would get
    if announced.and_then(|length| length.parse().ok()).unwrap_or(0) > limits.max_body {
        return Err(too_long(limits));
    }
    let mut download = match store {
        Some(store) => Some(clock.in_time(store.begin()).await?),
        None => None,
    };
    receive(clock, response, attempt, &mut download).await?;
    match download {
        Some(download) => clock.in_time(download.finish(&call.url, number)).await.map(Some),
        None => Ok(None),
    }
}

async fn receive<B: Body>(
    clock: &Clock<'_>,
    response: Response<B>,
    attempt: &mut Attempt,
    download: &mut Option<Download>,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    while let Some(chunk) = clock.not_idle(body.chunk()).await? {
        attempt.bytes += chunk.len() as u64;
        clock.look()?;
        if attempt.bytes > clock.limits.max_body {
            return Err(too_long(clock.limits));
        }
        if let Some(download) = download {
            clock.in_time(download.write(&chunk)).await?;
        }
    }
    Ok(())
}

/// Reads what little there is; how that ends does not matter, the status has said it all.
async fn discard<B: Body>(clock: &Clock<'_>, response: Response<B>, attempt: &mut Attempt) {
    let mut body = response.into_body();
    while attempt.bytes < LEFTOVER
        && clock.look().is_ok()
        && let Ok(Some(chunk)) = clock.not_idle(body.chunk()).await
    {
        attempt.bytes += chunk.len() as u64;
    }
}

/// The limits of one attempt on its clock. Each step has the timer of whichever limit comes first:
/// one around all of them would be a second timer for every request.
struct Clock<'a> {
    limits: &'a Limits,
    end: Instant,
}

impl Clock<'_> {
    /// A step in which something has to come in.
    fn not_idle<V>(
        &self,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> impl Future<Output = Result<V, Failure>> {
        self.until(self.end.min(after(Instant::now(), self.limits.idle)), step)
    }

    /// A step of this machine's own.
    fn in_time<V>(
        &self,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> impl Future<Output = Result<V, Failure>> {
        self.until(self.end, step)
    }

    /// To be called between steps that may be ready at once: these look at no timer.
    fn look(&self) -> Result<(), Failure> {
        if Instant::now() < self.end { Ok(()) } else { Err(self.over()) }
    }

    fn over(&self) -> Failure {
        let total = self.limits.total;
        Failure::passing(ErrorKind::Timeout, format!("not complete within {total:?}"))
    }

    /// Not an `async fn`: that would hold the step twice, before and after it is wrapped.
    fn until<V>(
        &self,
        end: Instant,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> impl Future<Output = Result<V, Failure>> {
        timeout_at(end, step).map(move |in_time| {
            in_time.unwrap_or_else(|_| {
                if end == self.end {
                    return Err(self.over());
                }
                let detail = format!("nothing came in for {:?}", self.limits.idle);
                Err(Failure::passing(ErrorKind::Timeout, detail))
            })
        })
    }
}

/// A limit that is beyond the end of time is a long one.
fn after(start: Instant, limit: Duration) -> Instant {
    let long = Duration::from_hours(24 * 365);
    start.checked_add(limit).unwrap_or_else(|| start + long)
}

fn too_long(limits: &Limits) -> Failure {
    let most = limits.max_body;
    Failure::permanent(ErrorKind::Body, format!("longer than the {most} bytes of --max-body"))
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
