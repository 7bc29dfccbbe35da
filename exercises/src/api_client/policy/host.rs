use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};

use super::health::Health;
use super::retry_budget::RetryBudget;
use super::scheduler::Job;
use super::{Learner, Quota, Rate, Time};

/// With windows up to this, whole seconds until the reset are too coarse to pace by.
const SHORT_WINDOW: Duration = Duration::from_secs(2);
/// The part of an announced rate that is used, where it is all there is to go by.
const ANNOUNCED: f64 = 0.97;
/// The reset is rounded to seconds: so much earlier may it be.
const RESET_ROUNDING: f64 = 0.4;
/// A 503 without a word about rates is taken for a rejection as long as fewer than so many of the
/// last fifty replies were one: a limiter falls silent when the rate is right, a fault does not.
const FAULTS: u32 = 6;

const READY: &str = "a host that is ready has a job";

/// One host: who waits for it, and when the next may go.
pub(super) struct Host<T> {
    fresh: VecDeque<Job<T>>,
    /// By when they are due, and in which order they were put here.
    again: BTreeMap<(Time, u64), Job<T>>,
    numbers: u64,
    pub(super) in_flight: usize,
    paused_until: Time,
    ceiling: Option<Ceiling>,
    pub(super) learner: Learner,
    /// Whether the learner paces from the beginning, or once something was rejected.
    eager: bool,
    window: Option<Window>,
    longest_reset: Duration,
    pub(super) budget: RetryBudget,
    pub(super) health: Health,
    /// The last accept, or when the host was first sent anything.
    heard: Option<Time>,
    /// Until then it is of no use to ask.
    hopeless_until: Option<Time>,
    faults: u64,
    faults_believed: bool,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// Where it stands in the scheduler's agenda.
    pub(super) listed: Option<Time>,
}

/// What taking the next job comes to.
pub(super) enum Taken<T> {
    Job(Job<T>),
    Hopeless(Job<T>),
    NotBefore(Time),
}

/// What the host has announced: so many until then.
struct Window {
    remaining: f64,
    until: Time,
    next: Time,
}

impl<T> Host<T> {
    pub(super) fn new(rate: Option<Rate>, eager: bool) -> Self {
        Self {
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            numbers: 0,
            in_flight: 0,
            paused_until: Time::ZERO,
            ceiling: rate.map(Ceiling::new),
            learner: rate.map_or_else(Learner::unknown, |rate| Learner::claimed(rate.per_second)),
            eager: eager || rate.is_none(),
            window: None,
            longest_reset: Duration::ZERO,
            budget: RetryBudget::default(),
            health: Health::default(),
            heard: None,
            hopeless_until: None,
            faults: 0,
            faults_believed: eager || rate.is_none(),
            accepted: 0,
            rejected: 0,
            listed: None,
        }
    }

    pub(super) fn push(&mut self, job: Job<T>) {
        self.fresh.push_back(job);
    }

    /// Puts a job where it goes again: before all fresh ones, but not before `due`.
    pub(super) fn push_again(&mut self, job: Job<T>, due: Time) {
        self.numbers += 1;
        self.again.insert((due, self.numbers), job);
    }

    /// Takes all who wait.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job<T>> + use<T> {
        let again = std::mem::take(&mut self.again);
        again.into_values().chain(std::mem::take(&mut self.fresh))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty() && self.in_flight == 0
    }

    /// When the next job may go as far as is known; `None` if there is none, or a reply has to come
    /// in first.
    pub(super) fn ready(&self) -> Option<Time> {
        if self.hopeless_until.is_some() {
            return (!self.fresh.is_empty() || !self.again.is_empty()).then_some(Time::ZERO);
        }
        let first_again = self.again.first_key_value().map(|((due, _), _)| *due);
        let job = if self.fresh.is_empty() { first_again? } else { Time::ZERO };
        let paced = if let Some(window) = &self.window {
            window.next
        } else if self.eager || self.learner.has_learned() {
            self.learner.ready(self.in_flight)?
        } else {
            Time::ZERO
        };
        Some(job.max(paced).max(self.paused_until))
    }

    /// The job whose turn it is, or when to ask again if the ceiling says no. Call it when `ready`.
    pub(super) fn take(&mut self, now: Time) -> Taken<T> {
        if self.hopeless_until.is_some_and(|until| now < until) {
            let first = self.again.pop_first().map(|(_, job)| job);
            return Taken::Hopeless(first.or_else(|| self.fresh.pop_front()).expect(READY));
        }
        if self.hopeless_until.take().is_some() {
            self.heard = None; // from here on it has another chance
        }
        if let Some(Err(later)) = self.ceiling.as_ref().map(|ceiling| ceiling.check(now)) {
            return Taken::NotBefore(later);
        }
        let due = self.again.first_entry().filter(|entry| entry.key().0 <= now);
        let job = due
            .map(std::collections::btree_map::OccupiedEntry::remove)
            .or_else(|| self.fresh.pop_front());
        let mut job = match job {
            Some(job) => job,
            // The last chance of a hopeless host: none is due, but one waits.
            None => self.again.pop_first().map(|(_, job)| job).expect(READY),
        };
        job.paced = self.ceiling.is_some() || self.learner.spaces();
        self.in_flight += 1;
        self.learner.sent(now);
        self.budget.sent(now);
        self.heard.get_or_insert(now);
        if let Some(window) = &mut self.window {
            window.sent(now);
        }
        Taken::Job(job)
    }

    /// Whether nothing but rejections came for too long. Then all who wait are hopeless for as long
    /// again.
    pub(super) fn rejects_everything(&mut self, now: Time, patience: Duration) -> bool {
        let hopeless = now.saturating_sub(self.heard.unwrap_or(now)) > patience;
        if hopeless {
            self.hopeless_until = Some(now + patience);
        }
        hopeless
    }

    pub(super) fn pause(&mut self, until: Time) {
        self.paused_until = self.paused_until.max(until);
    }

    pub(super) fn accepted(&mut self, now: Time, sent: Time) {
        self.accepted += 1;
        self.health.record(false);
        self.heard = Some(now);
        self.hopeless_until = None;
        self.faults <<= 1;
        self.learner.accepted(now, sent);
    }

    pub(super) fn rejected(&mut self, now: Time, sent: Time) {
        self.rejected += 1;
        self.learner.rejected(now, sent);
    }

    /// A 503 that may be a rejection. Says whether it is taken for one.
    pub(super) fn unavailable(&mut self, now: Time, sent: Time) -> bool {
        if !self.faults_believed {
            return false;
        }
        // One that follows another says nothing new: an outage is not a fault rate.
        if self.faults & 1 == 0 {
            self.faults = self.faults << 1 | 1;
        }
        if (self.faults & ((1 << 50) - 1)).count_ones() >= FAULTS {
            self.faults_believed = false;
            self.learner = Learner::unknown();
            return false;
        }
        self.learner.rejected(now, sent);
        true
    }

    /// What was announced for a window that is over does not hold for the next one.
    pub(super) fn announced_nothing(&mut self, now: Time) {
        self.window.take_if(|window| window.until <= now);
    }

    /// The host has said how much of its window is left.
    pub(super) fn announced(&mut self, now: Time, quota: Quota) {
        // A window is as long as the longest reset says, unless the host says it.
        self.longest_reset = self.longest_reset.max(quota.reset);
        let length = quota.window.unwrap_or(self.longest_reset);
        if length <= SHORT_WINDOW {
            if let (Some(length), Some(limit)) = (quota.window, quota.limit) {
                self.learner.announced(ANNOUNCED * limit / length.as_secs_f64().max(1.0));
            }
            return;
        }
        let until = now + quota.reset.min(Duration::from_hours(24));
        // Some of what is in flight has been counted already.
        let remaining = quota.remaining - self.in_flight as f64 / 2.0;
        let next = if remaining < 1.0 {
            until
        } else {
            self.window.as_ref().map_or(now, |window| window.next.min(until))
        };
        self.window = Some(Window { remaining, until, next });
    }
}

impl Window {
    /// Spreads what is left over the time that is left.
    fn sent(&mut self, now: Time) {
        self.remaining -= 1.0;
        let left = self.until.saturating_sub(now).as_secs_f64() - RESET_ROUNDING;
        self.next = if self.remaining < 1.0 {
            self.until.max(now + Duration::from_millis(100))
        } else {
            now + Duration::from_secs_f64((left / self.remaining).max(0.0))
        };
    }
}

/// GCRA by the governor crate: never more than the rate, and the burst.
struct Ceiling {
    limiter: RateLimiter<NotKeyed, InMemoryState, ManualClock, NoOpMiddleware<Nanos>>,
    clock: ManualClock,
}

impl Ceiling {
    fn new(rate: Rate) -> Self {
        let period = Duration::from_secs_f64(1.0 / rate.per_second).max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let cells = Cells::with_period(period).expect("a period is not zero").allow_burst(burst);
        let clock = ManualClock::default();
        Self { limiter: RateLimiter::direct_with_clock(cells, clock.clone()), clock }
    }

    /// Takes a cell, or says when there will be one.
    fn check(&self, now: Time) -> Result<(), Time> {
        self.clock.0.store(now.as_nanos() as u64, Ordering::Relaxed);
        let taken = self.limiter.check();
        taken.map_err(|not_yet| now + not_yet.wait_time_from(self.clock.now()))
    }
}

/// A clock that shows what it was set to.
#[derive(Clone, Debug, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Clock for ManualClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}
