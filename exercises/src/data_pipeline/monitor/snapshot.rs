//! One look at a run: totals, rates since the look before, and what holds it up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::stats::{PARSE, Spent, Stage, Stats};
use crate::data_pipeline::state::budget::ByteBudget;
use crate::data_pipeline::state::chunk::CHUNK;
use crate::data_pipeline::state::ledger::Counts;

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
    /// Such as `file` or `socket`: Vector's `component_type`.
    pub(crate) form: &'static str,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) discarded: u64,
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
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
        let stages = self.stages(passed);
        let sends = stats.stages().map(|stage| seconds(stage.sends.take())).collect();
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

    fn stages(&mut self, passed: f64) -> Vec<StageShown> {
        let stats = self.stats.clone();
        self.before.resize(stats.stages().count(), Totals::default());
        let show = |(stage, before): (&Arc<Stage>, &mut Totals)| {
            let (received, bytes) = (stage.received.get(), stage.bytes.get());
            let (busy, blocked) = (stage.busy.spent(), stage.blocked.spent());
            let now = Totals { events: received, bytes, busy, blocked };
            let before = std::mem::replace(before, now);
            let threads = if Arc::ptr_eq(stage, &stats.parse) { stats.workers as f64 } else { 1.0 };
            let share = |now: Duration, before| now.saturating_sub(before).as_secs_f64() / passed;
            StageShown {
                id: stage.id.clone(),
                kind: stage.kind,
                form: stage.form,
                received,
                sent: stage.sent.get(),
                discarded: stage.discarded.get(),
                errors: stage.errors.get(),
                bytes,
                events_per_second: (received - before.events) as f64 / passed,
                bytes_per_second: (bytes - before.bytes) as f64 / passed,
                utilization: (share(busy.all, before.busy.all) / threads).min(1.0),
                blocked: share(blocked.any, before.blocked.any).min(1.0),
                queue_bytes: stage.queue.as_ref().map_or(0, ByteBudget::used),
                queue_capacity: stage.queue.as_ref().map_or(0, ByteBudget::total),
            }
        };
        stats.stages().zip(&mut self.before).map(show).collect()
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

fn seconds(durations: Vec<Duration>) -> Vec<f64> {
    durations.into_iter().map(|duration| duration.as_secs_f64()).collect()
}

/// The last stage whose queue is full holds up all before it. If it is the workers' queue, it is
/// whichever of the workers and the windows is busier.
fn bottleneck(stages: &[StageShown]) -> Option<String> {
    let of = |kind| stages.iter().filter(move |stage| stage.kind == kind);
    let held_up = of("sink").filter(|sink| sink.blocked > HELD_UP);
    let sink = held_up.max_by(|left, right| left.blocked.total_cmp(&right.blocked));
    let is_full = of("transform").any(|stage| stage.blocked > HELD_UP);
    let busier = of("transform").max_by(|a, b| a.utilization.total_cmp(&b.utilization));
    Some(sink.or(busier.filter(|_| is_full))?.id.clone())
}

impl Snapshot {
    /// The line on the terminal.
    pub(crate) fn line(&self) -> String {
        let Some(parse) = self.stages.iter().find(|stage| stage.id == PARSE) else {
            return String::new();
        };
        let sources = self.stages.iter().filter(|stage| stage.kind == "source");
        let rate: f64 = sources.map(|source| source.events_per_second).sum();
        let of = |bytes: usize| bytes.div_ceil(CHUNK);
        let queue = (of(parse.queue_bytes), of(parse.queue_capacity));
        let optional = |name: &str, value: Option<f64>| {
            // Rounded first, and the sum takes the sign off a zero.
            let rounded = |value: f64| (value * 10.0).round() / 10.0 + 0.0;
            value.map_or(String::new(), |value| format!(" | {name} {:.1} s", rounded(value)))
        };
        let ((rate, of_rate), (bytes, of_bytes)) = (short(rate), short(parse.bytes_per_second));
        format!(
            "{rate}{of_rate} ev/s {bytes} {of_bytes}B/s | parse {:.0}% | queue {}/{}{} | dead {}{}{}",
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

/// A number with its prefix: 4.0 and `M`, 12 and `k`.
fn short(number: f64) -> (String, &'static str) {
    match number {
        1e9.. => (format!("{:.1}", number / 1e9), "G"),
        1e6.. => (format!("{:.1}", number / 1e6), "M"),
        1e3.. => (format!("{:.0}", number / 1e3), "k"),
        _ => (format!("{number:.0}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(kind: &'static str, id: &str, utilization: f64, blocked: f64) -> StageShown {
        StageShown { id: id.to_owned(), kind, utilization, blocked, ..StageShown::default() }
    }

    #[test]
    fn the_last_full_queue_names_the_bottleneck() {
        let of = |parse, windows| {
            vec![
                stage("source", "s", 0.0, 0.0),
                stage("transform", "p", 0.9, parse),
                stage("transform", "w", windows, 0.0),
                stage("sink", "a", 0.2, 0.0),
            ]
        };
        assert_eq!(bottleneck(&of(0.0, 0.1)), None);
        assert_eq!(bottleneck(&of(0.8, 0.1)).as_deref(), Some("p"));
        assert_eq!(bottleneck(&of(0.8, 1.0)).as_deref(), Some("w"));
        let stalled = [of(0.8, 0.1), vec![stage("sink", "b", 1.0, 0.9)]].concat();
        assert_eq!(bottleneck(&stalled).as_deref(), Some("b"));
    }
}
