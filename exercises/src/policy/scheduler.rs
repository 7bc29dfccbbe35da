use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::host::{Gate, Host, Reason};
use super::queue::Queue;
use super::{Announced, Answer, Failing, Hold, Settings, Time};

/// When this many hosts are known, those without a request are forgotten, with what was learned.
const REMEMBERED_HOSTS: usize = 10_000;

/// A request on its way through the scheduler, and its counts so far.
#[derive(Debug)]
pub struct Job<T> {
    /// Whatever the caller needs to send it.
    pub item: T,
    /// Whether another try is harmless: the request is idempotent.
    pub idempotent: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// How often the host rejected it.
    pub rejected: u32,
    /// How long it has waited for its turn.
    pub waited: Duration,
    /// Whether its exact time matters: requests to its host are spaced.
    pub paced: bool,
    /// Whether it needs a new connection.
    pub reconnect: bool,
    /// The host it waits for, as it was added.
    pub host: Arc<str>,
    /// How often it failed; and how often the answer was not HTTP, the connection was the wrong
    /// one, or it ended before the answer.
    failures: u32,
    malformed: u32,
    misdirected: u32,
    hung_up: u32,
    since: Time,
    sent: Time,
}

/// Whose turn it is.
#[derive(Debug)]
pub enum Turn<T> {
    /// This one's, now. Answer it with [`Scheduler::answered`].
    Send(Job<T>),
    /// This job's, but the wait for its host is too long: it ends without being sent.
    GiveUp(Job<T>, Reason),
    /// No job's before this time.
    At(Time),
    /// No job's until one is added or answered.
    Idle,
}

/// What happens to a request after an answer.
#[derive(Debug)]
pub enum Decision<T> {
    /// It is done: the answer is its outcome.
    Done(Job<T>),
    /// It waits for another try.
    Again,
    /// It failed and is not tried again, for this reason.
    GivenUp(Job<T>, Reason),
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
    /// How many of them a second, from the first request to the last accepted one.
    pub pace: f64,
    /// What it allows, in requests per second; known once it has rejected some.
    pub allows: Option<f64>,
    /// How many wait for it.
    #[serde(skip)]
    pub waiting: usize,
    /// Why the next one does not go yet, and when it may, if that is known.
    #[serde(skip)]
    pub held: Option<(Hold, Option<Time>)>,
}

/// Decides which request goes when.
///
/// Every job that is added comes back exactly once: as the last answer's [`Decision`], as
/// [`Turn::GiveUp`], or from [`Scheduler::cancel`].
#[derive(Debug)]
pub struct Scheduler<T> {
    settings: Settings,
    hosts: HashMap<Arc<str>, Entry<T>, RandomState>,
    /// The hosts whose next job may go at a known time.
    agenda: BTreeSet<(Time, Arc<str>)>,
    /// The hosts whose next job may go now: the one with the fewest in flight first, then the one
    /// served longest ago.
    ready: BTreeSet<(usize, u64, Arc<str>)>,
    served: u64,
    waiting: usize,
    in_flight: usize,
    /// The concurrency: below that of the settings while this machine lacks files or ports.
    concurrency: usize,
    /// The answers since it was last changed.
    recovery: usize,
    rng: StdRng,
}

/// A host, its waiting requests, and its place in the lists.
#[derive(Debug)]
struct Entry<T> {
    host: Host,
    queue: Queue<Job<T>>,
    served: u64,
    listed: Listed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Listed {
    Nowhere,
    At(Time),
    Ready(usize, u64),
}

impl<T> Entry<T> {
    /// When its next job may go, and what holds it until then.
    fn gate(&self) -> Option<Gate> {
        let due = self.queue.due()?;
        Some(match self.host.may_go(self.queue.len()) {
            Gate::At(time, _) if time < due => Gate::At(due, Hold::Backoff),
            gate => gate,
        })
    }

    fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.host.in_flight == 0
    }
}

impl<T> Scheduler<T> {
    /// An empty scheduler.
    pub fn new(settings: Settings) -> Self {
        Self {
            hosts: HashMap::default(),
            agenda: BTreeSet::new(),
            ready: BTreeSet::new(),
            served: 0,
            waiting: 0,
            in_flight: 0,
            concurrency: settings.concurrency.max(1),
            recovery: 0,
            rng: StdRng::seed_from_u64(settings.seed),
            settings,
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
            reconnect: false,
            host: host.clone(),
            failures: 0,
            malformed: 0,
            misdirected: 0,
            hung_up: 0,
            since: now,
            sent: Time::ZERO,
        };
        self.entry(&host).queue.push(job);
        self.waiting += 1;
        self.list(now, &host);
    }

    /// Whose turn it is at `now`.
    pub fn next(&mut self, now: Time) -> Turn<T> {
        while self.agenda.first().is_some_and(|(time, _)| *time <= now) {
            let (_, host) = self.agenda.pop_first().expect("it was just seen");
            let entry = self.entry(&host);
            entry.listed = Listed::Nowhere;
            entry.host.pass_time(now);
            self.list(now, &host);
        }
        let Some((_, _, host)) = self.ready.first().cloned() else {
            return self.agenda.first().map_or(Turn::Idle, |(time, _)| Turn::At(*time));
        };
        let entry = self.entry(&host);
        entry.host.pass_time(now);
        if let Some(reason) = entry.host.closed() {
            let mut job = entry.queue.pop_any().expect("a host that is ready has a job");
            self.waiting -= 1;
            job.waited += now.saturating_sub(job.since);
            self.list(now, &host);
            return Turn::GiveUp(job, reason);
        }
        if self.in_flight >= self.concurrency {
            return Turn::Idle;
        }
        self.served += 1;
        let served = self.served;
        let entry = self.entry(&host);
        let mut job = entry.queue.pop(now).expect("a host that is ready has a job that is due");
        entry.served = served;
        job.paced = entry.host.sent(now);
        self.waiting -= 1;
        self.in_flight += 1;
        job.attempts += 1;
        job.waited += now.saturating_sub(job.since);
        job.sent = now;
        self.list(now, &host);
        Turn::Send(job)
    }

    /// A job has been answered at `now`.
    pub fn answered(
        &mut self,
        now: Time,
        mut job: Job<T>,
        answer: Answer,
        announced: &Announced,
    ) -> Decision<T> {
        self.in_flight -= 1;
        job.since = now;
        job.reconnect = false;
        let name = job.host.clone();
        let (sent, entry) = (job.sent, self.hosts.get_mut(&name).expect(KNOWN));
        let host = &mut entry.host;
        host.answered(sent);
        let wait = host.announced(now, announced);
        let decision = match answer {
            Answer::Accepted => {
                host.accepted(now, sent);
                self.recover();
                Decision::Done(job)
            }
            Answer::NotAsked => Decision::Done(job),
            Answer::Rejected => {
                job.rejected += 1;
                host.rejected(now, sent, &mut self.rng);
                self.again(now, job, now + wait)
            }
            Answer::Failed(failing) => self.failed(now, job, failing, wait),
            Answer::Misdirected if job.misdirected > 0 => Decision::Done(job),
            Answer::Misdirected => {
                job.reconnect = true;
                job.misdirected += 1;
                self.again(now, job, now)
            }
            Answer::Starved => self.starved(now, job),
        };
        self.list(now, &name);
        decision
    }

    /// Moves an answered job on to another host, as a redirect does: it waits there like a new one.
    pub fn redirected(&mut self, now: Time, job: Job<T>, host: &str) {
        let host = self.host_named(host);
        let job = Job { host: host.clone(), since: now, ..job };
        self.entry(&host).queue.push_again(job, now);
        self.waiting += 1;
        self.list(now, &host);
    }

    /// Takes back all that wait. What is in flight is answered as before.
    pub fn cancel(&mut self, now: Time) -> Vec<Job<T>> {
        self.agenda.clear();
        self.ready.clear();
        self.waiting = 0;
        let mut hosts: Vec<_> = self.hosts.iter_mut().collect();
        hosts.sort_unstable_by_key(|(name, _)| *name); // the same order in every run
        let mut jobs = Vec::new();
        for (_, entry) in hosts {
            entry.listed = Listed::Nowhere;
            jobs.extend(std::iter::from_fn(|| entry.queue.pop_any()));
        }
        for job in &mut jobs {
            job.waited += now.saturating_sub(job.since);
        }
        jobs
    }

    /// What is known of each host, by name.
    pub fn report(&self) -> Vec<HostReport> {
        let report = |(name, entry): (&Arc<str>, &Entry<T>)| HostReport {
            host: name.to_string(),
            accepted: entry.host.accepted,
            rejected: entry.host.rejected,
            pace: entry.host.pace(),
            allows: entry.host.allows(),
            waiting: entry.queue.len(),
            held: entry.gate().and_then(|gate| match gate {
                Gate::At(_, Hold::Nothing) | Gate::Closed(..) => None,
                Gate::At(time, why) => Some((why, Some(time))),
                Gate::AfterReply(why) => Some((why, None)),
            }),
        };
        let mut reports: Vec<_> = self.hosts.iter().map(report).collect();
        reports.sort_by(|a, b| a.host.cmp(&b.host));
        reports
    }

    fn failed(
        &mut self,
        now: Time,
        mut job: Job<T>,
        failing: Failing,
        wait: Duration,
    ) -> Decision<T> {
        let entry = self.hosts.get_mut(&job.host).expect(KNOWN);
        let again = job.failures > 0;
        let charged = entry.host.failed(now, job.sent, failing, again, &mut self.rng);
        job.malformed += u32::from(failing == Failing::Malformed);
        let harmless = job.idempotent || self.settings.retry_unsafe || failing.is_unprocessed();
        if !harmless {
            return Decision::GivenUp(job, Reason::MayHaveBeenProcessed);
        }
        if job.malformed >= 2 {
            return Decision::GivenUp(job, Reason::Retries);
        }
        job.hung_up += u32::from(failing == Failing::HungUp);
        let idle = failing == Failing::HungUp && job.hung_up == 1;
        let free = matches!(failing, Failing::Unprocessed | Failing::Interrupted);
        if !charged || idle || free {
            return self.again(now, job, now + wait);
        }
        job.failures += 1;
        if job.failures > self.settings.retries {
            return Decision::GivenUp(job, Reason::Retries);
        }
        let due = entry.host.retry_at(now, job.failures, &mut self.rng);
        self.again(now, job, due.max(now + wait))
    }

    /// Lowers the concurrency to the number now in flight. If it was the only one, it is retried
    /// like a failure.
    fn starved(&mut self, now: Time, mut job: Job<T>) -> Decision<T> {
        self.concurrency = self.in_flight.max(1);
        self.recovery = 0;
        if self.in_flight > 0 {
            return self.again(now, job, now);
        }
        job.failures += 1;
        if job.failures > self.settings.retries {
            return Decision::GivenUp(job, Reason::Retries);
        }
        let host = &self.hosts.get(&job.host).expect(KNOWN).host;
        let backoff = host.backoff(job.failures, &mut self.rng);
        self.again(now, job, now + backoff)
    }

    /// Raises the concurrency by one after as many answers as it allows now.
    fn recover(&mut self) {
        self.recovery += 1;
        if self.concurrency < self.settings.concurrency && self.recovery >= self.concurrency {
            self.concurrency += 1;
            self.recovery = 0;
        }
    }

    /// It waits for another try, unless its host is not worth waiting for.
    fn again(&mut self, now: Time, job: Job<T>, due: Time) -> Decision<T> {
        let entry = self.hosts.get_mut(&job.host).expect(KNOWN);
        entry.host.pass_time(now);
        if let Some(reason) = entry.host.closed() {
            return Decision::GivenUp(job, reason);
        }
        entry.queue.push_again(job, due);
        self.waiting += 1;
        Decision::Again
    }

    fn entry(&mut self, name: &Arc<str>) -> &mut Entry<T> {
        self.hosts.get_mut(name).expect(KNOWN)
    }

    fn host_named(&mut self, name: &str) -> Arc<str> {
        if let Some((name, _)) = self.hosts.get_key_value(name) {
            return name.clone();
        }
        if self.hosts.len() >= REMEMBERED_HOSTS {
            self.hosts.retain(|_, entry| !entry.is_idle());
        }
        let name: Arc<str> = name.into();
        let host = Host::new(&self.settings);
        let entry = Entry { host, queue: Queue::new(), served: 0, listed: Listed::Nowhere };
        self.hosts.insert(name.clone(), entry);
        name
    }

    /// Brings a host's place in the lists up to date.
    fn list(&mut self, now: Time, name: &Arc<str>) {
        let entry = self.hosts.get_mut(name).expect(KNOWN);
        let ready = Listed::Ready(entry.host.in_flight, entry.served);
        let listed = match entry.gate() {
            None | Some(Gate::AfterReply(_)) => Listed::Nowhere,
            Some(Gate::Closed(..)) => ready,
            Some(Gate::At(time, _)) if time <= now => ready,
            Some(Gate::At(time, _)) => Listed::At(time),
        };
        if listed == entry.listed {
            return;
        }
        match std::mem::replace(&mut entry.listed, listed) {
            Listed::Nowhere => {}
            Listed::At(time) => drop(self.agenda.remove(&(time, name.clone()))),
            Listed::Ready(flight, served) => {
                self.ready.remove(&(flight, served, name.clone()));
            }
        }
        match listed {
            Listed::Nowhere => {}
            Listed::At(time) => drop(self.agenda.insert((time, name.clone()))),
            Listed::Ready(flight, served) => {
                self.ready.insert((flight, served, name.clone()));
            }
        }
    }
}

const KNOWN: &str = "a host with a job is not forgotten";
