use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use common::{Cause, Context};
use futures_util::FutureExt;
use http::header::{IF_RANGE, RANGE};
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::config::{KeepHeaders, Limits, Shared};
use super::input::Request;
use super::output::{JournalError, Lines, Outcome, Part, Store};
use super::transport::{
    Body, Error, ErrorKind, Failure, Piece, Transport, Version, destination, is_redirect,
};
use crate::policy::{Announced, Answer, Failing, is_success};

/// Most bytes read of an unsuccessful response's body, so that its connection can be used again.
const LEFTOVER: u64 = 64 * 1024;
/// An attempt that brings at least this many bytes of a body costs no try if the rest can be
/// continued.
const PROGRESS: u64 = 64 * 1024;

/// A request on its way to its outcome: what a [`Job`](crate::policy::Job) carries.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: Request,
    /// Its outcome so far.
    pub(super) outcome: Outcome,
    pub(super) redirects: u32,
    /// The part of its body that is stored, if it can be continued.
    part: Option<Part>,
    /// The most bytes of its body that were ever stored: a host that starts over each time brings
    /// nothing new.
    furthest: u64,
    /// A complete body, and the ending that its file name will get.
    whole: Option<(Part, &'static str)>,
    /// Whether a part left by an earlier run was looked for.
    looked: bool,
    /// Whether the client, not the user, asks for a range.
    ranged: bool,
    /// What came of recording its outcome in the journal, once it has its file.
    pub(super) recorded: Option<Result<(), JournalError>>,
    /// Whether the host has answered with a piece that is not the last one: the next is asked for.
    pub(super) unfinished: bool,
}

impl Pending {
    pub(super) fn new(request: Request, outcome: Outcome) -> Self {
        let (part, whole, looked, ranged, unfinished) = (None, None, false, false, false);
        Self {
            request,
            outcome,
            redirects: 0,
            part,
            furthest: 0,
            whole,
            looked,
            ranged,
            recorded: None,
            unfinished,
        }
    }

    /// Makes one attempt within its limits, records the result in the outcome, and returns the
    /// answer for the policy.
    pub(super) async fn attempt<T: Transport>(
        &mut self,
        run: &Context,
        shared: &Shared<T>,
        journal: Option<Arc<Lines>>,
    ) -> (Answer, Announced) {
        let started = Instant::now();
        let mut announced = Announced::default();
        self.outcome.begin_attempt();
        let (limits, received) = (&shared.config.limits, &shared.received);
        let result = {
            let end = limits.max_time.map(|time| after(started, time));
            let clock = Clock { limits, end, received };
            let exchange = self.exchange(shared, &clock, &mut announced);
            // Pinned here, it is not moved from one future into the next.
            run.run(pin!(exchange)).await
        };
        self.outcome.end_attempt(started.elapsed());
        let result = match result {
            Ok(Ok(answer)) => {
                Ok(self.name_body(shared.store.as_ref(), journal).await.map(|()| answer))
            }
            cut_short => cut_short,
        };
        let answer = match result {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => {
                self.outcome.error = Some(failure.error);
                failure.answer
            }
            Err(cause) => {
                self.outcome.error = Some(cut_off(cause));
                self.outcome.location = None;
                Answer::NotAsked
            }
        };
        if answer == Answer::Starved {
            shared.transport.close_idle();
        }
        (answer, announced)
    }

    async fn exchange<T: Transport>(
        &mut self,
        shared: &Shared<T>,
        clock: &Clock<'_>,
        announced: &mut Announced,
    ) -> Result<Answer, Failure> {
        let (config, store) = (&shared.config, shared.store.as_ref());
        if let Some(file) = self.outcome.file.take() {
            let _ = tokio::fs::remove_file(file).await; // kept by the failed attempt before
        }
        if let Some(store) = store
            && !std::mem::replace(&mut self.looked, true)
            && !self.request.headers.contains_key(RANGE)
        {
            self.part = store.left(self.outcome.key).await;
        }
        self.ask_for_the_rest();
        let response = clock.not_stalled(shared.transport.send(&self.request)).await?;
        let (status, headers) = (response.status(), response.headers());
        let (named, all) = match &config.keep_headers {
            KeepHeaders::Named(names) => (&names[..], false),
            KeepHeaders::All => (&[][..], true),
        };
        self.outcome.answered(self.request.url(), &response, named, all);
        *announced = Announced::read(headers, SystemTime::now());
        let follows = config.limits.max_redirects.is_some();
        if is_redirect(status) && follows {
            self.outcome.location = destination(headers);
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE && self.ranged {
            return Err(self.begin_again("the file has changed: it begins again"));
        }
        let asked_for = is_redirect(status) && self.outcome.location.is_none();
        if !asked_for && !is_success(status, self.request.is_conditional()) {
            match store.filter(|_| config.keep_failed && self.outcome.location.is_none()) {
                Some(store) => self.keep_failed(clock, store, response).await?,
                None => discard(clock, response, &mut self.outcome).await,
            }
            if self.outcome.location.is_none() {
                self.outcome.error = Some(ErrorKind::Status.because(status.to_string()));
            }
            return Ok(Answer::of(status, announced));
        }
        self.fetch(clock, store, response).await?;
        Ok(Answer::Accepted)
    }

    /// Asks for the missing rest of a body, if the file is still the same.
    fn ask_for_the_rest(&mut self) {
        let had = self.part.as_ref().and_then(|part| Some((part.length, part.version.as_ref()?)));
        let had = had.filter(|(length, _)| *length > 0 && self.request.method == Method::GET);
        let headers = &mut self.request.headers;
        if let Some((length, version)) = had {
            let range = HeaderValue::try_from(format!("bytes={length}-"));
            headers.insert(RANGE, range.expect("digits are a header value"));
            headers.insert(IF_RANGE, version.validator.clone());
            self.ranged = true;
        } else if std::mem::take(&mut self.ranged) {
            headers.remove(IF_RANGE);
            headers.remove(RANGE);
        }
    }

    async fn fetch<B: Body>(
        &mut self,
        clock: &Clock<'_>,
        store: Option<&Store>,
        response: Response<B>,
    ) -> Result<(), Failure> {
        let piece = self.piece(&response);
        let had = self.part.as_ref().map_or(0, |part| part.length);
        self.furthest = self.furthest.max(had);
        if piece == Piece::Other {
            return Err(self.begin_again("the host sent other bytes than those asked for"));
        }
        let max_body = clock.limits.max_body;
        if piece.total().is_some_and(|total| total > max_body) {
            self.discard_part();
            return Err(too_long(max_body));
        }
        if !(self.ranged && matches!(piece, Piece::Next { .. })) {
            self.discard_part();
        }
        if let (Some(store), None) = (store, &self.part) {
            let version = Version::of(response.headers(), piece.total());
            let version = version.filter(|_| self.request.method == Method::GET && !self.users());
            self.part = Some(store.begin(self.outcome.key, piece.total(), version));
        }
        self.outcome.bytes = self.part.as_ref().map_or(0, |part| part.length);
        let received =
            receive(clock, response, &mut self.outcome, store.zip(self.part.as_mut())).await;
        let bytes = self.outcome.bytes;
        if let Piece::Next { end, .. } = piece
            && (bytes > end || (bytes < end && received.is_ok()))
        {
            self.discard_part();
            let detail = "the body has another length than its Content-Range";
            return Err(Failure::broken(ErrorKind::Body, detail));
        }
        if let Err(failure) = received {
            return Err(self.broken_off(failure, store, PROGRESS).await);
        }
        if let Piece::Next { end, total } = piece
            && end < total
        {
            return self.go_on(store, end, total).await;
        }
        self.whole = self.part.take().map(|part| (part, ""));
        Ok(())
    }

    /// What a successful answer brings of the body.
    fn piece<B>(&self, response: &Response<B>) -> Piece {
        let had = self.part.as_ref().filter(|_| self.ranged);
        let had = had.and_then(|part| Some((part.length, part.version.as_ref()?)));
        match Piece::of(response, had) {
            _ if self.request.method == Method::HEAD => Piece::Whole(None), // its length is a GET's
            Piece::Next { .. } | Piece::Other if self.users() => Piece::Whole(None),
            piece => piece,
        }
    }

    /// Whether the user asks for a range: whatever comes is the answer, and is never continued.
    fn users(&self) -> bool {
        !self.ranged && self.request.headers.contains_key(RANGE)
    }

    /// The answer does not continue what was stored, so that this is of no use. That costs no try:
    /// the next request is for the whole body.
    fn begin_again(&mut self, detail: &str) -> Failure {
        let failing = if self.ranged { Failing::Unprocessed } else { Failing::Broken };
        self.discard_part();
        Failure::new(ErrorKind::Body, detail, Answer::Failed(failing))
    }

    /// The host has sent a piece that is not the last one. With something new in it, the answer is
    /// as good as any, and the next piece is another request.
    async fn go_on(&mut self, store: Option<&Store>, end: u64, total: u64) -> Result<(), Failure> {
        let detail = format!("the host sent {end} bytes of {total}");
        let failure = Failure::broken(ErrorKind::Body, detail);
        let failure = self.broken_off(failure, store, 1).await;
        self.unfinished = failure.answer == Answer::Failed(Failing::Interrupted);
        if self.unfinished { Ok(()) } else { Err(failure) }
    }

    /// Names the file of a whole body. The end of the run does not interrupt this: each complete
    /// file gets into its outcome and into the journal.
    async fn name_body(
        &mut self,
        store: Option<&Store>,
        journal: Option<Arc<Lines>>,
    ) -> Result<(), Failure> {
        if let Some((store, (part, ending))) = store.zip(self.whole.take()) {
            let journal = journal.map(|journal| (journal, self.outcome.clone()));
            let record = |file: &Path| {
                let (journal, outcome) = journal?;
                Some(journal.record(&Outcome { file: Some(file.to_owned()), ..outcome }))
            };
            let named = store.finish(part, self.request.asked_for(), ending, record);
            let (file, recorded) = named.await?;
            (self.outcome.file, self.recorded) = (Some(file), recorded);
        }
        Ok(())
    }

    /// Stores the body of a failed request. If it breaks off it is not kept: the status is enough.
    async fn keep_failed<B: Body>(
        &mut self,
        clock: &Clock<'_>,
        store: &Store,
        response: Response<B>,
    ) -> Result<(), Failure> {
        let mut part = store.begin(self.outcome.key, None, None);
        if receive(clock, response, &mut self.outcome, Some((store, &mut part))).await.is_ok() {
            self.whole = Some((part, ".error"));
        }
        Ok(())
    }

    fn discard_part(&mut self) {
        if let Some(part) = self.part.take() {
            part.discard();
        }
    }

    /// A body broke off. Its part is kept if it can be continued; if at least `enough` bytes of it
    /// are new, the attempt costs no try.
    async fn broken_off(
        &mut self,
        failure: Failure,
        store: Option<&Store>,
        enough: u64,
    ) -> Failure {
        let Failure { error, answer } = failure;
        let failed = matches!(answer, Answer::Failed(_));
        let part = self.part.as_mut().filter(|part| failed && part.version.is_some());
        let Some((store, part)) = store.zip(part) else {
            self.discard_part();
            return Failure { error, answer };
        };
        if part.flush(store).await.is_err() {
            self.part = None;
            return Failure { error, answer };
        }
        let more = part.length >= self.furthest + enough;
        self.furthest = self.furthest.max(part.length);
        let answer = if more { Answer::Failed(Failing::Interrupted) } else { answer };
        Failure { error, answer }
    }
}

/// The error of a request that the end of the run has cut off.
pub(super) fn cut_off(cause: Cause) -> Error {
    match cause {
        Cause::Canceled => ErrorKind::Canceled.because("the run was canceled"),
        Cause::DeadlineExceeded => ErrorKind::Timeout.because("the deadline of the run has passed"),
    }
}

async fn receive<B: Body>(
    clock: &Clock<'_>,
    response: Response<B>,
    outcome: &mut Outcome,
    mut to: Option<(&Store, &mut Part)>,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    while let Some(chunk) = clock.not_stalled(body.chunk()).await? {
        outcome.bytes += chunk.len() as u64;
        clock.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        clock.look()?;
        if outcome.bytes > clock.limits.max_body {
            return Err(too_long(clock.limits.max_body));
        }
        if let Some((store, part)) = &mut to {
            clock.in_time(part.write(store, &chunk)).await?;
        }
    }
    Ok(())
}

/// Reads the short rest of a body. Errors are ignored: the status is enough.
async fn discard<B: Body>(clock: &Clock<'_>, response: Response<B>, outcome: &mut Outcome) {
    let mut body = response.into_body();
    while outcome.bytes < LEFTOVER
        && clock.look().is_ok()
        && let Ok(Some(chunk)) = clock.not_stalled(body.chunk()).await
    {
        outcome.bytes += chunk.len() as u64;
    }
}

/// The time limits of one attempt. Each step has one timer, for the limit that ends first: a timer
/// around all steps would be a second one for every request.
struct Clock<'a> {
    limits: &'a Limits,
    end: Option<Instant>,
    /// Counts the bytes of bodies that come in.
    received: &'a AtomicU64,
}

impl Clock<'_> {
    /// Runs a step that waits for bytes from the network.
    fn not_stalled<V>(
        &self,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> impl Future<Output = Result<V, Failure>> {
        let stalled = after(Instant::now(), self.limits.stall);
        self.until(self.end.map_or(stalled, |end| end.min(stalled)), step)
    }

    /// Runs a step that waits for this machine only.
    async fn in_time<V>(
        &self,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> Result<V, Failure> {
        match self.end {
            Some(end) => self.until(end, step).await,
            None => step.await,
        }
    }

    /// Call it between steps that may be ready at once: those do not check a timer.
    fn look(&self) -> Result<(), Failure> {
        if self.end.is_none_or(|end| Instant::now() < end) { Ok(()) } else { Err(self.over()) }
    }

    /// A failure of the request, not of the host.
    fn over(&self) -> Failure {
        let most = self.limits.max_time.unwrap_or_default();
        let detail = format!("not complete within the {most:?} of --max-time");
        Failure::new(ErrorKind::Timeout, detail, Answer::Failed(Failing::Passing))
    }

    /// Not an `async fn`: its future would hold the step twice, before and after it is wrapped.
    fn until<V>(
        &self,
        end: Instant,
        step: impl Future<Output = Result<V, Failure>>,
    ) -> impl Future<Output = Result<V, Failure>> {
        timeout_at(end, step).map(move |in_time| {
            in_time.unwrap_or_else(|_| {
                if Some(end) == self.end {
                    return Err(self.over());
                }
                let detail =
                    format!("nothing came in for the {:?} of --stall-timeout", self.limits.stall);
                Err(Failure::broken(ErrorKind::Timeout, detail))
            })
        })
    }
}

/// A limit that overflows the clock becomes a very long one.
fn after(start: Instant, limit: Duration) -> Instant {
    let long = Duration::from_hours(24 * 365);
    start.checked_add(limit).unwrap_or_else(|| start + long)
}

fn too_long(most: u64) -> Failure {
    let detail = format!("longer than the {most} bytes of --max-body");
    Failure::new(ErrorKind::Body, detail, Answer::Accepted)
}
