use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::host::{Host, Taken};
use super::{Answer, Hints, Settings, Time, Trouble};

/// When so many hosts are known, those without a request are forgotten, with what was learned.
const REMEMBERED_HOSTS: usize = 10_000;
/// More than this is more than a second's pause asked for: then the whole host pauses.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// A request on its way through the scheduler, and what has become of it so far.
#[derive(Debug)]
pub struct Job<T> {
    /// Whatever the caller needs to send it.
    pub item: T,
    /// Whether another try cannot do harm.
    pub idempotent: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// How often the host rejected it.
    pub rejected: u32,
    /// How long it has waited for its turn.
    pub waited: Duration,
    /// Whether it matters that it goes just now: requests to its host are spaced.
    pub paced: bool,
    failures: u32,
    host: Arc<str>,
    since: Time,
    sent: Time,
}

/// Whose turn it is.
#[derive(Debug)]
pub enum Turn<T> {
    /// This one's, now. Answer it with [`Scheduler::answered`].
    Send(Job<T>),
    /// This one's, but its host rejects everything: it is given up without being sent.
    GiveUp(Job<T>),
    /// Nobody's before this time.
    At(Time),
    /// Nobody's until something is added or answered.
    Idle,
}

/// What an answer makes of a request.
#[derive(Debug)]
pub enum Decision<T> {
    /// It is done: the answer is its outcome.
    Done(Job<T>),
    /// It waits for another try.
    Again,
    /// It could be tried again, but is not.
    GivenUp(Job<T>, Reason),
}

/// Why a request is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has been tried often enough.
    Retries,
    /// It may have been acted upon, and is not idempotent.
    Unsafe,
    /// The retry budget is used up.
    Budget,
    /// The host rejects everything.
    Patience,
}

/// What is known of a host.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct HostReport {
    /// Its name and port.
    pub host: String,
    /// Answers that were neither rejections nor failures.
    pub accepted: u64,
    /// Requests that came too fast for it.
    pub rejected: u64,
    /// What it allows, in requests per second, as far as it has rejected any.
    pub allows: Option<f64>,
}

/// Decides which request goes when.
///
/// Every job that is added comes back exactly once: as the last answer's [`Decision`], or from
/// [`Scheduler::cancel`].
pub struct Scheduler<T> {
    policy: Settings,
    hosts: HashMap<Arc<str>, Host<T>, RandomState>,
    /// The hosts whose next job may go at a known time.
    agenda: BTreeSet<(Time, Arc<str>)>,
    waiting: usize,
    in_flight: usize,
    /// Lower than the policy's while this machine cannot do as many.
    concurrency: usize,
    /// The answers since it was last changed.
    recovery: usize,
    rng: StdRng,
}

impl<T> Scheduler<T> {
    /// An empty scheduler.
    pub fn new(policy: Settings) -> Self {
        Self {
            hosts: HashMap::default(),
            agenda: BTreeSet::new(),
            waiting: 0,
            in_flight: 0,
            concurrency: policy.concurrency.max(1),
            recovery: 0,
            rng: StdRng::seed_from_u64(policy.seed),
            policy,
        }
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many were sent and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes in a request for `host`.
    pub fn add(&mut self, now: Time, host: &str, item: T, idempotent: bool) {
        let host = self.host_named(host);
        let job = Job {
            item,
            idempotent,
            attempts: 0,
            rejected: 0,
            waited: Duration::ZERO,
            paced: false,
            failures: 0,
            host: host.clone(),
            since: now,
            sent: Time::ZERO,
        };
        self.hosts.get_mut(&host).expect("it was just named").push(job);
        self.waiting += 1;
        self.list(&host);
    }

    /// Whose turn it is at `now`.
    pub fn next(&mut self, now: Time) -> Turn<T> {
        while self.in_flight < self.concurrency {
            let Some((ready, host)) = self.agenda.first().cloned() else { return Turn::Idle };
            if ready > now {
                return Turn::At(ready);
            }
            let taken = self.hosts.get_mut(&host).expect("the agenda lists hosts").take(now);
            match taken {
                Taken::Job(job) => return Turn::Send(self.send(now, job)),
                Taken::Hopeless(mut job) => {
                    self.waiting -= 1;
                    job.waited += now.saturating_sub(job.since);
                    self.list(&host);
                    return Turn::GiveUp(job);
                }
                Taken::NotBefore(later) => self.list_at(&host, Some(later)),
            }
        }
        Turn::Idle
    }

    fn send(&mut self, now: Time, mut job: Job<T>) -> Job<T> {
        self.waiting -= 1;
        self.in_flight += 1;
        job.attempts += 1;
        job.waited += now.saturating_sub(job.since);
        job.sent = now;
        self.list(&job.host);
        job
    }

    /// A job has been answered at `now`.
    pub fn answered(&mut self, now: Time, mut job: Job<T>, answer: &Answer) -> Decision<T> {
        self.in_flight -= 1;
        job.since = now;
        let name = job.host.clone();
        self.host(&name).in_flight -= 1;
        let fate = match *answer {
            Answer::Accepted(hints) => {
                self.apply(now, &job, hints);
                self.host(&name).accepted(now, job.sent);
                self.recover();
                Decision::Done(job)
            }
            Answer::Rejected(hints) => self.rejected(now, job, hints),
            Answer::Failed(trouble, hints) => self.failed(now, job, trouble, hints),
            Answer::Starved => self.starved(now, job),
        };
        self.list(&name);
        fate
    }

    /// Moves an answered job on to another host, as a redirect does: it waits there like a new one.
    pub fn redirected(&mut self, now: Time, job: Job<T>, host: &str) {
        let host = self.host_named(host);
        let job = Job { host: host.clone(), since: now, ..job };
        self.hosts.get_mut(&host).expect("it was just named").push_again(job, now);
        self.waiting += 1;
        self.list(&host);
    }

    /// Takes back all that wait. What is in flight is answered as before.
    pub fn cancel(&mut self, now: Time) -> Vec<Job<T>> {
        self.agenda.clear();
        self.waiting = 0;
        let mut hosts: Vec<_> = self.hosts.iter_mut().collect();
        hosts.sort_unstable_by_key(|(name, _)| *name); // in every run the same
        let mut jobs: Vec<_> = hosts.into_iter().flat_map(|(_, host)| host.drain()).collect();
        for job in &mut jobs {
            job.waited += now.saturating_sub(job.since);
        }
        self.hosts.values_mut().for_each(|host| host.listed = None);
        jobs
    }

    /// What is known of each host, by name.
    pub fn report(&self) -> Vec<HostReport> {
        let report = |(name, host): (&Arc<str>, &Host<T>)| HostReport {
            host: name.to_string(),
            accepted: host.accepted,
            rejected: host.rejected,
            allows: host.learner.estimate(),
        };
        let mut reports: Vec<_> = self.hosts.iter().map(report).collect();
        reports.sort_by(|a, b| a.host.cmp(&b.host));
        reports
    }

    /// Goes to the front of the queue, is not charged to the retries, and waits for as long as it
    /// was told to.
    fn rejected(&mut self, now: Time, mut job: Job<T>, hints: Hints) -> Decision<T> {
        job.rejected += 1;
        let wait = self.apply(now, &job, hints);
        let (patience, name) = (self.policy.patience, job.host.clone());
        let host = self.host(&name);
        host.rejected(now, job.sent);
        if host.rejects_everything(now, patience) {
            return Decision::GivenUp(job, Reason::Patience);
        }
        self.again(job, now + wait)
    }

    fn failed(
        &mut self,
        now: Time,
        mut job: Job<T>,
        trouble: Trouble,
        hints: Hints,
    ) -> Decision<T> {
        let wait = self.apply(now, &job, hints);
        let name = job.host.clone();
        self.host(&name).health.record(true);
        let mut harmless = job.idempotent || self.policy.retry_unsafe || trouble == Trouble::Unsent;
        if trouble == Trouble::Unavailable && self.host(&name).unavailable(now, job.sent) {
            job.rejected += 1;
            harmless = true;
        }
        job.failures += 1;
        if !harmless {
            return Decision::GivenUp(job, Reason::Unsafe);
        }
        if job.failures > self.policy.retries {
            return Decision::GivenUp(job, Reason::Retries);
        }
        let share = self.policy.retry_budget;
        if !self.host(&name).budget.take(now, share) {
            return Decision::GivenUp(job, Reason::Budget);
        }
        let steps = self.host(&name).health.steps(job.failures);
        let backoff = self.backoff(steps);
        self.again(job, now + wait.max(backoff))
    }

    /// As many as are in flight now seem to be possible. The last one alone waits for better times,
    /// as often as a failure does.
    fn starved(&mut self, now: Time, mut job: Job<T>) -> Decision<T> {
        self.concurrency = self.in_flight.max(1);
        self.recovery = 0;
        if self.in_flight > 0 {
            return self.again(job, now);
        }
        job.failures += 1;
        if job.failures > self.policy.retries {
            return Decision::GivenUp(job, Reason::Retries);
        }
        let backoff = self.backoff(job.failures);
        self.again(job, now + backoff)
    }

    /// One more at once after every round of as many as there are now.
    fn recover(&mut self) {
        self.recovery += 1;
        if self.concurrency < self.policy.concurrency && self.recovery >= self.concurrency {
            self.concurrency += 1;
            self.recovery = 0;
        }
    }

    /// Exponential backoff with full jitter: the first step is 1.
    fn backoff(&mut self, step: u32) -> Duration {
        let most = self.policy.backoff.saturating_mul(1 << (step - 1).min(20));
        let most = most.min(self.policy.max_backoff);
        most.mul_f64(self.rng.random_range(0.0..=1.0))
    }

    /// Takes to heart what the headers say, and returns how long this job has to wait.
    fn apply(&mut self, now: Time, job: &Job<T>, hints: Hints) -> Duration {
        let wait = hints.retry_after.unwrap_or_default().min(self.policy.max_retry_after);
        let pause = wait > SHORT_PAUSE || (self.policy.polite && !wait.is_zero());
        let host = self.host(&job.host);
        if pause {
            host.pause(now + wait);
        }
        match hints.quota {
            Some(quota) => host.announced(now, quota),
            None => host.announced_nothing(now),
        }
        wait
    }

    fn again(&mut self, job: Job<T>, due: Time) -> Decision<T> {
        let name = job.host.clone();
        self.host(&name).push_again(job, due);
        self.waiting += 1;
        Decision::Again
    }

    fn host(&mut self, name: &Arc<str>) -> &mut Host<T> {
        self.hosts.get_mut(name).expect("a host with a job is not forgotten")
    }

    fn host_named(&mut self, name: &str) -> Arc<str> {
        if let Some((name, _)) = self.hosts.get_key_value(name) {
            return name.clone();
        }
        if self.hosts.len() >= REMEMBERED_HOSTS {
            self.hosts.retain(|_, host| !host.is_idle());
        }
        let name: Arc<str> = name.into();
        self.hosts.insert(name.clone(), Host::new(self.policy.rate, self.policy.adaptive));
        name
    }

    /// Brings a host's place in the agenda up to date.
    fn list(&mut self, name: &Arc<str>) {
        let ready = self.hosts.get(name).and_then(Host::ready);
        self.list_at(name, ready);
    }

    fn list_at(&mut self, name: &Arc<str>, ready: Option<Time>) {
        let host = self.hosts.get_mut(name).expect("only hosts are listed");
        if host.listed == ready {
            return;
        }
        if let Some(before) = std::mem::replace(&mut host.listed, ready) {
            self.agenda.remove(&(before, name.clone()));
        }
        if let Some(ready) = ready {
            self.agenda.insert((ready, name.clone()));
        }
    }
}
