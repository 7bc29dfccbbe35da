//! Exercise 3, the short answer: two sources, three stages, a slow sink, and counters that add up.
//!
//! `cargo run -p exercises --example data-pipeline`

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::{task::JoinSet, time};

/// Items that wait between two stages; a full channel makes the stage before it wait.
const BOUND: usize = 16;

type Line = (&'static str, String);
type Event = (&'static str, u64);
/// For each source, how many events and the sum of their milliseconds.
type Batch = BTreeMap<&'static str, (u64, u64)>;

static READ: AtomicU64 = AtomicU64::new(0);
static REJECTED: AtomicU64 = AtomicU64::new(0);
static FILTERED: AtomicU64 = AtomicU64::new(0);
static DELIVERED: AtomicU64 = AtomicU64::new(0);
/// Microseconds that stages have waited for room in the channel after them.
static WAITED: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() {
    let (lines, unparsed) = channel(BOUND);
    let (events, unfiltered) = channel(BOUND);
    let (slow, filtered) = channel(BOUND);
    let (batches, finished) = channel(1);
    let mut stages = JoinSet::new();
    // [x] Ingests data from multiple sources concurrently.
    stages.spawn(source("web", 2_000, lines.clone()));
    stages.spawn(source("db", 1_000, lines));
    // [x] Processes data through multiple stages.
    stages.spawn(parse(unparsed, events));
    stages.spawn(keep_slow(unfiltered, slow));
    stages.spawn(sum_up(filtered, batches));
    stages.spawn(deliver(finished));

    // [x] Provides monitoring and metrics.
    let mut ticks = time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            ended = stages.join_next() => match ended {
                Some(stage) => stage.expect("a stage does not panic"),
                None => break,
            },
            _ = ticks.tick() => report(),
        }
    }
    report();
    let [read, passed @ .., _] = counters();
    assert_eq!(read, passed.iter().sum(), "every line is accounted for");
}

/// [x] Handles backpressure: waits while the next stage is behind, and counts for how long.
async fn send<T: Debug>(output: &Sender<T>, item: T) {
    let started = time::Instant::now();
    output.send(item).await.expect("a stage runs until its input ends");
    WAITED.fetch_add(started.elapsed().as_micros() as u64, Relaxed);
}

async fn source(name: &'static str, lines: u64, output: Sender<Line>) {
    for n in 0..lines {
        let text = if n % 50 == 0 { "broken".into() } else { (n * 7 % 300).to_string() };
        READ.fetch_add(1, Relaxed);
        send(&output, (name, text)).await;
    } // the last sender is dropped here, which ends the next stage, and so on to the sink
}

async fn parse(mut input: Receiver<Line>, output: Sender<Event>) {
    while let Some((source, text)) = input.recv().await {
        match text.parse() {
            Ok(millis) => send(&output, (source, millis)).await,
            Err(_) => _ = REJECTED.fetch_add(1, Relaxed),
        }
    }
}

async fn keep_slow(mut input: Receiver<Event>, output: Sender<Event>) {
    while let Some(event) = input.recv().await {
        match event {
            (_, 100..) => send(&output, event).await,
            _ => _ = FILTERED.fetch_add(1, Relaxed),
        }
    }
}

/// Takes what is there, up to a batch, without waiting for the batch to fill.
async fn sum_up(mut input: Receiver<Event>, output: Sender<Batch>) {
    let mut events = Vec::new();
    while input.recv_many(&mut events, BOUND).await > 0 {
        let mut batch = Batch::new();
        for (source, millis) in events.drain(..) {
            let (count, sum) = batch.entry(source).or_default();
            (*count, *sum) = (*count + 1, *sum + millis);
        }
        send(&output, batch).await;
    }
}

async fn deliver(mut input: Receiver<Batch>) {
    while let Some(batch) = input.recv().await {
        time::sleep(Duration::from_millis(2)).await; // a slow disk or network
        DELIVERED.fetch_add(batch.values().map(|(count, _)| count).sum(), Relaxed);
    }
}

fn counters() -> [u64; 5] {
    [&READ, &REJECTED, &FILTERED, &DELIVERED, &WAITED].map(|counter| counter.load(Relaxed))
}

fn report() {
    let [read, rejected, filtered, delivered, waited] = counters();
    print!("read {read}: {rejected} rejected, {filtered} filtered, {delivered} delivered");
    println!(" (waited for room: {waited} µs)");
}
