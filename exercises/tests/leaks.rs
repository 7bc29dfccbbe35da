//! The leak check: however a run ends, the process then has the same tasks, threads and open
//! descriptors as before.
//!
//! One test in a program of its own: threads and descriptors belong to the whole process, and
//! other tests that run beside it would change them.

#[expect(dead_code, reason = "nobody counts the hits here")]
#[path = "api_client/server.rs"]
mod server;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Context, Demo, Seed};
use exercises::api_client::{Client, Config as Fetching, Request};
use exercises::data_pipeline::{self, Config};
use futures_util::{StreamExt, stream};
use leaks::live_tasks;
use tokio::time::sleep;

use crate::server::Server;

/// The longest time until everything is gone.
const GRACE: Duration = Duration::from_secs(30);

/// The time after which idle threads for blocking work end; tokio's own is ten seconds.
const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// How often each run is repeated before the process is checked again.
const RUNS: usize = 5;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    tasks: usize,
    threads: usize,
    descriptors: usize,
}

impl Held {
    fn now() -> Self {
        let count = |path| fs::read_dir(path).expect("Linux has it").count();
        let (threads, descriptors) = (count("/proc/self/task"), count("/proc/self/fd"));
        Self { tasks: live_tasks(), threads, descriptors }
    }

    fn is_within(self, base: Self) -> bool {
        self.tasks <= base.tasks
            && self.threads <= base.threads
            && self.descriptors <= base.descriptors
    }
}

/// Repeats the run a few times, and polls until the process holds no more than before.
async fn leaves_nothing(what: &str, base: Held, run: impl AsyncFn()) {
    for _ in 0..RUNS {
        run().await;
    }
    let started = Instant::now();
    while !Held::now().is_within(base) {
        let held = Held::now();
        assert!(started.elapsed() < GRACE, "{what} leaks: {base:?} before, {held:?} after");
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn no_run_leaves_a_task_a_thread_or_a_descriptor_behind() {
    if !Path::new("/proc/self/task").exists() {
        eprintln!("skipped: there is no /proc here");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let line = |n| format!("{{\"ts\":{n},\"v\":{n}}}");
        let lines = (0..20_000).map(line).collect::<Vec<_>>().join("\n");
        fs::write(dir.path().join("in"), lines).expect("a file");
        let base = Held::now();
        leaves_nothing("fetching", base, fetch_everything).await;
        leaves_nothing("cancelling a run", base, cancel_in_flight).await;
        leaves_nothing("dropping the outcomes", base, drop_in_flight).await;
        leaves_nothing("a whole pipeline", base, async || pipe_to_the_end(dir.path()).await).await;
        leaves_nothing("a stopped pipeline", base, async || stop_a_pipe(dir.path()).await).await;
    });
}

fn client() -> Client<exercises::api_client::Web> {
    let mut config = Fetching::default();
    config.policy.retries = 1;
    config.policy.backoff = Duration::from_millis(1);
    config.policy.patience = Duration::from_millis(100);
    Client::new(config).expect("a client")
}

async fn fetch_everything() {
    let server = Server::start();
    let paths = ["/ok", "/reset-before", "/reset-in-body", "/truncated", "/loop", "/missing"];
    let urls = paths.map(|path| Request::get(&server.url(path)));
    let outcomes = client().fetch_all(&Context::background(), stream::iter(urls)).count().await;
    assert_eq!(outcomes, paths.len());
}

async fn cancel_in_flight() {
    let server = Server::start();
    let urls = ["/ok", "/silent/1", "/silent/2"].map(|path| Request::get(&server.url(path)));
    let (ctx, client) = (Context::background().with_cancel(), client());
    let mut outcomes = client.fetch_all(&ctx, stream::iter(urls));
    assert!(outcomes.next().await.is_some());
    ctx.cancel();
    assert_eq!(outcomes.count().await, 2);
}

async fn drop_in_flight() {
    let server = Server::start();
    let urls = ["/ok", "/silent/1", "/trickle"].map(|path| Request::get(&server.url(path)));
    let client = client();
    let mut outcomes = client.fetch_all(&Context::background(), stream::iter(urls));
    assert!(outcomes.next().await.is_some());
}

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    demo: Demo<Seed>,
}

async fn pipe(config: Config, ctx: &Context) {
    let demo = Args::parse_from(["leaks"]).demo;
    let config = config.load(None).expect("it can work");
    let ended = data_pipeline::run(&config, &demo, ctx).await.expect("it works");
    assert_eq!((ended.counts.imbalance(), ended.cut_short), (0, false));
}

fn in_dir(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

async fn pipe_to_the_end(dir: &Path) {
    let config = Config {
        file: vec![in_dir(dir, "in")],
        out: vec![in_dir(dir, "out")],
        aggregates: Some(in_dir(dir, "win")),
        checkpoint: Some(dir.join("ck")),
        ..Config::default()
    };
    pipe(config, &Context::background()).await;
}

/// With connections in the middle of a line and of a request.
async fn stop_a_pipe(dir: &Path) {
    let (listen, http) = (free_address(), free_address());
    let config = Config {
        listen: Some(listen.to_string()),
        http: Some(http.to_string()),
        out: vec![in_dir(dir, "lines")],
        ..Config::default()
    };
    let ctx = Context::background().with_cancel();
    let clients = async {
        let mut line = connect(listen).await;
        line.write_all(b"{\"a\":1}\n{\"a\":").expect("it listens");
        let mut request = connect(http).await;
        request.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").expect("it listens");
        while fs::read(dir.join("lines")).unwrap_or_default().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        ctx.cancel();
        (line, request)
    };
    tokio::join!(pipe(config, &ctx), clients);
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(_) => sleep(Duration::from_millis(1)).await, // it is about to start
        }
    }
}
