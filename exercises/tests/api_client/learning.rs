//! The learner against simulated limiters: how much of the allowed rate it gets, and how much of
//! what it sends is rejected.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use exercises::policy::Learner;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What the servers allow, in requests per second.
const LIMIT: f64 = 50.0;
const CONCURRENCY: usize = 50;
/// The most seconds that the clock wakes a task late.
const LATE: f64 = 0.0011;

#[derive(Clone, Copy)]
enum Kind {
    /// As nginx's `limit_req`, with a burst.
    Bucket(f64),
    /// This number in each window of this number of seconds.
    Window(f64),
    /// This number in any stretch of this number of seconds.
    Sliding(f64),
}

struct Server {
    kind: Kind,
    limit: f64,
    excess: f64,
    at: f64,
    accepted: VecDeque<f64>,
}

impl Server {
    fn new(kind: Kind) -> Self {
        Self { kind, limit: LIMIT, excess: -1.0, at: 0.0, accepted: VecDeque::new() }
    }

    fn accepts(&mut self, now: f64) -> bool {
        match self.kind {
            Kind::Bucket(burst) => {
                let excess = (self.excess - (now - self.at) * self.limit + 1.0).max(0.0);
                if excess <= burst {
                    (self.excess, self.at) = (excess, now);
                }
                return excess <= burst;
            }
            Kind::Window(length) => {
                let begin = (now / length).floor() * length;
                self.accepted.retain(|accepted| *accepted >= begin);
            }
            Kind::Sliding(length) => self.accepted.retain(|accepted| *accepted > now - length),
        }
        let (Kind::Window(length) | Kind::Sliding(length)) = self.kind else { return true };
        let accepts = (self.accepted.len() as f64) < self.limit * length;
        if accepts {
            self.accepted.push_back(now);
        }
        accepts
    }
}

/// A run of the learner alone against a server, event by event.
struct Trial {
    learner: Learner,
    server: Server,
    rng: StdRng,
    trip: f64,
    now: f64,
    /// When replies come in: whether it was accepted, and when it was sent.
    replies: BTreeMap<Duration, (bool, Duration)>,
    accepted: Vec<f64>,
    rejected: Vec<f64>,
}

impl Trial {
    fn new(learner: Learner, kind: Kind, trip: f64, seed: u64) -> Self {
        Self {
            learner,
            server: Server::new(kind),
            rng: StdRng::seed_from_u64(seed),
            trip,
            now: 0.0,
            replies: BTreeMap::new(),
            accepted: Vec::new(),
            rejected: Vec::new(),
        }
    }

    /// Runs until this number was accepted in all.
    fn until_accepted(&mut self, requests: usize) {
        while self.accepted.len() < requests {
            self.step(requests);
        }
    }

    fn until(&mut self, time: f64) {
        while self.now < time {
            self.step(usize::MAX);
        }
    }

    fn step(&mut self, requests: usize) {
        let free =
            self.replies.len() < CONCURRENCY && self.accepted.len() + self.replies.len() < requests;
        let ready = if free { self.learner.ready(self.replies.len()) } else { None };
        let send = ready.map(|ready| {
            let ready = ready.as_secs_f64();
            if ready <= self.now { self.now } else { ready + self.rng.random_range(0.0..LATE) }
        });
        let reply = self.replies.first_key_value().map(|(at, _)| at.as_secs_f64());
        match send {
            Some(send) if reply.is_none_or(|reply| send <= reply) => self.send(send),
            _ => self.reply(),
        }
    }

    fn send(&mut self, at: f64) {
        self.now = at;
        self.learner.sent(Duration::from_secs_f64(at));
        let half = |rng: &mut StdRng, trip| trip / 2.0 * rng.random_range(0.9..1.1);
        let arrives = at + half(&mut self.rng, self.trip);
        let accepted = self.server.accepts(arrives);
        let mut back = Duration::from_secs_f64(arrives + half(&mut self.rng, self.trip));
        while self.replies.contains_key(&back) {
            back += Duration::from_nanos(1);
        }
        self.replies.insert(back, (accepted, Duration::from_secs_f64(at)));
    }

    fn reply(&mut self) {
        let (at, (accepted, sent)) = self.replies.pop_first().expect("something is in flight");
        self.now = at.as_secs_f64();
        if accepted {
            self.accepted.push(self.now);
            self.learner.accepted(at, sent);
        } else {
            self.rejected.push(self.now);
            self.learner.rejected(at, sent);
        }
    }

    /// The share of the allowed rate, in percent.
    fn share(&self) -> f64 {
        self.accepted.len() as f64 / self.now / LIMIT * 100.0
    }

    /// The rejected requests, in percent of the accepted ones.
    fn rejections(&self) -> f64 {
        self.rejected.len() as f64 / self.accepted.len() as f64 * 100.0
    }

    /// Accepted per second in the last second before `time`.
    fn rate_before(&self, time: f64) -> f64 {
        self.accepted.iter().filter(|at| (time - 1.0..time).contains(*at)).count() as f64
    }
}

/// The mean share and the mean rejections of ten trials each at the given round trips.
fn trials(learner: &Learner, kind: Kind, trips: &[f64], requests: usize) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for trip in trips {
        for seed in 0..10 {
            let mut trial = Trial::new(learner.clone(), kind, *trip, seed);
            trial.until_accepted(requests);
            sum = (sum.0 + trial.share(), sum.1 + trial.rejections());
        }
    }
    let count = trips.len() as f64 * 10.0;
    (sum.0 / count, sum.1 / count)
}

#[test]
fn a_rate_overstated_twofold_costs_little() {
    let (share, rejected) =
        trials(&Learner::claimed(100.0), Kind::Bucket(20.0), &[0.001, 0.02, 0.1], 500);
    assert!(share >= 95.0 && rejected <= 3.0, "{share:.1} % of the rate, {rejected:.2} % rejected");
}

#[test]
fn an_unknown_rate_is_found() {
    let (share, rejected) =
        trials(&Learner::unknown(), Kind::Bucket(20.0), &[0.001, 0.02, 0.1], 500);
    assert!(share >= 95.0 && rejected <= 3.0, "{share:.1} % of the rate, {rejected:.2} % rejected");
}

#[test]
fn in_the_long_run_almost_nothing_is_rejected() {
    for learner in [Learner::claimed(100.0), Learner::unknown()] {
        let (share, rejected) = trials(&learner, Kind::Bucket(20.0), &[0.001], 2000);
        assert!(share >= 97.0 && rejected <= 0.75, "{share:.1} %, {rejected:.2} % rejected");
    }
}

#[test]
fn every_kind_of_limit_is_learned() {
    let kinds = [
        (Kind::Bucket(0.0), 60.0),
        (Kind::Window(1.0), 80.0),
        (Kind::Sliding(1.0), 75.0),
        (Kind::Window(60.0), 60.0),
    ];
    for (number, (kind, least)) in kinds.into_iter().enumerate() {
        let (share, rejected) = trials(&Learner::unknown(), kind, &[0.001, 0.02], 5000);
        let enough = share >= least && rejected <= 3.0;
        assert!(enough, "kind {number}: {share:.1} % of the rate, {rejected:.2} % rejected");
    }
}

#[test]
fn jitter_is_not_taken_for_a_bucket() {
    for seed in 0..20 {
        let mut trial = Trial::new(Learner::unknown(), Kind::Bucket(0.0), 0.001, seed);
        trial.until_accepted(2000);
        let share = trial.share();
        assert!(share >= 85.0, "seed {seed}: {share:.1} % of a rate without a burst");
    }
}

#[test]
fn a_limit_that_is_halved_and_raised_again_is_followed_within_five_seconds() {
    for seed in 0..20 {
        let mut trial = Trial::new(Learner::unknown(), Kind::Bucket(20.0), 0.02, seed);
        trial.until(15.0);
        trial.server.limit = LIMIT / 2.0;
        trial.until(20.0);
        let (low, high) = (trial.rate_before(20.0), trial.rate_before(15.0));
        assert!(high >= 0.8 * LIMIT, "seed {seed}: {high} before");
        assert!(
            (0.8..=1.2).contains(&(low / LIMIT * 2.0)),
            "seed {seed}: {low} of {}",
            LIMIT / 2.0
        );
        trial.until(35.0);
        trial.server.limit = LIMIT;
        trial.until(40.5);
        let best = (36..=40).map(|at| trial.rate_before(f64::from(at))).fold(0.0, f64::max);
        assert!(best >= 0.9 * LIMIT, "seed {seed}: only {best} of {LIMIT} within five seconds");
    }
}

#[test]
fn requests_sent_before_a_rejection_belong_to_its_event() {
    let mut learner = Learner::claimed(100.0);
    let at = Duration::from_millis;
    for sent in [10, 20, 30] {
        learner.sent(at(sent));
    }
    assert!(learner.rejected(at(40), at(10)));
    assert!(!learner.rejected(at(41), at(20)));
    assert!(!learner.rejected(at(42), at(40)));
    learner.sent(at(100));
    assert!(learner.rejected(at(110), at(100)));
}

#[test]
fn nothing_goes_while_a_rejection_is_unresolved_unless_a_reply_takes_long() {
    let mut learner = Learner::claimed(100.0);
    learner.sent(Duration::from_millis(10));
    learner.rejected(Duration::from_millis(20), Duration::from_millis(10));
    assert_eq!(learner.ready(1), Some(Duration::from_millis(2020)));
    let alone = learner.ready(0).expect("nothing else is in flight");
    assert!((Duration::from_millis(20)..Duration::from_secs(1)).contains(&alone));
}
