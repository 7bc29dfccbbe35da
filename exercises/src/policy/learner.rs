use std::collections::VecDeque;
use std::time::Duration;

use super::Time;
use super::rejections::{Rejection, Rejections};

/// The rate of a host about which nothing is known, in requests per second, and the factors of its
/// growth until the first rejection: `SLOW_START` with every accept, but no more than `A_ROUND` in
/// a round trip, because everything in flight at the first rejection is rejected too.
const FIRST_RATE: f64 = 20.0;
const SLOW_START: f64 = 1.07;
const A_ROUND: f64 = 1.4;
/// While nothing is known, this many requests may be in flight, and one more for every accept: they
/// double with each round trip.
const FIRST_WINDOW: usize = 10;
/// Replies to what was in flight at a rejection are waited for no longer than this, in seconds: one of
/// them may be a long download.
const UNRESOLVED: f64 = 2.0;
/// One request in ten minutes: below that, waiting is not pacing any more.
const LOWEST_RATE: f64 = 1.0 / 600.0;
/// After the first rejection, go on with this share of the rate that came through.
const FIRST_CUT: f64 = 0.88;
/// The rate of the latest accepts counts up to this multiple of the average: a full bucket raises
/// it.
const AT_MOST: f64 = 1.5;
/// How many slots without a request follow a rejection: meanwhile the bucket gathers tokens, which
/// absorb the network's jitter.
const REST: f64 = 4.0;
/// The same for a host without a bucket, which gathers no tokens and needs a shorter rest.
const REST_WITHOUT_BUCKET: f64 = 1.5;
/// Without a rejection the rate doubles in this number of seconds, or of requests if these take
/// longer. It rises with the fourth power of the time: late, then fast.
const DOUBLING_TIME: f64 = 4.0;
const DOUBLING_REQUESTS: f64 = 100.0;
/// Factors of the doubling time: below 1 the host is probed more often, above 1 less. This one holds
/// while the limit is not known yet.
const SEARCHING: f64 = 0.4;
/// Holds for a while after the limit has dropped.
const ALERT: f64 = 0.85;
/// Each rejection that confirms the limit multiplies the factor by `PATIENCE_STEP`, up to `PATIENT`.
const PATIENT: f64 = 8.0;
const PATIENCE_STEP: f64 = 1.6;
/// The seconds after a drop in which the host is probed more often: the limit may rise again.
const ALERT_TIME: f64 = 60.0;
/// If the rejected rate was above the estimate by this factor, the probe overshot and the estimate
/// stays.
const PROBE: f64 = 1.05;
/// A host has a bucket if it accepts this number of requests in a row, at a pace this many times
/// as fast as one that it rejects.
const IN_A_ROW: usize = 8;
const A_BUCKET: f64 = 1.25;
/// A trial closer to the estimate than this factor would tell nothing.
const A_TRIAL: f64 = 1.1;
/// The pace for a host without a bucket, as a share of the rate that it rejected.
const BELOW_LIMIT: f64 = 0.97;
/// tokio's timers have a resolution of a millisecond. At high rates the learner makes up for late
/// wake-ups, by at most this many seconds.
const LATE: f64 = 0.002;

#[doc = include_str!("LEARNER.md")]
#[derive(Clone, Debug)]
pub struct Learner {
    rate: f64,
    ceiling: f64,
    slow_start: bool,
    /// When this round trip of the slow start began, and the rate at that time.
    round: (f64, f64),
    kind: Kind,
    rejections: Rejections,
    accepted: u64,
    /// When the search for the limit began, and how many had been accepted by then.
    search: Option<Rejection>,
    /// When the newest accepted requests were sent, and the fastest pace among them.
    newest: VecDeque<f64>,
    fastest: f64,
    /// The newest rejection, and how many there were without an accept in between.
    cut_at: f64,
    streak: u32,
    /// How many rejections have confirmed the estimate, and the probing that follows from it.
    confirmed: u32,
    patience: f64,
    alert_until: f64,
    next: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Unknown,
    /// Whether a trial above the estimate is testing for a bucket.
    Tried {
        estimate: f64,
    },
    Bucket,
    NoBucket,
}

impl Learner {
    /// Knows nothing, and learns the rate.
    pub fn unknown() -> Self {
        Self::new(FIRST_RATE, f64::INFINITY, true)
    }

    /// Knows a rate in requests per second, and never exceeds it.
    pub fn claimed(rate: f64) -> Self {
        Self::new(rate, rate, false)
    }

    fn new(rate: f64, ceiling: f64, slow_start: bool) -> Self {
        Self {
            rate,
            ceiling,
            slow_start,
            round: (0.0, rate),
            kind: Kind::Unknown,
            rejections: Rejections::default(),
            accepted: 0,
            search: None,
            newest: VecDeque::new(),
            fastest: 0.0,
            cut_at: f64::NEG_INFINITY,
            streak: 0,
            confirmed: 0,
            patience: SEARCHING,
            alert_until: 0.0,
            next: 0.0,
        }
    }

    /// Whether anything has been rejected yet.
    pub fn has_learned(&self) -> bool {
        self.cut_at.is_finite()
    }

    /// The estimate of what the host allows, in requests per second; `None` as long as nothing was
    /// rejected.
    pub fn estimate(&self) -> Option<f64> {
        self.has_learned().then_some(self.rate)
    }

    /// Whether requests are far enough apart for the clock to tell.
    pub fn spaces(&self) -> bool {
        self.rate * LATE < 1.0
    }

    /// Whether nothing was accepted since the newest rejection.
    pub(super) fn is_blocked(&self) -> bool {
        self.streak > 0
    }

    /// When the next request may go; `None` as long as a reply has to come in first.
    pub fn ready(&self, in_flight: usize) -> Option<Time> {
        let window = match usize::try_from(self.accepted) {
            Ok(more) if self.slow_start => FIRST_WINDOW.saturating_add(more),
            _ => usize::MAX,
        };
        let unresolved = self.is_blocked() && in_flight > 0;
        let next = if unresolved { self.next.max(self.cut_at + UNRESOLVED) } else { self.next };
        (in_flight < window).then(|| seconds(next))
    }

    /// A request was sent.
    pub fn sent(&mut self, now: Time) {
        let now = now.as_secs_f64();
        self.search.get_or_insert(Rejection { accepted: self.accepted, at: now });
        let interval = 1.0 / self.rate_at(now);
        let late = if interval < LATE { LATE } else { 0.0 };
        self.next = self.next.max(now - late) + interval;
    }

    /// The host has accepted what was sent at `sent`.
    pub fn accepted(&mut self, now: Time, sent: Time) {
        let (now, sent) = (now.as_secs_f64(), sent.as_secs_f64());
        self.accepted += 1;
        if sent > self.cut_at {
            self.streak = 0;
        }
        self.observe_pace(sent);
        if self.slow_start {
            if sent >= self.round.0 {
                self.round = (now, self.rate);
            }
            let most = (A_ROUND * self.round.1).min(self.ceiling);
            self.rate = (self.rate * SLOW_START).min(most);
        } else if self.has_learned() && self.streak == 0 && now - self.cut_at > self.doubling() {
            self.search_again(now);
        }
    }

    /// The host has rejected what was sent at `sent`. Returns whether this is a new event: requests
    /// sent before the last rejection was known belong to that one.
    pub fn rejected(&mut self, now: Time, sent: Time) -> bool {
        let (now, sent) = (now.as_secs_f64(), sent.as_secs_f64());
        if sent <= self.cut_at {
            return false;
        }
        let mark = Rejection { accepted: self.accepted, at: now };
        let overall = self.overall(mark);
        if self.rejections.is_empty() {
            self.first_cut(mark, overall);
        } else if self.streak == 0 {
            self.cut(mark, self.rate_at(sent));
        } else {
            self.kind = Kind::Bucket; // a window: nothing is accepted until it ends
        }
        self.rate = self.rate.clamp(LOWEST_RATE, self.ceiling);
        self.slow_start = false;
        self.cut_at = now;
        let rest = if self.kind == Kind::NoBucket { REST_WITHOUT_BUCKET } else { REST };
        let slot = 1.0 / self.rate.min(overall).max(LOWEST_RATE);
        self.next = now + (rest * slot * 2f64.powi(self.streak.min(16).cast_signed())).min(60.0);
        self.streak += 1;
        true
    }

    /// The host has announced its rate: the learner stays below it.
    pub fn announced(&mut self, rate: f64) {
        self.ceiling = self.ceiling.min(rate);
        self.rate = if self.slow_start { self.ceiling } else { self.rate.min(self.ceiling) };
        self.slow_start = false;
    }

    /// The rate of this moment: the estimate, and the probe on top of it.
    fn rate_at(&self, now: f64) -> f64 {
        if !self.has_learned() || self.streak > 0 {
            return self.rate;
        }
        let quiet = (now - self.cut_at) / self.doubling();
        (self.rate * 2f64.powf(quiet.powi(4).min(1.0))).min(self.ceiling)
    }

    fn doubling(&self) -> f64 {
        DOUBLING_TIME.max(DOUBLING_REQUESTS / self.rate) * self.patience
    }

    /// The average rate accepted since the search began, which includes a full bucket. No bound if
    /// almost nothing was accepted, or after the search.
    fn overall(&self, now: Rejection) -> f64 {
        match self.search {
            Some(start) if self.confirmed == 0 && now.accepted - start.accepted >= 5 => {
                (now.accepted - start.accepted) as f64 / (now.at - start.at).max(0.001)
            }
            _ => f64::INFINITY,
        }
    }

    /// The rate has doubled and nothing was rejected: the limit has moved, so the search starts
    /// again.
    fn search_again(&mut self, now: f64) {
        self.rate = self.rate_at(now);
        self.cut_at = now;
        self.patience = SEARCHING;
        self.confirmed = 0;
        self.fastest = 0.0;
        self.rejections = Rejections::default();
        self.kind = Kind::Unknown;
        self.search = Some(Rejection { accepted: self.accepted, at: now });
    }

    /// The first rejection: there is no estimate yet, only the rate that came through lately.
    fn first_cut(&mut self, mark: Rejection, overall: f64) {
        let lately = match self.newest.front() {
            Some(first) => (self.newest.len() - 1) as f64 / (mark.at - first).max(0.001),
            None => 0.0,
        };
        let came_through = if overall.is_finite() {
            lately.min(AT_MOST * overall).max(overall)
        } else {
            self.rate / 2.0
        };
        self.rate = self.rate.min(FIRST_CUT * came_through);
        self.rejections.push(mark);
    }

    /// The fastest pace at which some requests in a row were sent and accepted.
    fn observe_pace(&mut self, sent: f64) {
        if self.newest.len() == IN_A_ROW {
            self.newest.pop_front();
        }
        self.newest.push_back(sent);
        if self.newest.len() == IN_A_ROW {
            let time = (sent - self.newest[0]).max(0.001);
            self.fastest = self.fastest.max((IN_A_ROW - 1) as f64 / time);
        }
    }

    /// A further rejection: the estimate follows from it.
    fn cut(&mut self, mark: Rejection, rate: f64) {
        let before = self.rate;
        let dropped = if self.confirmed > 1 { self.rejections.take_drop(mark) } else { None };
        if dropped.is_some() {
            self.confirmed = 0;
            self.patience = ALERT;
            self.alert_until = mark.at + ALERT_TIME;
        }
        let (accepts, estimate) = self.rejections.estimate(mark).unwrap_or((0, before));
        let stretch = self.rejections.stretch(mark);
        self.rejections.push(mark);
        self.confirmed += 1;
        self.rate = if accepts < 5 {
            0.7 * before
        } else if let Some(rate) = dropped {
            rate
        } else {
            self.steer(estimate, stretch, rate)
        };
        self.be_patient(mark.at, before);
    }

    /// The new rate after a rejection of a request at `rate`.
    fn steer(&mut self, estimate: f64, stretch: u64, rate: f64) -> f64 {
        let step = (0.24 / f64::from(self.confirmed)).max(0.007);
        let probed = rate > PROBE * self.rate;
        let limit = BELOW_LIMIT * rate;
        if self.kind == Kind::Unknown && self.fastest > A_BUCKET * rate {
            self.kind = Kind::Bucket;
        }
        match self.kind {
            Kind::Unknown if probed && stretch >= 20 && limit > A_TRIAL * estimate => {
                self.kind = Kind::Tried { estimate };
                limit
            }
            Kind::Tried { estimate } if self.looks_like_a_bucket(estimate, stretch) => {
                let between = f64::midpoint(estimate, self.rate);
                if between > A_TRIAL * estimate {
                    return between; // jitter may look like a bucket once
                }
                self.kind = Kind::Bucket;
                estimate
            }
            Kind::Tried { .. } | Kind::NoBucket => {
                self.kind = Kind::NoBucket;
                if probed { limit } else { self.rate * without_bucket(stretch) }
            }
            _ if self.confirmed <= 2 => estimate,
            _ if probed => estimate.max(self.rate * (1.0 + 0.2 * step)).min(rate),
            _ => estimate.clamp(self.rate * (1.0 - 2.0 * step), self.rate * (1.0 - step)),
        }
    }

    /// Whether a token bucket explains the rejection: it gathers tokens during the rest, and
    /// requests above the estimate use them up.
    fn looks_like_a_bucket(&self, estimate: f64, stretch: u64) -> bool {
        let expected = REST * estimate / (self.rate - estimate).max(0.001);
        (0.5 * expected..1.5 * expected + 4.0).contains(&(stretch as f64))
    }

    /// The longer rejections confirm one another, the less often the host is probed.
    fn be_patient(&mut self, now: f64, before: f64) {
        let steady = (self.rate / before - 1.0).abs() < 0.25;
        if self.confirmed == 1 && now >= self.alert_until {
            self.patience = 1.0;
        } else if self.confirmed > 2 && steady && now > self.alert_until {
            self.patience = (self.patience * PATIENCE_STEP).min(PATIENT);
        }
    }
}

/// The rate after a rejection by a host without a bucket. A rare rejection is network jitter, and
/// costs less than a slower pace.
fn without_bucket(stretch: u64) -> f64 {
    match stretch {
        0..20 => 0.97,
        20..100 => 0.99,
        _ => 1.0,
    }
}

fn seconds(at: f64) -> Time {
    // The rest is bounded; a negative time means at once.
    Duration::try_from_secs_f64(at.max(0.0)).unwrap_or(Duration::MAX)
}
