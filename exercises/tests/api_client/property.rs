//! Two thousand random servers, on a clock that jumps to the next event: no request is lost, none
//! goes before its time, the budget is kept, and a cancelled run ends at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::Context;
use exercises::api_client::policy::{Rate, Settings};
use exercises::api_client::{
    Body, Call, Client, Config, ErrorKind, Failure, Outcome, Request, Transport,
};
use futures_util::{StreamExt, stream};
use http::Response;
use proptest::prelude::*;
use proptest::test_runner::Config as Runs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

#[derive(Clone, Debug)]
struct Case {
    requests: usize,
    hosts: usize,
    concurrency: usize,
    rate: Option<Rate>,
    retries: u32,
    limit: f64,
    burst: f64,
    trip: Duration,
    /// Of all requests, in percent.
    failing: u32,
    broken: u32,
    retry_after: Option<u64>,
    /// How many connections this machine can have.
    files: usize,
    cancel: Option<Duration>,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let load = (1..80_usize, 1..4_usize, 1..20_usize, 0..5_u32);
    let rate = prop::option::of((1.0..200.0_f64, 1..10_u32));
    let host = (1.0..300.0_f64, prop_oneof![Just(0.0), 0.0..30.0_f64], 0..200_u64);
    let trouble = (0..40_u32, 0..20_u32, prop::option::of(0..4_u64), 1..40_usize);
    let cancel = prop::option::weighted(0.25, (0..3000_u64).prop_map(Duration::from_millis));
    (load, rate, host, trouble, cancel, any::<u64>()).prop_map(
        |(load, rate, host, trouble, cancel, seed)| Case {
            requests: load.0,
            hosts: load.1,
            concurrency: load.2,
            retries: load.3,
            rate: rate.map(|(per_second, burst)| Rate { per_second, burst }),
            limit: host.0,
            burst: host.1,
            trip: Duration::from_millis(host.2),
            failing: trouble.0,
            broken: trouble.1,
            retry_after: trouble.2,
            files: trouble.3,
            cancel,
            seed,
        },
    )
}

/// What came in, when, and how it was answered.
#[derive(Clone, Debug)]
struct Sent {
    url: String,
    host: String,
    at: Duration,
    answered: Option<(Duration, Answered)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answered {
    Fine,
    Rejected,
    Failed,
    Starved,
}

struct Simulated {
    case: Case,
    started: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    rng: StdRng,
    buckets: HashMap<String, (f64, Duration)>,
    sent: Vec<Sent>,
}

struct Empty;

impl Body for Empty {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }
}

impl Transport for Simulated {
    type Body = Empty;

    async fn send(&self, call: &Call) -> Result<Response<Empty>, Failure> {
        let (index, active) = self.begin(call);
        if active > self.case.files {
            self.state.lock().expect("no panic").sent[index].answered =
                Some((self.started.elapsed(), Answered::Starved));
            return Err(Failure::starved(ErrorKind::Connect, "no more files"));
        }
        sleep(self.case.trip / 2).await;
        let answered = self.decide(index);
        sleep(self.case.trip / 2).await;
        let mut state = self.state.lock().expect("no panic");
        state.sent[index].answered = Some((self.started.elapsed(), answered));
        let broken = state.rng.random_range(0..100) < self.case.broken;
        let response = Response::builder();
        let response = match answered {
            Answered::Fine => response.status(200),
            Answered::Failed if broken => {
                return Err(Failure::passing(ErrorKind::Connect, "broken"));
            }
            Answered::Failed => response.status(500),
            Answered::Starved => unreachable!("it was not sent"),
            Answered::Rejected => match self.case.retry_after {
                Some(wait) => response.status(429).header("retry-after", wait),
                None => response.status(429),
            },
        };
        Ok(response.body(Empty).expect("a response"))
    }
}

impl Simulated {
    /// Its number, and how many are in flight with it.
    fn begin(&self, call: &Call) -> (usize, usize) {
        let mut state = self.state.lock().expect("no panic");
        let host = call.url.host_str().expect("a host").to_owned();
        let (url, at) = (call.url.to_string(), self.started.elapsed());
        state.sent.push(Sent { url, host, at, answered: None });
        let active = state.sent.iter().filter(|sent| sent.answered.is_none()).count();
        (state.sent.len() - 1, active)
    }

    /// A bucket as nginx has it, and a die.
    fn decide(&self, index: usize) -> Answered {
        let mut state = self.state.lock().expect("no panic");
        let now = self.started.elapsed();
        let host = state.sent[index].host.clone();
        let (excess, at) = state.buckets.get(&host).copied().unwrap_or((-1.0, now));
        let leaked = now.saturating_sub(at).as_secs_f64() * self.case.limit;
        let excess = (excess - leaked + 1.0).max(0.0);
        if excess > self.case.burst {
            return Answered::Rejected;
        }
        state.buckets.insert(host, (excess, now));
        let failing = state.rng.random_range(0..100) < self.case.failing;
        if failing { Answered::Failed } else { Answered::Fine }
    }
}

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(2);
const RETRY_BUDGET: f64 = 0.5;

async fn run(case: &Case) -> (Vec<Outcome>, Vec<Sent>, Option<Duration>) {
    let started = Instant::now();
    let rng = StdRng::seed_from_u64(case.seed);
    let state = State { rng, buckets: HashMap::new(), sent: Vec::new() };
    let state = Arc::new(Mutex::new(state));
    let transport = Simulated { case: case.clone(), started, state: state.clone() };
    let policy = Settings {
        concurrency: case.concurrency,
        rate: case.rate,
        retries: case.retries,
        max_retry_after: LONGEST_RETRY_AFTER,
        retry_budget: RETRY_BUDGET,
        seed: case.seed,
        ..Settings::default()
    };
    let config = Config { policy, ..Config::default() };
    let client = Client::with_transport(config, transport).expect("a client");
    let (requests, hosts) = (case.requests, case.hosts);
    let urls = (0..requests).map(move |n| format!("http://host{}/{n}", n % hosts));
    let ctx = Context::background();
    let requests = stream::iter(urls).map(|url| Request::get(&url));
    let mut outcomes = client.fetch_all(&ctx, requests);
    let mut done = Vec::new();
    let cancel = sleep(case.cancel.unwrap_or(Duration::from_hours(1_000)));
    tokio::pin!(cancel);
    let mut canceled = None;
    loop {
        tokio::select! {
            outcome = outcomes.next() => match outcome {
                Some(outcome) => done.push(outcome),
                None => break,
            },
            () = &mut cancel, if canceled.is_none() => {
                ctx.cancel();
                canceled = Some(started.elapsed());
            }
        }
    }
    if let Some(canceled) = canceled {
        assert_eq!(started.elapsed(), canceled, "a cancelled run ends at once");
    }
    let sent = state.lock().expect("no panic").sent.clone();
    (done, sent, canceled)
}

fn check(case: &Case, outcomes: &[Outcome], sent: &[Sent], canceled: Option<Duration>) {
    let mut urls: Vec<_> = outcomes.iter().map(|outcome| &outcome.url).collect();
    urls.sort();
    urls.dedup();
    assert_eq!((urls.len(), outcomes.len()), (case.requests, case.requests), "one outcome each");
    let attempts: u32 = outcomes.iter().map(|outcome| outcome.attempts).sum();
    // One that was cut off before it began counts as an attempt.
    let cut = canceled.map_or(0, |_| case.concurrency);
    let counted = (sent.len()..=sent.len() + cut).contains(&(attempts as usize));
    assert!(counted, "{attempts} attempts, {} sent", sent.len());
    for outcome in outcomes {
        let last = sent.iter().rev().find(|sent| sent.url == outcome.url);
        let fetched =
            last.and_then(|last| last.answered).map(|(_, how)| how) == Some(Answered::Fine);
        let kind = outcome.error.as_ref().map(|error| error.kind);
        assert!(outcome.error.is_none() == fetched || canceled.is_some(), "{outcome:?}");
        assert!(canceled.is_some() || kind != Some(ErrorKind::Canceled), "{outcome:?}");
    }
    if let Some(canceled) = canceled {
        assert!(sent.iter().all(|sent| sent.at <= canceled), "nothing is sent after the end");
    }
    keeps_the_rate(case, sent);
    waits_as_told(case, sent);
    keeps_the_budget(sent);
}

fn keeps_the_rate(case: &Case, sent: &[Sent]) {
    let Some(rate) = case.rate else { return };
    for host in 0..case.hosts {
        let host = format!("host{host}");
        let times: Vec<_> = sent.iter().filter(|s| s.host == host).map(|s| s.at).collect();
        for (first, at) in times.iter().enumerate() {
            let within = times[first..].partition_point(|t| *t < *at + Duration::from_secs(1));
            let most = rate.per_second + f64::from(rate.burst);
            assert!(within as f64 <= most, "{within} in the second from {at:?}");
        }
    }
}

/// Its own `Retry-After` holds for the request, and one of more than a second for the host.
fn waits_as_told(case: &Case, sent: &[Sent]) {
    let Some(wait) = case.retry_after else { return };
    let wait = Duration::from_secs(wait).min(LONGEST_RETRY_AFTER);
    for rejected in sent {
        let Some((told, Answered::Rejected)) = rejected.answered else { continue };
        let held = |other: &&Sent| {
            other.url == rejected.url
                || (other.host == rejected.host && wait > Duration::from_secs(1))
        };
        let early = sent.iter().filter(held).find(|s| s.at > told && s.at < told + wait);
        assert!(early.is_none(), "told {wait:?} at {told:?}: {early:?}");
    }
}

/// Within the last ten seconds no more than ten retries, or half as many as requests.
fn keeps_the_budget(sent: &[Sent]) {
    let granted: Vec<_> = sent
        .iter()
        .enumerate()
        .filter_map(|(index, failed)| {
            let (at, Answered::Failed) = failed.answered? else { return None };
            let again = sent[index + 1..].iter().any(|later| later.url == failed.url);
            again.then_some((failed.host.clone(), at))
        })
        .collect();
    for (host, at) in &granted {
        let seconds = at.as_secs().saturating_sub(9)..=at.as_secs();
        let recent = |t: Duration| seconds.contains(&t.as_secs()) && t <= *at;
        let retries = granted.iter().filter(|(h, t)| h == host && recent(*t)).count();
        let requests = sent.iter().filter(|s| s.host == *host && recent(s.at)).count();
        // Of what happens in the same instant it is not known here what came first.
        let same = granted.iter().filter(|(h, t)| h == host && t == at).count();
        let most = 10.0_f64.max(RETRY_BUDGET * requests as f64) + same as f64;
        assert!(retries as f64 <= most, "{retries} retries for {requests} requests at {at:?}");
    }
}

proptest! {
    #![proptest_config(Runs { cases: 2000, failure_persistence: None, ..Runs::default() })]

    #[test]
    fn no_request_is_lost_and_none_goes_before_its_time(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let (outcomes, sent, canceled) = runtime.block_on(run(&case));
        check(&case, &outcomes, &sent, canceled);
    }
}
