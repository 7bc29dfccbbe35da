//! A run of the client against nginx, in numbers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Context;
use exercises::api_client::{Client, Config, Failure, Outcome, Request, Transport, Web};
use exercises::policy::{Rate, Settings};
use futures_util::{StreamExt, stream};
use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What nginx allows, in requests per second.
pub(crate) const LIMIT: u32 = 50;

/// The web, and the time of each request.
struct Watched {
    web: Web,
    sent: Arc<Mutex<Vec<Instant>>>,
}

impl Transport for Watched {
    type Body = <Web as Transport>::Body;

    async fn send(&self, request: &Request) -> Result<Response<Self::Body>, Failure> {
        self.sent.lock().expect("no panic").push(Instant::now());
        self.web.send(request).await
    }
}

/// A run in numbers.
pub(crate) struct Run {
    pub(crate) outcomes: Vec<Outcome>,
    /// When each outcome came, from the start of the run.
    at: Vec<Duration>,
    sent: Vec<Instant>,
    /// How late the clock wakes a task, at most, in 98 of 100 cases.
    pub(crate) lateness: Duration,
}

impl Run {
    pub(crate) fn took(&self) -> Duration {
        self.at.last().copied().unwrap_or_default()
    }

    /// The share of the allowed rate, in percent.
    pub(crate) fn share(&self) -> f64 {
        self.outcomes.len() as f64 / self.took().as_secs_f64() / f64::from(LIMIT) * 100.0
    }

    pub(crate) fn lost(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.error.is_some()).count()
    }

    /// The rejected share of all requests, in percent.
    pub(crate) fn rejected(&self) -> f64 {
        let rejected: u32 = self.outcomes.iter().map(|outcome| outcome.rejected).sum();
        f64::from(rejected) / self.outcomes.len() as f64 * 100.0
    }

    /// How many were fetched in the second before `end`.
    pub(crate) fn fetched_before(&self, end: Duration) -> f64 {
        let second = end.saturating_sub(Duration::from_secs(1))..end;
        self.at.iter().filter(|at| second.contains(*at)).count() as f64
    }

    /// The most that went out in any second.
    pub(crate) fn most_in_a_second(&self) -> usize {
        let within = |(first, at): (usize, &Instant)| {
            self.sent[first..].partition_point(|sent| *sent < *at + Duration::from_secs(1))
        };
        self.sent.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

pub(crate) async fn run(policy: Settings, urls: Vec<String>) -> Run {
    let config = Config { policy, ..Config::default() };
    let web = Web::new(config.limits.connect, config.policy.concurrency).expect("a client");
    let sent = Arc::new(Mutex::new(Vec::new()));
    let transport = Watched { web, sent: sent.clone() };
    let client = Client::with_transport(config, transport).expect("a client");
    let requests = stream::iter(urls).map(|url| Request::get(&url));
    let started = Instant::now();
    let lateness = Lateness::watch();
    let mut stream = client.fetch_all(&Context::background(), requests);
    let (mut outcomes, mut at) = (Vec::new(), Vec::new());
    while let Some(outcome) = stream.next().await {
        outcomes.push(outcome);
        at.push(started.elapsed());
    }
    let mut sent = sent.lock().expect("no panic").clone();
    sent.sort();
    let lateness = lateness.stop().await;
    Run { outcomes, at, sent, lateness }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, rejected, lost) = (self.share(), self.rejected(), self.lost());
        let (took, late) = (self.took().as_secs_f64(), self.lateness.as_secs_f64() * 1e3);
        write!(f, "{share:.1} % of the rate, {rejected:.2} % rejected, {lost} lost, {took:.2} s")?;
        write!(f, " (tasks woke up to {late:.1} ms late)")
    }
}

/// A task that sleeps, and how late it wakes up.
struct Lateness {
    stop: Context,
    task: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Lateness {
    fn watch() -> Self {
        let stop = Context::background();
        let ctx = stop.clone();
        let task = tokio::spawn(async move {
            let mut late = Vec::new();
            while ctx.err().is_none() {
                let due = Instant::now() + Duration::from_millis(10);
                sleep_until(due).await;
                late.push(due.elapsed());
            }
            late
        });
        Self { stop, task }
    }

    async fn stop(self) -> Duration {
        self.stop.cancel();
        let mut late = self.task.await.expect("no panic");
        late.sort();
        late.get(late.len() * 98 / 100).copied().unwrap_or_default()
    }
}

/// A rate as `--rate` gives it.
pub(crate) fn known(per_second: f64) -> Settings {
    Settings { rate: Some(Rate { per_second, burst: 2 }), ..Settings::default() }
}

/// A long way to `target`: everything arrives `latency` later, in both directions.
pub(crate) async fn delay(listener: TcpListener, target: SocketAddr, latency: Duration) {
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        let far = TcpStream::connect(target).await.expect("nginx listens");
        let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
        // Both end with their connections, or with the runtime of the test.
        tokio::spawn(carry(from_near, to_far, latency));
        tokio::spawn(carry(from_far, to_near, latency));
    }
}

/// The way to `target` by connections that end after every `most` bytes that come from there. Counts
/// all bytes that it sends on to the near side.
pub(crate) async fn breaking(
    listener: TcpListener,
    target: SocketAddr,
    most: u64,
    sent: Arc<AtomicU64>,
) {
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        let far = TcpStream::connect(target).await.expect("nginx listens");
        let ((mut from_near, mut to_near), (from_far, mut to_far)) =
            (near.into_split(), far.into_split());
        // Both end with their connections, or with the runtime of the test.
        tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
        let sent = sent.clone();
        tokio::spawn(async move {
            let (mut from_far, mut buffer) = (from_far.take(most), vec![0; 64 * 1024]);
            while let Ok(length @ 1..) = from_far.read(&mut buffer).await {
                if to_near.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
                sent.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    latency: Duration,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = (Instant::now() + latency, buffer[..length].to_vec());
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    while let Some((due, chunk)) = receiver.recv().await {
        sleep_until(due).await;
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
