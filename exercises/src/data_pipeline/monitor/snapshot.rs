//! A snapshot of a run: totals, rates since the snapshot before, and what holds it up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::stats::{PARSE, Spent, Stage, Stats};
use crate::data_pipeline::event::time::rfc3339;
use crate::data_pipeline::state::budget::ByteBudget;
use crate::data_pipeline::state::chunk::CHUNK;
use crate::data_pipeline::state::ledger::Counts;

/// A stage counts as held up if its queue is full for at least this share of the time.
const HELD_UP: f64 = 0.1;

/// The core counts as stuck after this time without a sign of life.
pub(crate) const SILENT: Duration = Duration::from_secs(10);

/// A sink that has work counts as not ready after this time without a delivery.
const STALLED: Duration = Duration::from_secs(5);

/// A run at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Why the run is not ready: it takes no events, or passes none on.
    pub(crate) not_ready: Option<String>,
    /// The texts of the first warnings.
    pub(crate) warnings: Vec<String>,
    /// How many warnings there were, by case.
    #[serde(skip)]
    pub(crate) told: Vec<(&'static str, u64)>,
    /// Since the start, in seconds.
    pub(crate) seconds: f64,
    pub(crate) stages: Vec<StageShown>,
    /// The stage that the others wait for, if there is one.
    pub(crate) bottleneck: Option<String>,
    pub(crate) ledger: Counts,
    pub(crate) imbalance: u64,
    /// NULs at the heads of lines, in bytes.
    pub(crate) skipped: u64,
    /// From reading to the sinks' queues, in milliseconds.
    pub(crate) latency_p50: f64,
    pub(crate) latency_p99: f64,
    /// How far the watermark is behind the clock, in seconds, if the sources are live.
    pub(crate) watermark_lag: Option<f64>,
    /// The event time that the sources have reached.
    pub(crate) event_time: Option<String>,
    pub(crate) windows: Vec<WindowShown>,
    /// The last lines of windows, as they were written.
    pub(crate) rows: Vec<String>,
    /// The reasons of dead letters and their counts; the most frequent first.
    pub(crate) reasons: Vec<(String, u64)>,
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

/// A window that has closed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct WindowShown {
    pub(crate) start: String,
    pub(crate) events: u64,
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
    pub(crate) refused: u64,
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
    /// For each stage how many events it had sent, and since when that number has not changed or
    /// its queue was empty.
    sent: Vec<(u64, Instant)>,
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
    pub(crate) fn new(stats: Arc<Stats>, now: Instant) -> Self {
        let (before, sent, latency) = (Vec::new(), Vec::new(), (0.0, 0.0));
        Self { stats, started: now, looked: now, before, sent, latency }
    }

    /// The run at this time of the clock.
    pub(crate) fn look(&mut self, now: Instant, clock: Timestamp) -> Snapshot {
        let passed = (now - self.looked).max(Duration::from_millis(1)).as_secs_f64();
        self.looked = now;
        let stats = self.stats.clone();
        let ledger = stats.ledger.counts();
        let stages = self.stages(passed);
        let sends = stats.stages().map(|stage| seconds(stage.sends.take())).collect();
        self.look_at_latency();
        let progress = *stats.progress.lock().expect("nobody panics while holding this");
        let clock = clock.as_millisecond();
        let mut recent = stats.recent.lock().expect("nobody panics while holding this").clone();
        recent.reasons.sort_by_key(|(_, letters)| std::cmp::Reverse(*letters));
        let window = |(start, events)| WindowShown { start: rfc3339(start), events };
        let silent =
            progress.beat.map_or(Duration::ZERO, |beat| now.saturating_duration_since(beat));
        Snapshot {
            not_ready: self.not_ready(&stages, silent, now),
            warnings: stats.told.texts(),
            told: stats.told.counts(),
            seconds: (now - self.started).as_secs_f64(),
            bottleneck: bottleneck(&stages),
            stages,
            imbalance: ledger.imbalance(),
            ledger,
            skipped: stats.skipped.get(),
            latency_p50: self.latency.0,
            latency_p99: self.latency.1,
            watermark_lag: progress
                .latest
                .filter(|_| stats.is_live)
                .map(|latest| clock.saturating_sub(latest).max(0) as f64 / 1000.0),
            event_time: progress.latest.map(rfc3339),
            windows: recent.windows.into_iter().map(window).collect(),
            rows: recent.rows.into(),
            reasons: recent.reasons,
            open_windows: progress.open_windows,
            open_cells: progress.open_cells,
            checkpoint_age: progress.saved.map(|saved| (now - saved).as_secs_f64()),
            silent: silent.as_secs_f64(),
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
                refused: stage.refused.get(),
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

    /// Why the run is not ready: the core is stuck, everything waits for a sink, or a sink delivers
    /// nothing although it has events.
    fn not_ready(
        &mut self,
        stages: &[StageShown],
        silent: Duration,
        now: Instant,
    ) -> Option<String> {
        self.sent.resize(stages.len(), (0, now));
        let mut stalled = None;
        for (stage, (sent, since)) in stages.iter().zip(&mut self.sent) {
            if stage.sent != *sent || stage.queue_bytes == 0 {
                (*sent, *since) = (stage.sent, now);
            }
            let waited = now.saturating_duration_since(*since);
            if stage.kind == "sink" && waited >= STALLED && stalled.is_none() {
                let seconds = waited.as_secs();
                stalled = Some(format!("{} has delivered nothing for {seconds} s", stage.id));
            }
        }
        if silent >= SILENT {
            return Some(format!("the core has been stuck for {} s", silent.as_secs()));
        }
        let sinks: Vec<_> = stages.iter().filter(|stage| stage.kind == "sink").collect();
        let holder = bottleneck(stages).filter(|id| sinks.iter().any(|sink| sink.id == *id));
        holder.map(|id| format!("{id} holds everything up")).or(stalled)
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

/// The last stage whose queue is full holds up all before it. If that is the workers' queue, the
/// busier of the workers and the windows is named.
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
            // Rounded first; adding 0 then turns -0 into 0.
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
            match (&self.not_ready, &self.bottleneck) {
                (Some(reason), _) => format!(" | not ready: {reason}"),
                (None, Some(stage)) => format!(" | waits for {stage}"),
                (None, None) => String::new(),
            },
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

    /// Whether or not its queue is full: with a slow source it may never be.
    #[test]
    fn a_sink_that_delivers_nothing_is_not_ready_and_the_line_says_so() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut observer = Observer::new(Arc::default(), start);
        let sink =
            |sent, queue_bytes| StageShown { sent, queue_bytes, ..stage("sink", "s", 0.0, 0.0) };
        let mut look = |at, sent, queued| {
            observer.not_ready(&[sink(sent, queued)], Duration::ZERO, start + at * second)
        };
        assert_eq!(look(0, 0, 100), None);
        assert_eq!(look(4, 0, 100), None);
        let reason = look(7, 0, 100);
        assert_eq!(reason.as_deref(), Some("s has delivered nothing for 7 s"));
        assert_eq!(look(8, 1, 100), None, "it has delivered one");
        assert_eq!(look(20, 1, 0), None, "there is nothing to deliver");
        assert_eq!(look(24, 1, 9), None);
        let stages = vec![stage("transform", PARSE, 0.0, 0.0)];
        let shown = Snapshot { stages, not_ready: reason, ..Snapshot::default() };
        assert!(shown.line().ends_with(" | not ready: s has delivered nothing for 7 s"));
    }

    #[test]
    fn a_core_that_is_stuck_or_a_sink_that_holds_everything_up_is_not_ready() {
        let mut observer = Observer::new(Arc::default(), Instant::now());
        let mut why = |blocked, silent| {
            let stages = [stage("sink", "s", 1.0, blocked)];
            observer.not_ready(&stages, silent, Instant::now())
        };
        assert_eq!(why(0.0, Duration::ZERO), None);
        assert_eq!(why(0.9, Duration::ZERO).as_deref(), Some("s holds everything up"));
        assert_eq!(why(0.0, SILENT).as_deref(), Some("the core has been stuck for 10 s"));
    }

    /// If last year's files are read to their end, their age says nothing about the run.
    #[test]
    fn the_lag_is_measured_where_the_sources_are_live() {
        for is_live in [true, false] {
            let stats = Stats { is_live, ..Stats::default() };
            stats.progress.lock().unwrap().latest = Some(500);
            let mut observer = Observer::new(stats.into(), Instant::now());
            let look = observer.look(Instant::now(), Timestamp::from_second(9).unwrap());
            assert_eq!(look.watermark_lag, is_live.then_some(8.5));
            assert_eq!(look.event_time.as_deref(), Some("1970-01-01T00:00:00.5Z"));
        }
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
