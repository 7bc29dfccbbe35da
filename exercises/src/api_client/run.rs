use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};
use std::time::{Duration, SystemTime};

use common::{Cause, Context, Ending, Work};
use futures_util::Stream;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};
use url::{Position, Url};

use super::attempt::{Pending, cut_off};
use super::config::Shared;
use super::input::{Request, masked};
use super::output::{Journal, JournalError, Outcome, Progress, Store, millis};
use super::transport::{Error, ErrorKind, Transport, follow};
use crate::policy::{
    Announced, Answer, Decision, HostReport, Job as Queued, Reason, Scheduler, Time, Turn,
};

/// Most requests that are taken in and wait for their turn: enough that a slow host does not block
/// the others.
pub const READ_AHEAD: usize = 4096;

/// Attempts that fail in a row for lack of open files, each alone, until that is worth a warning:
/// after the first ones, unused connections are closed.
const STARVED: u32 = 4;

type Requests<'a> = Pin<Box<dyn Stream<Item = Request> + Send + 'a>>;
type End = Pin<Box<dyn Future<Output = Cause> + Send>>;
type Job = Queued<Box<Pending>>;

/// The outcomes of [`Client::fetch_all`](super::Client::fetch_all), as they come.
pub struct Outcomes<'a, T: Transport> {
    shared: Arc<Shared<T>>,
    ctx: Context,
    started: Instant,
    scheduler: Scheduler<Box<Pending>>,
    /// The attempts in flight, never more than the policy's concurrency.
    attempts: JoinSet<(Job, Answer, Announced)>,
    /// The last error of each host that has not accepted anything since.
    faults: HashMap<Arc<str>, Error>,
    /// `None` once it has ended.
    requests: Option<Requests<'a>>,
    taken: u64,
    ready: VecDeque<Outcome>,
    wake: Pin<Box<Sleep>>,
    /// The end of the run, and the request to drain; `None` once it has come.
    end: Option<End>,
    drain: Option<End>,
    /// Why nothing is sent any more.
    over: Option<Cause>,
    journal: Option<Journal>,
    journal_error: Option<JournalError>,
    /// The lines for the attempts since the last call, if they are wanted.
    log: Option<Vec<String>>,
    /// The attempts in a row that had all of this machine and did not begin for lack of means;
    /// `None` once that was said.
    starved: Option<u32>,
    warning: Option<String>,
}

impl<'a, T: Transport> Outcomes<'a, T> {
    pub(super) fn new(shared: Arc<Shared<T>>, ctx: Context, requests: Requests<'a>) -> Self {
        let started = Instant::now();
        Self {
            scheduler: Scheduler::new(shared.config.policy.clone()),
            end: Some(end_of(ctx.clone())),
            drain: None,
            ctx,
            shared,
            started,
            attempts: JoinSet::new(),
            faults: HashMap::new(),
            requests: Some(requests),
            taken: 0,
            ready: VecDeque::new(),
            wake: Box::pin(sleep_until(started)),
            over: None,
            journal: None,
            journal_error: None,
            log: None,
            starved: Some(0),
            warning: None,
        }
    }

    /// Keeps a line for each attempt, to be taken by [`Outcomes::take_log`].
    #[must_use]
    pub fn with_log(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// The attempts that have ended since the last call, a line each.
    pub fn take_log(&mut self) -> Vec<String> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Why nothing gets on at all, returned once: this machine lacks open files or ports. The run
    /// goes on with trying.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let received = self.shared.received.load(Ordering::Relaxed);
        Progress { taken: self.taken, complete: self.requests.is_none(), received }
    }

    /// Lets what is in flight end by itself once `ctx` has ended; nothing more is sent after that.
    #[must_use]
    pub fn drain_when(mut self, ctx: &Context) -> Self {
        self.drain = Some(end_of(ctx.clone()));
        self
    }

    /// Answers from `journal` what an earlier run has fetched, and records there what this run
    /// fetches, before each outcome is given out.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Why the journal is no longer in use, returned once. If it fails, the run goes on, and a
    /// later run may fetch some requests again.
    pub fn take_journal_error(&mut self) -> Option<JournalError> {
        self.journal_error.take()
    }

    /// What is known of each host so far.
    pub fn hosts(&self) -> Vec<HostReport> {
        self.scheduler.report()
    }

    /// The time since the start, as the reports count it.
    pub fn elapsed(&self) -> Time {
        self.started.elapsed()
    }

    /// Whether anything at all has happened.
    fn advance(&mut self, cx: &mut task::Context<'_>) -> bool {
        // Each of them is polled in every round, so that each can wake the task.
        let ended = self.poll_ends(cx);
        let answered = self.poll_attempts(cx);
        // Takes in all that is ready before anything is sent, so that a host that comes later in
        // the input gets its share of the slots.
        let mut taken = false;
        while self.poll_requests(cx) {
            taken = true;
        }
        let sent = self.send(cx);
        ended || answered || taken || sent
    }

    fn poll_ends(&mut self, cx: &mut task::Context<'_>) -> bool {
        let cause = [&mut self.end, &mut self.drain].into_iter().find_map(|end| {
            let Poll::Ready(cause) = end.as_mut()?.as_mut().poll(cx) else { return None };
            *end = None;
            Some(cause)
        });
        if let Some(cause) = cause {
            self.over.get_or_insert(cause);
            self.cancel_waiting();
        }
        cause.is_some()
    }

    fn poll_attempts(&mut self, cx: &mut task::Context<'_>) -> bool {
        let Poll::Ready(Some(joined)) = self.attempts.poll_join_next(cx) else { return false };
        match joined {
            Ok((job, answer, announced)) => self.answered(job, answer, &announced),
            Err(err) => std::panic::resume_unwind(err.into_panic()), // no task is ever aborted
        }
        true
    }

    fn poll_requests(&mut self, cx: &mut task::Context<'_>) -> bool {
        if self.scheduler.waiting() >= READ_AHEAD || self.ready.len() >= READ_AHEAD {
            return false;
        }
        let Some(requests) = &mut self.requests else { return false };
        match requests.as_mut().poll_next(cx) {
            Poll::Ready(Some(request)) => self.take_in(request),
            Poll::Ready(None) => self.requests = None,
            Poll::Pending => return false,
        }
        self.requests.is_some()
    }

    fn take_in(&mut self, request: Request) {
        self.taken += 1;
        if let Some(outcome) = self.recall(&request) {
            self.ready.push_back(outcome);
            return;
        }
        let mut outcome = Outcome::of(&request, self.taken);
        outcome.error = match request.invalid_because() {
            Some(why) => Some(ErrorKind::Invalid.because(why)),
            None => self.over.map(cut_off),
        };
        if outcome.error.is_some() {
            self.ready.push_back(outcome);
            return;
        }
        let (host, idempotent) = (self.host(request.url()), request.is_idempotent());
        let pending = Box::new(Pending::new(request, outcome));
        self.scheduler.add(self.started.elapsed(), &host, pending, idempotent);
    }

    fn recall(&mut self, request: &Request) -> Option<Outcome> {
        let directory = self.shared.store.as_ref().map(Store::directory);
        let recalled = self.journal.as_mut()?.recall(request, directory);
        let outcome = recalled.unwrap_or_else(|err| {
            (self.journal, self.journal_error) = (None, Some(err));
            None
        })?;
        Some(Outcome { id: request.id_or(self.taken), ..outcome })
    }

    /// Starts the next attempt, or sets the alarm for it.
    fn send(&mut self, cx: &mut task::Context<'_>) -> bool {
        match self.scheduler.next(self.started.elapsed()) {
            Turn::Send(job) => {
                self.start(cx, job);
                true
            }
            Turn::GiveUp(job, reason) => {
                self.given_up(job, reason);
                true
            }
            Turn::At(time) => {
                let at = self.started + time;
                if self.wake.deadline() != at || self.wake.is_elapsed() {
                    self.wake.as_mut().reset(at);
                }
                self.wake.as_mut().poll(cx).is_ready()
            }
            Turn::Idle => false,
        }
    }

    /// Starts a task for an attempt. If its exact time matters, its first step runs here: a task
    /// that waits for a thread would send late, and closer to the next request.
    fn start(&mut self, cx: &mut task::Context<'_>, mut job: Job) {
        let paced = job.paced;
        let (shared, ctx) = (self.shared.clone(), self.ctx.clone());
        job.item.request.reconnect = job.reconnect;
        let work = bar(&job);
        let journal = self.journal.as_ref().map(Journal::lines);
        counted(&mut job);
        let made = async move {
            let (answer, announced) = job.item.attempt(&ctx, &shared, journal).await;
            work.ended(match answer {
                _ if ctx.err().is_some() => Ending::Canceled,
                Answer::Accepted if job.item.outcome.error.is_none() => Ending::Done,
                Answer::Accepted if job.item.outcome.status.is_some() => Ending::Done,
                _ => Ending::Failed,
            });
            (job, answer, announced)
        };
        if !paced {
            self.attempts.spawn(made);
            return;
        }
        let mut made = Box::pin(made);
        match made.as_mut().poll(cx) {
            Poll::Ready(made) => self.attempts.spawn(ready(made)),
            Poll::Pending => self.attempts.spawn(made),
        };
    }

    /// Has the policy decide what an answer means for its request.
    fn answered(&mut self, job: Job, answer: Answer, announced: &Announced) {
        match &job.item.outcome.error {
            Some(error) if !matches!(answer, Answer::Accepted | Answer::NotAsked) => {
                self.faults.insert(job.host.clone(), error.clone());
            }
            _ => drop(self.faults.remove(&job.host)),
        }
        self.watch_means(&job, answer);
        let now = self.started.elapsed();
        let line = self.log.is_some().then(|| attempt_line(&job));
        let decision = self.scheduler.answered(now, job, answer, announced);
        if let (Some(log), Some(line)) = (&mut self.log, line) {
            log.push(match &decision {
                Decision::Again => format!("{line}; waits for another try"),
                Decision::GivenUp(..) => format!("{line}; given up"),
                Decision::Done(_) => line,
            });
        }
        match decision {
            Decision::Again if self.over.is_some() => self.cancel_waiting(),
            Decision::Again => {}
            Decision::GivenUp(job, reason) => self.given_up(job, reason),
            Decision::Done(job) => self.done(now, job),
        }
    }

    /// Notices that this machine has no means for any request: a passing lack costs only time.
    fn watch_means(&mut self, job: &Job, answer: Answer) {
        let Some(row) = &mut self.starved else { return };
        match answer {
            Answer::Starved if self.attempts.is_empty() => *row += 1,
            Answer::Starved => {}
            _ => *row = 0,
        }
        if *row == STARVED {
            let why = job.item.outcome.error.as_ref().map(|error| &error.detail[..]);
            let why = why.unwrap_or_default();
            let said = "there are too few open files or ports for any request (see ulimit -n)";
            (self.starved, self.warning) = (None, Some(format!("{said}: {why}")));
        }
    }

    fn done(&mut self, now: Duration, mut job: Job) {
        if std::mem::take(&mut job.item.unfinished) {
            self.send_on(now, job);
            return;
        }
        let Some(location) = job.item.outcome.location.take() else {
            self.finish(job);
            return;
        };
        let most = self.shared.config.limits.max_redirects;
        let status = job.item.outcome.status.and_then(|status| status.try_into().ok());
        let status = status.expect("a location comes with a status");
        let turned = match job.item.redirects {
            hops if Some(hops) == most => {
                let most = most.unwrap_or_default();
                Err(ErrorKind::Redirect.because(format!("more than {most} redirects")))
            }
            _ => follow(&mut job.item.request, status, &location),
        };
        if let Err(error) = turned {
            job.item.outcome.error = Some(error);
            self.finish(job);
            return;
        }
        job.item.redirects += 1;
        job.idempotent = job.item.request.is_idempotent(); // a 303 makes a GET of a POST
        self.send_on(now, job);
    }

    /// The answer was fine, and another request follows from it: to where it leads, or for the rest.
    fn send_on(&mut self, now: Duration, job: Job) {
        let host = self.host(job.item.request.url());
        self.scheduler.redirected(now, job, &host);
        if self.over.is_some() {
            self.cancel_waiting();
        }
    }

    /// The policy does not send it again: its outcome says why.
    fn given_up(&mut self, mut job: Job, reason: Reason) {
        let of_host = self.faults.get(&job.host).cloned();
        let error = job.item.outcome.error.take().or(of_host);
        job.item.outcome.error = Some(self.why(reason, error));
        self.finish(job);
    }

    /// The error, and why the request is not tried again.
    fn why(&self, reason: Reason, error: Option<Error>) -> Error {
        let why = match reason {
            Reason::ComeBack(time) => {
                let at = SystemTime::now() + time.saturating_sub(self.started.elapsed());
                let at = httpdate::fmt_http_date(at);
                let detail =
                    format!("the host asked for no requests before then: come back at {at}");
                return ErrorKind::Later.because(detail);
            }
            Reason::Retries => "after all retries",
            Reason::MayHaveBeenProcessed => {
                "may have been processed, and is not safe to send again: see --retry-unsafe"
            }
            Reason::Patience => "the host has accepted nothing for as long as --patience",
        };
        let nothing = || ErrorKind::Status.because("the host has answered nothing else");
        let Error { kind, detail } = error.unwrap_or_else(nothing);
        kind.because(format!("{detail} ({why})"))
    }

    fn finish(&mut self, mut job: Job) {
        counted(&mut job);
        let Pending { outcome, recorded, .. } = *job.item;
        if let Some(journal) = &self.journal
            && let Err(err) = recorded.unwrap_or_else(|| journal.record(&outcome))
        {
            (self.journal, self.journal_error) = (None, Some(err));
        }
        self.ready.push_back(outcome);
    }

    /// The results of an earlier attempt stay in the outcome, except its error.
    fn cancel_waiting(&mut self) {
        let error = cut_off(self.over.unwrap_or(Cause::Canceled));
        for mut job in self.scheduler.cancel(self.started.elapsed()) {
            job.item.outcome.error = Some(error.clone());
            self.finish(job);
        }
    }

    fn host(&self, url: &Url) -> String {
        if self.shared.config.one_limit { "all hosts".to_owned() } else { host_of(url) }
    }

    fn is_finished(&self) -> bool {
        self.requests.is_none() && self.attempts.is_empty() && self.scheduler.waiting() == 0
    }
}

impl<T: Transport> Stream for Outcomes<'_, T> {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // Sends what may go before it gives out an outcome, so that no host is idle meanwhile.
            let progress = self.advance(cx);
            if let Some(outcome) = self.ready.pop_front() {
                return Poll::Ready(Some(outcome));
            }
            if !progress {
                return if self.is_finished() { Poll::Ready(None) } else { Poll::Pending };
            }
        }
    }
}

impl<T: Transport> Unpin for Outcomes<'_, T> {}

/// Writes what the policy has counted into the outcome.
fn counted(job: &mut Job) {
    let outcome = &mut job.item.outcome;
    (outcome.attempts, outcome.rejected) = (job.attempts, job.rejected);
    outcome.waited_ms = millis(job.waited);
}

/// The name of the limit that a request counts towards.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match (url.scheme(), url.port_or_known_default().unwrap_or_default()) {
        ("https", port) if port != 443 => format!("https://{host}:{port}"), // may be two servers
        (_, port) => format!("{host}:{port}"),
    }
}

/// A line about an attempt and its result, without headers and without secrets of the URL.
fn attempt_line(job: &Job) -> String {
    let Pending { request, outcome, .. } = &*job.item;
    let (url, attempts) = (masked(request.url()), job.attempts);
    let (took, bytes) = (millis(outcome.latency), outcome.bytes);
    let answer = match (outcome.status, &outcome.http_version, &outcome.error) {
        (Some(status), Some(version), error) => {
            let broken = error.as_ref().filter(|error| error.kind != ErrorKind::Status);
            let broken = broken.map(|error| format!(", {error}")).unwrap_or_default();
            format!("{status} over HTTP/{version}, {bytes} bytes{broken}")
        }
        (_, _, Some(error)) => error.to_string(),
        _ => "cut off".to_owned(),
    };
    format!("{} {url}: try {attempts}: {answer}, {took} ms", request.method)
}

/// The label of an attempt in the timeline: its URL, and how often it was tried.
fn bar(job: &Job) -> Work {
    let (request, attempts) = (&job.item.request, job.attempts);
    let path = &request.url()[Position::BeforePath..];
    common::bar(
        "slot #",
        fmt::from_fn(|f| {
            write!(f, "{} {path}", request.method)?;
            if attempts > 1 { write!(f, ", try {attempts}") } else { Ok(()) }
        }),
    )
}

fn end_of(ctx: Context) -> End {
    Box::pin(async move { ctx.done().await })
}
