//! A simulated network with partitions, delays and resets, by turmoil: the same client over hyper.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::Context;
use exercises::api_client::{
    Body, Client, Config, ErrorKind, Failure, Limits, Outcome, Request, Transport,
};
use exercises::policy::{Rate, Settings};
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use turmoil::net::{TcpListener, TcpStream};

const SEEDS: u64 = 300;
const REQUESTS: usize = 25;

/// HTTP by hyper over simulated sockets, one connection for each request.
struct Hyper;

struct Received {
    body: Incoming,
    /// Drives the connection for as long as the body is wanted.
    _connection: tokio::task::JoinSet<()>,
}

impl Transport for Hyper {
    type Body = Received;

    async fn send(&self, request: &Request) -> Result<Response<Received>, Failure> {
        let unsent =
            |err: std::io::Error| Failure::unreachable(ErrorKind::Connect, err.to_string());
        let broken = |err: hyper::Error| Failure::broken(ErrorKind::Connect, err.to_string());
        let address = (request.url().host_str().expect("a host"), 80);
        let stream = TcpStream::connect(address).await.map_err(unsent)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(broken)?;
        let mut connections = tokio::task::JoinSet::new();
        connections.spawn(async move { drop(connection.await) });
        let request =
            hyper::Request::builder().uri(request.url().path()).header("host", "simulated");
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(response.map(|body| Received { body, _connection: connections }))
    }
}

impl Body for Received {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|err| Failure::broken(ErrorKind::Body, err.to_string()))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

async fn serve(limit: Arc<Mutex<Bucket>>) -> turmoil::Result {
    let any: IpAddr = [0, 0, 0, 0].into();
    let listener = TcpListener::bind((any, 80)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let limit = limit.clone();
        // Ends with its connection, or with the simulated host. It is a local task, because a
        // runtime drops other tasks at its shutdown in an order that no seed decides.
        tokio::task::spawn_local(async move {
            let service = service_fn(move |_| {
                let accepted = limit.lock().expect("no panic").accepts();
                let status = if accepted { 200 } else { 429 };
                let body = Full::<Bytes>::from("x".repeat(if accepted { 5000 } else { 0 }));
                async move { Response::builder().status(status).body(body) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            drop(connection.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// A limit of forty a second, and ten at once.
#[derive(Default)]
struct Bucket {
    excess: f64,
    at: Option<tokio::time::Instant>,
}

impl Bucket {
    fn accepts(&mut self) -> bool {
        let now = tokio::time::Instant::now();
        let leaked = self.at.map_or(0.0, |at| (now - at).as_secs_f64() * 40.0);
        let excess = (self.excess - leaked + 1.0).max(0.0);
        if excess <= 10.0 {
            (self.excess, self.at) = (excess, Some(now));
        }
        excess <= 10.0
    }
}

/// One simulated run. Returns its outcomes.
fn simulate(seed: u64) -> Vec<Outcome> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .simulation_duration(Duration::from_mins(10))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(rng.random_range(2..200)));
    if seed.is_multiple_of(3) {
        builder.fail_rate(0.02).repair_rate(0.5);
    }
    let mut sim = builder.build();
    // A server that starts anew has a new limit: each start has a clock of its own.
    sim.host("server", || serve(Arc::default()));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let collected = outcomes.clone();
    let rate = rng.random_bool(0.5).then_some(Rate { per_second: 80.0, burst: 2 });
    sim.client("client", async move {
        *collected.lock().expect("no panic") = fetch(seed, rate).await;
        Ok(())
    });
    let (cut, heal, crash) =
        (rng.random_range(1..800), rng.random_range(1..3000), rng.random_range(1..1500));
    let mut steps = 0;
    while !sim.step().expect("the client ends") {
        steps += 1;
        if seed.is_multiple_of(2) && steps == cut {
            sim.partition("client", "server");
        }
        if seed.is_multiple_of(2) && steps == cut + heal {
            sim.repair("client", "server");
        }
        if seed.is_multiple_of(5) && steps == crash {
            sim.bounce("server"); // every connection is reset
        }
    }
    drop(sim);
    Arc::into_inner(outcomes).expect("the client has ended").into_inner().expect("no panic")
}

async fn fetch(seed: u64, rate: Option<Rate>) -> Vec<Outcome> {
    let limits = Limits { stall: Duration::from_secs(2), ..Limits::default() };
    let policy = Settings {
        concurrency: 8,
        rate,
        seed,
        retries: 12,
        retry_budget: 5.0,
        ..Settings::default()
    };
    let config = Config { policy, limits, ..Config::default() };
    let client = Client::with_transport(config, Hyper).expect("a client");
    let urls = (0..REQUESTS).map(|n| format!("http://server/{n}"));
    let requests = stream::iter(urls).map(|url| Request::get(&url));
    client.fetch_all(&Context::background(), requests).collect().await
}

#[test]
fn every_request_survives_partitions_delays_and_resets() {
    let mut tried_again = 0;
    for seed in 0..SEEDS {
        let outcomes = simulate(seed);
        let mut urls: Vec<_> = outcomes.iter().map(|outcome| &outcome.url).collect();
        urls.sort();
        urls.dedup();
        assert_eq!((urls.len(), outcomes.len()), (REQUESTS, REQUESTS), "seed {seed}");
        for outcome in &outcomes {
            let whole = outcome.error.is_none() && outcome.bytes == 5000;
            assert!(whole, "seed {seed}: {outcome:?}");
            tried_again += u64::from(outcome.attempts > 1 + outcome.rejected);
        }
    }
    assert!(tried_again > SEEDS, "the network was hardly in the way: {tried_again} retries");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..30 {
        assert!(simulate(seed) == simulate(seed), "seed {seed}");
    }
}
