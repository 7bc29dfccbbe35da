use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use common::{Cause, Context};
use futures_util::Stream;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

use super::attempt::{Attempt, attempt};
use super::client::Shared;
use super::flight::Flight;
use super::input::{Request, Target};
use super::output::{Journal, JournalError, Outcome};
use super::policy::{Decision, HostReport, Job, Scheduler, Turn};
use super::transport::{Error, ErrorKind, Transport, follow, is_redirect};

/// How many requests are taken in before it is their turn: enough that a slow host does not keep
/// the others from being served.
pub const READ_AHEAD: usize = 4096;

type Requests<'a> = Pin<Box<dyn Stream<Item = Request> + Send + 'a>>;
type Ending = Pin<Box<dyn Future<Output = Cause> + Send>>;

/// The outcomes of [`Client::fetch_all`](super::Client::fetch_all), as they come.
pub struct Outcomes<'a, T: Transport> {
    shared: Arc<Shared<T>>,
    ctx: Context,
    started: Instant,
    scheduler: Scheduler<Box<Flight>>,
    /// The attempts in flight, never more than the policy's concurrency.
    attempts: JoinSet<(Job<Box<Flight>>, Attempt)>,
    /// `None` once it has ended.
    requests: Option<Requests<'a>>,
    taken: u64,
    ready: VecDeque<Outcome>,
    wake: Pin<Box<Sleep>>,
    /// The end of the run, and the wish for it to drain; `None` once it has come.
    end: Option<Ending>,
    drain: Option<Ending>,
    /// Why nothing is sent any more.
    over: Option<Cause>,
    journal: Option<Journal>,
    journal_error: Option<JournalError>,
}

impl<'a, T: Transport> Outcomes<'a, T> {
    pub(super) fn new(shared: Arc<Shared<T>>, ctx: Context, requests: Requests<'a>) -> Self {
        let started = Instant::now();
        Self {
            scheduler: Scheduler::new(shared.config.policy.clone()),
            end: Some(ending(ctx.clone())),
            drain: None,
            ctx,
            shared,
            started,
            attempts: JoinSet::new(),
            requests: Some(requests),
            taken: 0,
            ready: VecDeque::new(),
            wake: Box::pin(sleep_until(started)),
            over: None,
            journal: None,
            journal_error: None,
        }
    }

    /// Lets what is in flight end by itself once `ctx` has ended; nothing more is sent after that.
    #[must_use]
    pub fn drain_when(mut self, ctx: &Context) -> Self {
        self.drain = Some(ending(ctx.clone()));
        self
    }

    /// Answers from `journal` what an earlier run has fetched, and writes down there what this one
    /// fetches, before it gives the outcome out.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Why the journal is not in use any more, told once. A journal that fails costs a second fetch,
    /// not the run.
    pub fn take_journal_error(&mut self) -> Option<JournalError> {
        self.journal_error.take()
    }

    /// What is known of each host so far.
    pub fn hosts(&self) -> Vec<HostReport> {
        self.scheduler.report()
    }

    /// Whether anything at all has happened.
    fn advance(&mut self, cx: &mut task::Context<'_>) -> bool {
        // Each of them is polled in every round, so that each can wake the task.
        let ended = self.poll_ending(cx);
        let answered = self.poll_attempts(cx);
        let taken = self.poll_requests(cx);
        let sent = self.send(cx);
        ended || answered || taken || sent
    }

    fn poll_ending(&mut self, cx: &mut task::Context<'_>) -> bool {
        let cause = [&mut self.end, &mut self.drain].into_iter().find_map(|ending| {
            let Poll::Ready(cause) = ending.as_mut()?.as_mut().poll(cx) else { return None };
            *ending = None;
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
            Ok((job, attempt)) => self.settle(job, attempt),
            Err(err) => std::panic::resume_unwind(err.into_panic()), // no task is ever aborted
        }
        true
    }

    fn poll_requests(&mut self, cx: &mut task::Context<'_>) -> bool {
        if self.scheduler.waiting() >= READ_AHEAD {
            return false;
        }
        let Some(requests) = &mut self.requests else { return false };
        match requests.as_mut().poll_next(cx) {
            Poll::Ready(Some(request)) => self.take_in(request),
            Poll::Ready(None) => self.requests = None,
            Poll::Pending => return false,
        }
        true
    }

    fn take_in(&mut self, mut request: Request) {
        self.taken += 1;
        if let Some(outcome) = self.recall(&request) {
            self.ready.push_back(outcome);
            return;
        }
        let target = request.take_target();
        let flight = Flight::new(request, self.taken);
        match (target, self.over) {
            (Target::Invalid(why), _) => {
                let error = ErrorKind::Invalid.because(why);
                self.ready.push_back(flight.never_sent(error));
            }
            (Target::Url(_), Some(cause)) => {
                self.ready.push_back(flight.never_sent(cut_off(cause)));
            }
            (Target::Url(url), None) => {
                let host = self.host(&url);
                let flight = Box::new(flight.to(*url));
                let idempotent = flight.request.is_idempotent();
                self.scheduler.add(self.started.elapsed(), &host, flight, idempotent);
            }
        }
    }

    fn recall(&mut self, request: &Request) -> Option<Outcome> {
        let recalled = self.journal.as_mut()?.recall(request);
        let outcome = recalled.unwrap_or_else(|err| {
            (self.journal, self.journal_error) = (None, Some(err));
            None
        })?;
        Some(Outcome { id: request.id_or(self.taken), ..outcome })
    }

    fn record(&mut self, outcome: &Outcome) {
        if let Some(Err(err)) = self.journal.as_ref().map(|journal| journal.record(outcome)) {
            (self.journal, self.journal_error) = (None, Some(err));
        }
    }

    /// Starts the next attempt, or sets the alarm for it.
    fn send(&mut self, cx: &mut task::Context<'_>) -> bool {
        match self.scheduler.next(self.started.elapsed()) {
            Turn::Send(job) => {
                self.start(cx, job);
                true
            }
            Turn::GiveUp(job) => {
                let error = ErrorKind::Status.because("the host has rejected everything for long");
                self.ready.push_back(Flight::canceled(job, error));
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

    /// Starts a task for an attempt. If its time matters its first step is done here: a task that has
    /// to wait for a thread would send later than it should, and closer to the next one.
    fn start(&mut self, cx: &mut task::Context<'_>, job: Job<Box<Flight>>) {
        let paced = job.paced;
        let (shared, ctx) = (self.shared.clone(), self.ctx.clone());
        let work = job.item.bar(job.attempts);
        let made = async move {
            let Shared { transport, config, store } = &*shared;
            let (call, number) = (job.item.call(), job.item.number);
            let limits = &config.limits;
            let made = attempt(&ctx, transport, limits, store.as_ref(), call, number).await;
            work.ended(made.ending());
            (job, made)
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

    /// Decides with the policy what an attempt means for its request.
    fn settle(&mut self, mut job: Job<Box<Flight>>, attempt: Attempt) {
        job.item.took += attempt.took;
        let now = self.started.elapsed();
        let answer = attempt.answer();
        match self.scheduler.answered(now, job, &answer) {
            Decision::Again if self.over.is_some() => self.cancel_waiting(),
            Decision::Again => {}
            Decision::GivenUp(job, reason) => {
                self.ready.push_back(Flight::given_up(job, attempt, reason));
            }
            Decision::Done(job) => self.done(now, job, attempt),
        }
    }

    fn done(&mut self, now: Duration, mut job: Job<Box<Flight>>, attempt: Attempt) {
        if let Some(cause) = attempt.ended {
            self.ready.push_back(Flight::failed(job, &attempt, cut_off(cause)));
            return;
        }
        let target = attempt.status.filter(|status| is_redirect(*status));
        let Some((status, location)) = target.zip(attempt.location.as_deref()) else {
            self.ready.push_back(Flight::answered(job, attempt));
            return;
        };
        let most = self.shared.config.limits.max_redirects;
        let turned = match job.item.redirects {
            hops if hops == most => {
                Err(ErrorKind::Redirect.because(format!("more than {most} redirects")))
            }
            _ => follow(job.item.call_mut(), status, location),
        };
        if let Err(error) = turned {
            self.ready.push_back(Flight::failed(job, &attempt, error));
            return;
        }
        job.item.redirects += 1;
        let host = self.host(&job.item.call().url);
        self.scheduler.redirected(now, job, &host);
        if self.over.is_some() {
            self.cancel_waiting();
        }
    }

    fn cancel_waiting(&mut self) {
        let error = cut_off(self.over.unwrap_or(Cause::Canceled));
        for job in self.scheduler.cancel(self.started.elapsed()) {
            self.ready.push_back(Flight::canceled(job, error.clone()));
        }
    }

    /// What a request's limit goes by.
    fn host(&self, url: &Url) -> String {
        if self.shared.config.one_limit {
            return "all hosts".to_owned();
        }
        let port = url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", url.host_str().unwrap_or_default())
    }

    fn is_finished(&self) -> bool {
        self.requests.is_none() && self.attempts.is_empty() && self.scheduler.waiting() == 0
    }
}

impl<T: Transport> Stream for Outcomes<'_, T> {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // First send on what may go: an outcome is not worth a host's idle time.
            let progress = self.advance(cx);
            if let Some(outcome) = self.ready.pop_front() {
                self.record(&outcome);
                return Poll::Ready(Some(outcome));
            }
            if !progress {
                return if self.is_finished() { Poll::Ready(None) } else { Poll::Pending };
            }
        }
    }
}

impl<T: Transport> Unpin for Outcomes<'_, T> {}

fn ending(ctx: Context) -> Ending {
    Box::pin(async move { ctx.done().await })
}

fn cut_off(cause: Cause) -> Error {
    match cause {
        Cause::Canceled => ErrorKind::Canceled.because("the run was canceled"),
        Cause::DeadlineExceeded => ErrorKind::Timeout.because("the deadline of the run has passed"),
    }
}
