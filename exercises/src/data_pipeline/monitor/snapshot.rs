//! One look at a run: totals, rates since the look before, and what holds it up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::stats::{Spent, Stage, Stats};
use crate::data_pipeline::budget::Budget;
use crate::data_pipeline::ledger::Counts;

/// A stage is held up if that is so for at least this share of the time.
const HELD_UP: f64 = 0.1;

/// A run at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Since the start, in seconds.
    pub(crate) seconds: f64,
    pub(crate) stages: Vec<StageShown>,
    /// The stage that the others wait for, if there is one.
    pub(crate) bottleneck: Option<String>,
    pub(crate) ledger: Counts,
    pub(crate) imbalance: u64,
    /// From reading to the sinks' queues, in milliseconds.
    pub(crate) latency_p50: f64,
    pub(crate) latency_p99: f64,
    /// Behind the clock, in seconds.
    pub(crate) watermark_lag: Option<f64>,
    pub(crate) open_windows: usize,
    pub(crate) open_cells: usize,
    /// In seconds.
    pub(crate) checkpoint_age: Option<f64>,
    /// Since the core was last seen alive, in seconds.
    pub(crate) silent: f64,
    /// How long each put took, by stage, in seconds.
    #[serde(skip)]
    pub(crate) sends: Vec<Vec<f64>>,
}

/// A stage at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct StageShown {
    pub(crate) id: String,
    /// `source`, `transform` or `sink`, as Vector has it.
    pub(crate) kind: &'static str,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) discarded: u64,
    pub(crate) events_per_second: f64,
    pub(crate) bytes_per_second: f64,
    /// The share of the time it was busy, 0 to 1.
    pub(crate) utilization: f64,
    /// The share of the time that the stage before could not put anything into its queue.
    pub(crate) blocked: f64,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_capacity: usize,
}

/// Makes snapshots, and remembers the last one for the rates.
#[derive(Debug)]
pub(crate) struct Observer {
    stats: Arc<Stats>,
    started: Instant,
    looked: Instant,
    before: Vec<Totals>,
    latency: (f64, f64),
}

/// What rates are made from.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    events: u64,
    bytes: u64,
    busy: Spent,
    blocked: Spent,
}

impl Observer {
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        let now = Instant::now();
        Self { stats, started: now, looked: now, before: Vec::new(), latency: (0.0, 0.0) }
    }

    pub(crate) fn look(&mut self) -> Snapshot {
        let now = Instant::now();
        let passed = (now - self.looked).max(Duration::from_millis(1)).as_secs_f64();
        self.looked = now;
        let stats = self.stats.clone();
        let ledger = stats.ledger.counts();
        let stages = self.stages(&ledger, passed);
        let sends = all(&stats).map(|(stage, _)| seconds(stage.sends.take())).collect();
        self.look_at_latency();
        let progress = *stats.progress.lock().expect("nobody panics while holding this");
        let clock = Timestamp::now().as_millisecond();
        Snapshot {
            seconds: (now - self.started).as_secs_f64(),
            bottleneck: bottleneck(&stages),
            stages,
            imbalance: ledger.imbalance(),
            ledger,
            latency_p50: self.latency.0,
            latency_p99: self.latency.1,
            watermark_lag: progress.latest.map(|latest| (clock - latest).max(0) as f64 / 1000.0),
            open_windows: progress.open_windows,
            open_cells: progress.open_cells,
            checkpoint_age: progress.saved.map(|saved| (now - saved).as_secs_f64()),
            silent: progress.beat.map_or(0.0, |beat| (now - beat).as_secs_f64()),
            sends,
        }
    }

    fn stages(&mut self, ledger: &Counts, passed: f64) -> Vec<StageShown> {
        let stats = self.stats.clone();
        self.before.resize(3 + stats.sinks.len(), Totals::default());
        let mut shown = Vec::new();
        for (at, (stage, kind)) in all(&stats).enumerate() {
            let (received, sent, discarded) = events(ledger, at);
            let bytes = stage.bytes.load(Ordering::Relaxed);
            let (busy, blocked) = (stage.busy.spent(), stage.blocked.spent());
            let now = Totals { events: received, bytes, busy, blocked };
            let before = std::mem::replace(&mut self.before[at], now);
            let threads = if at == 1 { stats.workers as f64 } else { 1.0 };
            let share = |now: Duration, before| now.saturating_sub(before).as_secs_f64() / passed;
            shown.push(StageShown {
                id: stage.id.clone(),
                kind,
                received,
                sent,
                discarded,
                events_per_second: (now.events - before.events) as f64 / passed,
                bytes_per_second: (bytes - before.bytes) as f64 / passed,
                utilization: (share(busy.all, before.busy.all) / threads).min(1.0),
                blocked: share(blocked.any, before.blocked.any).min(1.0),
                queue_bytes: stage.queue.as_ref().map_or(0, Budget::used),
                queue_capacity: stage.queue.as_ref().map_or(0, Budget::total),
            });
        }
        shown
    }

    fn look_at_latency(&mut self) {
        let mut latency = self.stats.latency.take();
        latency.sort_unstable();
        let at = |share: f64| latency[((latency.len() - 1) as f64 * share) as usize];
        if !latency.is_empty() {
            self.latency = (at(0.5).as_secs_f64() * 1e3, at(0.99).as_secs_f64() * 1e3);
        }
    }
}

/// All stages in the order of the events' way.
fn all(stats: &Stats) -> impl Iterator<Item = (&Arc<Stage>, &'static str)> {
    let first =
        [(&stats.sources, "source"), (&stats.parse, "transform"), (&stats.windows, "transform")];
    first.into_iter().chain(stats.sinks.iter().map(|sink| (sink, "sink")))
}

/// How many events a stage has received, sent on and discarded.
fn events(ledger: &Counts, stage: usize) -> (u64, u64, u64) {
    let parsed = ledger.filtered + ledger.dead + ledger.accepted;
    match stage {
        0 => (ledger.read, ledger.read, 0),
        1 => (parsed, ledger.accepted, ledger.filtered + ledger.dead),
        2 => (ledger.accepted, ledger.accepted, 0),
        sink => ledger.sinks.get(sink - 3).map_or((0, 0, 0), |sink| {
            (sink.delivered + sink.dropped, sink.delivered, sink.dropped)
        }),
    }
}

fn seconds(durations: Vec<Duration>) -> Vec<f64> {
    durations.into_iter().map(|duration| duration.as_secs_f64()).collect()
}

/// The last stage whose queue is full holds up all before it. If it is the workers' queue, it is
/// whichever of the workers and the windows is busier.
fn bottleneck(stages: &[StageShown]) -> Option<String> {
    let (first, sinks) = stages.split_at_checked(3)?;
    let held_up = sinks.iter().filter(|sink| sink.blocked > HELD_UP);
    let sink = held_up.max_by(|left, right| left.blocked.total_cmp(&right.blocked));
    let (parse, windows) = (&first[1], &first[2]);
    let busier = if windows.utilization > parse.utilization { windows } else { parse };
    let found = sink.or((parse.blocked > HELD_UP).then_some(busier))?;
    Some(found.id.clone())
}

impl Snapshot {
    /// The line on the terminal.
    pub(crate) fn line(&self) -> String {
        let [sources, parse, ..] = &self.stages[..] else { return String::new() };
        let of = |bytes: usize| bytes.div_ceil(super::super::chunk::CHUNK);
        let queue = (of(parse.queue_bytes), of(parse.queue_capacity));
        let optional = |name: &str, value: Option<f64>| {
            // Rounded first, and the sum takes the sign off a zero.
            let rounded = |value: f64| (value * 10.0).round() / 10.0 + 0.0;
            value.map_or(String::new(), |value| format!(" | {name} {:.1} s", rounded(value)))
        };
        format!(
            "{} ev/s {}B/s | parse {:.0}% | queue {}/{}{} | dead {}{}{}",
            short(sources.events_per_second),
            short(parse.bytes_per_second),
            parse.utilization * 100.0,
            queue.0,
            queue.1,
            optional("lag", self.watermark_lag),
            self.ledger.dead,
            optional("ckpt", self.checkpoint_age),
            self.bottleneck.as_ref().map_or(String::new(), |stage| format!(" | waits for {stage}")),
        )
    }
}

/// `4.0M`, `12k`, `7`.
fn short(number: f64) -> String {
    match number {
        1e9.. => format!("{:.1} G", number / 1e9),
        1e6.. => format!("{:.1} M", number / 1e6),
        1e3.. => format!("{:.0} k", number / 1e3),
        _ => format!("{number:.0} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(id: &str, utilization: f64, blocked: f64) -> StageShown {
        StageShown { id: id.to_owned(), utilization, blocked, ..StageShown::default() }
    }

    #[test]
    fn the_last_full_queue_names_the_bottleneck() {
        let calm = [stage("s", 0.1, 0.0), stage("p", 0.9, 0.0), stage("w", 0.1, 0.0)];
        assert_eq!(bottleneck(&calm), None);
        let busy = [stage("s", 0.1, 0.0), stage("p", 0.9, 0.8), stage("w", 0.1, 0.0)];
        assert_eq!(bottleneck(&busy).as_deref(), Some("p"));
        let stalled = [busy.to_vec(), vec![stage("a", 0.2, 0.0), stage("b", 1.0, 0.9)]].concat();
        assert_eq!(bottleneck(&stalled).as_deref(), Some("b"));
    }
}
