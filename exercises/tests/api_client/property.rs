//! Two thousand random servers, on a clock that jumps to the next event, with outages, wrong clocks
//! and every form of header: no request is lost, none goes before its time, and a cancelled run
//! ends at once. Servers that reject everything, whatever they announce, get few requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use common::Context;
use exercises::api_client::{
    Body, Client, Config, ErrorKind, Failure, Outcome, Request, Transport,
};
use exercises::policy::{Announced, Answer, Failing, Quota, Rate, Reason, Settings};
use futures_util::{StreamExt, stream};
use http::Response;
use proptest::prelude::*;
use proptest::test_runner::Config as Runs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::scheduling::{Reply, run_all};

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
    /// A share of all requests, in percent.
    failing: u32,
    broken: u32,
    retry_after: Option<u64>,
    /// When the hosts are down, for how long, and how they fail.
    outage: Option<(Duration, Duration, Outage)>,
    form: Form,
    /// How far the servers' clocks are off, in seconds.
    skew: i64,
    /// How many connections this machine allows.
    files: usize,
    cancel: Option<Duration>,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outage {
    Refused,
    HangsUp,
    BadGateway,
    Unavailable,
}

/// How a server says how much is left and how long to wait.
#[derive(Clone, Copy, Debug)]
enum Form {
    Silent,
    Plain,
    Structured,
    Draft7,
    Epoch,
    Milliseconds,
    Date,
    Iso,
    Units,
    ResetAfter,
    Shopify,
    Malformed,
}

const FORMS: [Form; 12] = [
    Form::Silent,
    Form::Plain,
    Form::Structured,
    Form::Draft7,
    Form::Epoch,
    Form::Milliseconds,
    Form::Date,
    Form::Iso,
    Form::Units,
    Form::ResetAfter,
    Form::Shopify,
    Form::Malformed,
];

fn cases() -> impl Strategy<Value = Case> {
    let load = (1..80_usize, 1..4_usize, 1..20_usize, 0..5_u32);
    let rate = prop::option::of((1.0..200.0_f64, 1..10_u32));
    let host = (1.0..300.0_f64, prop_oneof![Just(0.0), 0.0..30.0_f64], 0..200_u64);
    let trouble = (0..40_u32, 0..20_u32, prop::option::of(0..4_u64), 1..40_usize);
    let kinds = [Outage::Refused, Outage::HangsUp, Outage::BadGateway, Outage::Unavailable];
    let outage = (0..3000_u64, 1..20_000_u64, prop::sample::select(kinds.to_vec()));
    let outage = prop::option::of(outage.prop_map(|(start, length, kind)| {
        (Duration::from_millis(start), Duration::from_millis(length), kind)
    }));
    let said = (outage, prop::sample::select(FORMS.to_vec()), -7200..7200_i64);
    let cancel = prop::option::weighted(0.25, (0..3000_u64).prop_map(Duration::from_millis));
    (load, rate, host, trouble, said, cancel, any::<u64>()).prop_map(
        |(load, rate, host, trouble, said, cancel, seed)| Case {
            outage: said.0,
            form: said.1,
            skew: said.2,
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
    /// The answer in this kind of outage.
    Down(Outage),
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

    async fn send(&self, request: &Request) -> Result<Response<Empty>, Failure> {
        let (index, active) = self.begin(request);
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
        let mut response = Response::builder();
        for (name, value) in self.says(&state, index) {
            response = response.header(name, value);
        }
        let response = match answered {
            Answered::Fine => response.status(200),
            Answered::Failed if broken => {
                return Err(Failure::broken(ErrorKind::Connect, "broken"));
            }
            Answered::Failed => response.status(500),
            Answered::Down(Outage::BadGateway) => response.status(502),
            Answered::Down(Outage::Unavailable) => response.status(503),
            Answered::Down(Outage::Refused) => {
                return Err(Failure::unreachable(ErrorKind::Connect, "refused"));
            }
            Answered::Down(Outage::HangsUp) => {
                return Err(Failure::new(
                    ErrorKind::Connect,
                    "hung up",
                    Answer::Failed(Failing::HungUp),
                ));
            }
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
    /// The request's number, and how many are in flight.
    fn begin(&self, request: &Request) -> (usize, usize) {
        let mut state = self.state.lock().expect("no panic");
        let host = request.url().host_str().expect("a host").to_owned();
        let (url, at) = (request.url().to_string(), self.started.elapsed());
        state.sent.push(Sent { url, host, at, answered: None });
        let active = state.sent.iter().filter(|sent| sent.answered.is_none()).count();
        (state.sent.len() - 1, active)
    }

    /// How much the bucket has left, and that it is full again within a second or a few.
    fn says(&self, state: &State, index: usize) -> Vec<(&'static str, String)> {
        let Case { limit, burst, skew, form, .. } = self.case;
        let now = self.started.elapsed();
        let host = &state.sent[index].host;
        let (excess, at) = state.buckets.get(host).copied().unwrap_or((0.0, now));
        let excess = excess - now.saturating_sub(at).as_secs_f64() * limit;
        let left = (burst - excess).clamp(0.0, burst).floor() as u64;
        let reset = (excess.max(0.0) / limit).ceil().max(1.0) as i64;
        let clock = 1_700_000_000 + now.as_secs().cast_signed() + skew;
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.cast_unsigned());
        let x = |reset: String| {
            let limit = ("x-ratelimit-limit", format!("{}", burst as u64 + 1));
            vec![limit, ("x-ratelimit-remaining", left.to_string()), ("x-ratelimit-reset", reset)]
        };
        let mut headers = match form {
            Form::Silent => vec![],
            Form::Plain => x(reset.to_string()),
            Form::Structured => vec![("ratelimit", format!("\"a\";r={left};t={reset}"))],
            Form::Draft7 => {
                vec![("ratelimit", format!("limit=9, remaining={left}, reset={reset}"))]
            }
            Form::Epoch => x((clock + reset).to_string()),
            Form::Milliseconds => x((1000 * (clock + reset)).to_string()),
            Form::Date => x(httpdate::fmt_http_date(time(clock + reset))),
            Form::Iso => x(iso(clock + reset)),
            Form::Units => vec![
                ("x-ratelimit-remaining-requests", left.to_string()),
                ("x-ratelimit-reset-requests", format!("{reset}s")),
            ],
            Form::ResetAfter => vec![
                ("x-ratelimit-remaining", left.to_string()),
                ("x-ratelimit-reset-after", format!("{reset}.0")),
            ],
            Form::Shopify => {
                let size = burst as u64 + 1;
                vec![("x-shopify-shop-api-call-limit", format!("{}/{size}", size - left.min(size)))]
            }
            Form::Malformed => vec![("ratelimit", format!("a;r={left};;t=\"{reset}"))],
        };
        headers.push(("date", httpdate::fmt_http_date(time(clock))));
        headers
    }

    /// A bucket like nginx's, and random faults.
    fn decide(&self, index: usize) -> Answered {
        let mut state = self.state.lock().expect("no panic");
        let now = self.started.elapsed();
        if let Some((start, length, kind)) = self.case.outage
            && (start..start + length).contains(&now)
        {
            return Answered::Down(kind);
        }
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

fn iso(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("it is in range").to_string()
}

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
    // An attempt that was cut off before it was sent counts too.
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
    let wait = Duration::from_secs(wait);
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

    /// While everything is rejected, the number of requests grows with the logarithm of the time,
    /// and then by one a minute; requests fail only when patience ends.
    #[test]
    fn a_host_that_rejects_everything_is_not_hammered(case in rejecting()) {
        let Rejecting { settings, requests, announced, trip } = case;
        // Before the first answer: all requests if the rate is given, ten if it is learned.
        let slots = if settings.rate.is_some() { settings.concurrency } else { 10 };
        let first = slots.min(settings.concurrency).min(requests);
        let run = run_all(settings, &vec!["host"; requests], |_, _| Reply {
            trip,
            answer: Answer::Rejected,
            announced: announced.clone(),
        });
        for (number, (at, _)) in run.sent.iter().enumerate().skip(first) {
            let seconds = at.as_secs_f64();
            let most = first as f64 + 1.0 + (seconds + 1.0).log2().min(6.0) + seconds / 60.0;
            assert!(number as f64 <= most, "number {number} at {seconds}: at most {most}");
        }
        assert_eq!(run.given_up.len(), requests);
        let patience = run.given_up.iter().all(|(_, reason)| *reason == Reason::Patience);
        assert!(patience, "{:?}", run.given_up);
    }
}

#[derive(Clone, Debug)]
struct Rejecting {
    settings: Settings,
    requests: usize,
    announced: Announced,
    trip: Duration,
}

fn rejecting() -> impl Strategy<Value = Rejecting> {
    let rate = prop::option::of((0.1..5000.0_f64, 1..10_u32));
    let settings = (rate, 1..200_usize, any::<bool>(), any::<bool>(), any::<u64>());
    let quota = (prop::option::of(1.0..10_000.0_f64), 0.0..10_000.0_f64, 0..600_u64);
    let quotas = prop::collection::vec(quota, 0..3);
    let announced = (prop::option::of(0..600_u64), quotas);
    (settings, 1..100_usize, announced, 1..3000_u64).prop_map(
        |((rate, concurrency, polite, adaptive, seed), requests, (wait, quotas), trip)| {
            let rate = rate.map(|(per_second, burst)| Rate { per_second, burst });
            let quotas = quotas.into_iter().enumerate().map(|(name, (limit, remaining, reset))| {
                let (name, reset) = (name.to_string(), Duration::from_secs(reset));
                Quota { name, limit, remaining, reset, window: None }
            });
            Rejecting {
                settings: Settings {
                    concurrency,
                    rate,
                    polite,
                    adaptive,
                    seed,
                    ..Settings::default()
                },
                requests,
                announced: Announced {
                    retry_after: wait.map(Duration::from_secs),
                    quotas: quotas.collect(),
                    most_in_flight: None,
                },
                trip: Duration::from_millis(trip),
            }
        },
    )
}
