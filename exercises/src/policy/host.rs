use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::ceiling::Ceiling;
use super::health::Health;
use super::quotas::Quotas;
use super::retry_budget::RetryBudget;
use super::{Announced, Failing, Learner, Settings, Time};

/// This many failures in a row, with nothing accepted in between, make a host ill. A random fifth of
/// 503s does that once in 400,000 answers.
const ILL_AFTER: u32 = 8;
/// The pauses of an ill host, and of one that rejects everything: the first, and the longest. Each is
/// twice the one before.
const ILL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
const REJECTING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Jitter lengthens a pause by up to this share of it.
const JITTER: f64 = 0.25;
/// A host that asks for a longer wait than this pauses as a whole, not only the request.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// A 503 that does not mention rates counts as a rejection while fewer than this many of the last
/// fifty replies were such 503s: those of a limiter stop when the rate is right, those of a fault
/// do not.
const FAULTS: u32 = 6;

/// When the next request to one host may go, and if not now, why: all that was learned about the
/// host, but none of its requests.
#[derive(Debug)]
pub(super) struct Host {
    settings: Settings,
    pub(super) in_flight: usize,
    ceiling: Option<Ceiling>,
    learner: Learner,
    /// Whether the learner paces from the beginning, or once something was rejected.
    eager: bool,
    quotas: Quotas,
    most_in_flight: usize,
    announced_until: Time,
    pause: Option<Pause>,
    closed: Option<(Time, Reason)>,
    /// Rejections in a row, and failures in a row, with nothing accepted in between.
    rejections: u32,
    failures: u32,
    /// The last accept, or when the host was first sent anything; and how long a wait it has
    /// announced since then.
    heard: Option<Time>,
    announced: Duration,
    budget: RetryBudget,
    health: Health,
    faults: u64,
    faults_believed: bool,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// When it was first sent anything, and when it last accepted something.
    served: Option<(Time, Time)>,
}

/// Only single probes are sent, each after a longer pause.
#[derive(Debug)]
struct Pause {
    why: Hold,
    steps: u32,
    since: Time,
    until: Time,
    probing: bool,
}

/// When the next request to a host may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gate {
    /// At this time; until then, for this reason, it must wait.
    At(Time, Hold),
    /// Once an answer has come in.
    AfterReply(Hold),
    /// Not before then, and that is too long for any request to wait.
    Closed(Time, Reason),
}

/// Why a request is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has used up its retries.
    Retries,
    /// It may have been processed, and is not idempotent.
    MayHaveBeenProcessed,
    /// The host has been ill, or has rejected everything, for too long.
    Patience,
    /// The host asked for no requests before this time, which is too far ahead to wait for.
    ComeBack(Time),
}

/// Why a request has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Nothing but a free slot of `-c`.
    Nothing,
    /// `--rate`, or the rate that was learned.
    Pace,
    /// The host is new: more may be in flight once it has answered.
    Ramp,
    /// The announced quota is spread over the time that is left, or used up.
    Quota,
    /// The host has announced how long to wait.
    RetryAfter,
    /// The host rejects one request after the other.
    Rejecting,
    /// The host does not answer, or fails at everything.
    Ill,
    /// Its own backoff after a failure.
    Backoff,
}

impl Host {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { rate, adaptive, .. } = *settings;
        Self {
            settings: settings.clone(),
            in_flight: 0,
            ceiling: rate.map(Ceiling::new),
            learner: rate.map_or_else(Learner::unknown, |rate| Learner::claimed(rate.per_second)),
            eager: adaptive || rate.is_none(),
            quotas: Quotas::default(),
            most_in_flight: usize::MAX,
            announced_until: Time::ZERO,
            pause: None,
            closed: None,
            rejections: 0,
            failures: 0,
            heard: None,
            announced: Duration::ZERO,
            budget: RetryBudget::new(),
            health: Health::default(),
            faults: 0,
            faults_believed: adaptive || rate.is_none(),
            accepted: 0,
            rejected: 0,
            served: None,
        }
    }

    /// When the next of `waiting` requests may go, as far as is known now, and why not earlier.
    pub(super) fn may_go(&self, waiting: usize) -> Gate {
        if let Some((until, reason)) = self.closed {
            return Gate::Closed(until, reason);
        }
        let mut gate = (Time::ZERO, Hold::Nothing);
        let mut not_before = |time: Time, why: Hold| {
            if time > gate.0 {
                gate = (time, why);
            }
        };
        if let Some(ceiling) = &self.ceiling {
            not_before(ceiling.ready(), Hold::Pace);
        }
        if self.eager || self.learner.has_learned() {
            match self.learner.ready(self.in_flight) {
                Some(ready) => not_before(ready, Hold::Pace),
                None => return Gate::AfterReply(Hold::Ramp),
            }
        }
        if self.in_flight >= self.most_in_flight {
            return Gate::AfterReply(Hold::Quota);
        }
        not_before(self.quotas.ready(waiting), Hold::Quota);
        not_before(self.announced_until, Hold::RetryAfter);
        if let Some(pause) = &self.pause {
            if pause.probing {
                return Gate::AfterReply(pause.why);
            }
            not_before(pause.until, pause.why);
            return Gate::At(gate.0.min(self.patience_end()), gate.1);
        }
        Gate::At(gate.0, gate.1)
    }

    /// Whether the host is worth waiting for, at `now`.
    pub(super) fn pass_time(&mut self, now: Time) {
        if self.closed.is_some_and(|(until, _)| now >= until) {
            (self.closed, self.heard, self.announced) = (None, None, Duration::ZERO); // another chance
        }
        if self.closed.is_none() && self.pause.is_some() && now >= self.patience_end() {
            self.closed = Some((now + self.patience(), Reason::Patience));
        }
    }

    /// Why the waiting requests have to end, if they do.
    pub(super) fn closed(&self) -> Option<Reason> {
        self.closed.map(|(_, reason)| reason)
    }

    fn patience(&self) -> Duration {
        let answered = self.accepted + self.rejected > 0;
        let Settings { patience, first_patience, .. } = self.settings;
        if answered { patience } else { patience.min(first_patience) }
    }

    fn patience_end(&self) -> Time {
        let announced = self.announced.min(self.settings.max_retry_after);
        self.heard.map_or(Time::MAX, |heard| {
            heard.saturating_add(self.patience()).saturating_add(announced)
        })
    }

    /// A request is sent now. Returns whether its exact time matters, because requests are spaced.
    pub(super) fn sent(&mut self, now: Time) -> bool {
        self.in_flight += 1;
        self.learner.sent(now);
        self.budget.earn(now, self.settings.retry_budget);
        self.quotas.sent(now);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.sent(now);
        }
        if let Some(pause) = &mut self.pause {
            pause.probing = true;
        }
        self.heard.get_or_insert(now);
        self.served.get_or_insert((now, now));
        self.ceiling.is_some() || self.learner.spaces()
    }

    /// A request that went at `sent` is no longer in flight.
    pub(super) fn answered(&mut self, sent: Time) {
        self.in_flight -= 1;
        if let Some(pause) = self.pause.as_mut().filter(|pause| sent > pause.since) {
            pause.probing = false;
        }
    }

    /// Applies the headers of an answer, and returns how long its request has to wait.
    pub(super) fn announced(&mut self, now: Time, announced: &Announced) -> Duration {
        let longest = self.settings.max_retry_after;
        let wait = announced.retry_after.unwrap_or_default();
        let used_up = announced.quotas.iter().filter(|quota| quota.remaining < 1.0);
        let reset = used_up.map(|quota| quota.reset).max().unwrap_or_default();
        if wait.max(reset) > longest {
            let until = now + wait.max(reset);
            self.closed = Some((until, Reason::ComeBack(until)));
        }
        if wait > SHORT_WAIT || (self.settings.polite && !wait.is_zero()) {
            self.hold_as_announced(now, now + wait);
        }
        for quota in &announced.quotas {
            if let Some(rate) = self.quotas.announced(now, quota, self.in_flight) {
                self.learner.announced(rate);
            }
        }
        if let Some(most) = announced.most_in_flight {
            self.most_in_flight = most.max(1);
        }
        wait
    }

    fn hold_as_announced(&mut self, now: Time, until: Time) {
        self.announced += until.saturating_sub(self.announced_until.max(now));
        self.announced_until = self.announced_until.max(until);
    }

    pub(super) fn accepted(&mut self, now: Time, sent: Time) {
        self.accepted += 1;
        if let Some((_, last)) = &mut self.served {
            *last = now;
        }
        self.health.record(false);
        self.failures = 0;
        self.faults <<= 1;
        self.learner.accepted(now, sent);
        (self.heard, self.announced) = (Some(now), Duration::ZERO);
        if !self.learner.is_blocked() {
            self.rejections = 0;
        }
        if self.pause.as_ref().is_some_and(|pause| sent > pause.since) {
            self.pause = None;
        }
    }

    /// The learner handles the first rejection after an accept. From the second in a row on, or if
    /// nothing was ever accepted, the host gets only probes. Rejections of requests sent before a
    /// pause belong to that pause.
    pub(super) fn rejected(&mut self, now: Time, sent: Time, rng: &mut StdRng) {
        self.rejected += 1;
        let news = self.learner.rejected(now, sent);
        let ended = self.pause.take_if(|pause| sent > pause.since && pause.why == Hold::Ill);
        if ended.is_some() {
            self.failures = 0; // it is there again
        }
        if !news || self.pause.as_ref().is_some_and(|pause| sent <= pause.since) {
            return;
        }
        self.rejections += 1;
        if self.rejections >= 2 || self.accepted == 0 {
            self.pause(now, Hold::Rejecting, rng);
        }
    }

    /// Returns whether this costs the request a try: not if the host is ill. `again` is a request
    /// that has failed before.
    pub(super) fn failed(
        &mut self,
        now: Time,
        sent: Time,
        failing: Failing,
        again: bool,
        rng: &mut StdRng,
    ) -> bool {
        self.health.record(true);
        if failing == Failing::Unavailable {
            self.unavailable(now, sent);
        }
        let known = self.pause.as_ref();
        if known.is_some_and(|pause| sent <= pause.since && pause.why == Hold::Ill) {
            return false; // it was sent before
        }
        // A URL that always gives 500 says nothing new about its host.
        let counts = failing.is_of_the_host() && !(failing == Failing::Internal && again);
        self.failures += u32::from(counts);
        let probe = known.is_some_and(|pause| sent > pause.since);
        let ill = failing == Failing::Unreachable || self.failures >= ILL_AFTER;
        if ill || probe {
            let why = if ill { Hold::Ill } else { known.map_or(Hold::Ill, |pause| pause.why) };
            self.pause(now, why, rng);
        }
        !self.pause.as_ref().is_some_and(|pause| pause.why == Hold::Ill)
    }

    /// Begins a pause, or goes on with a longer one.
    fn pause(&mut self, now: Time, why: Hold, rng: &mut StdRng) {
        let steps = self.pause.as_ref().filter(|pause| pause.why == why);
        let steps = steps.map_or(0, |pause| pause.steps + 1);
        let (first, longest) = if why == Hold::Ill { ILL } else { REJECTING };
        let pause = first.saturating_mul(1 << steps.min(16)).min(longest);
        let until = now + pause.mul_f64(1.0 + rng.random_range(0.0..JITTER));
        self.pause = Some(Pause { why, steps, since: now, until, probing: false });
    }

    /// A 503 that may be a rejection: if so, the learner uses it.
    fn unavailable(&mut self, now: Time, sent: Time) {
        if !self.faults_believed {
            return;
        }
        // Repeated 503s say nothing new: an outage is not a fault rate.
        if self.faults & 1 == 0 {
            self.faults = self.faults << 1 | 1;
        }
        if (self.faults & ((1 << 50) - 1)).count_ones() >= FAULTS {
            self.faults_believed = false;
            self.learner = Learner::unknown();
        } else {
            self.learner.rejected(now, sent);
        }
    }

    /// When a request that has failed this often may be tried again.
    pub(super) fn retry_at(&mut self, now: Time, failures: u32, rng: &mut StdRng) -> Time {
        let backoff = self.backoff(self.health.steps(failures), rng);
        self.budget.take(now).max(now + backoff)
    }

    /// Exponential backoff with full jitter: the first step is 1.
    pub(super) fn backoff(&self, step: u32, rng: &mut StdRng) -> Duration {
        let Settings { backoff, max_backoff, .. } = self.settings;
        let most = backoff.saturating_mul(1 << (step - 1).min(20)).min(max_backoff);
        most.mul_f64(rng.random_range(0.0..=1.0))
    }

    /// How many requests a second it has accepted, from the first one to the last.
    pub(super) fn pace(&self) -> f64 {
        let time = self.served.map_or(Time::ZERO, |(first, last)| last.saturating_sub(first));
        self.accepted as f64 / time.as_secs_f64().max(1e-3)
    }

    pub(super) fn allows(&self) -> Option<f64> {
        self.learner.estimate().filter(|_| self.accepted > 0) // else it is a guess
    }
}
