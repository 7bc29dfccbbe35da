//! What the stages count while they work.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use common::{Work, bar};

pub(crate) use super::count::Count;
use super::told::Told;
use crate::data_pipeline::event::output::tally;
use crate::data_pipeline::secrets::without_users;
use crate::data_pipeline::state::budget::ByteBudget;
use crate::data_pipeline::state::ledger::Ledger;

/// The name of the stage that parses, and of the one that counts.
pub(crate) const PARSE: &str = "parse";
pub(crate) const WINDOWS: &str = "windows";

/// Most bars of each stage in a picture: a run may last for weeks.
const BARS: u64 = 10_000;

/// All that a snapshot is made from.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) ledger: Ledger,
    pub(crate) sources: Vec<Arc<Stage>>,
    pub(crate) parse: Arc<Stage>,
    pub(crate) windows: Arc<Stage>,
    pub(crate) sinks: Vec<Arc<Stage>>,
    pub(crate) workers: usize,
    /// Bytes that were no event: NULs at the head of a line.
    pub(crate) skipped: Count,
    /// How long chunks took from their reading to the sinks' queues.
    pub(crate) latency: Samples,
    pub(crate) progress: Mutex<Progress>,
    pub(crate) recent: Mutex<Recent>,
    /// Whether the sources are live, so that their lag behind the clock means something.
    pub(crate) is_live: bool,
    pub(crate) told: Arc<Told>,
}

impl Stats {
    /// All stages, in the order in which events pass through them.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &Arc<Stage>> {
        self.sources.iter().chain([&self.parse, &self.windows]).chain(&self.sinks)
    }
}

/// What the core knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The least of the latest times of all sources, in milliseconds since 1970.
    pub(crate) latest: Option<i64>,
    pub(crate) open_windows: usize,
    pub(crate) open_cells: usize,
    /// When the last checkpoint was committed.
    pub(crate) saved: Option<Instant>,
    /// When the core was last seen alive.
    pub(crate) beat: Option<Instant>,
}

/// Windows that the live page draws.
const WINDOWS_SHOWN: usize = 60;

/// Lines of windows that the live page shows.
const ROWS_SHOWN: usize = 20;

/// The latest results, for the live page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// When each of the last windows began, in milliseconds since 1970, and its events.
    pub(crate) windows: VecDeque<(i64, u64)>,
    /// The last lines of windows.
    pub(crate) rows: VecDeque<String>,
    /// The reasons of the dead letters, and how many each has.
    pub(crate) reasons: Vec<(String, u64)>,
}

impl Recent {
    pub(crate) fn closed(&mut self, windows: &[(i64, u64)], lines: &str) {
        self.windows.extend(windows);
        self.windows.drain(..self.windows.len().saturating_sub(WINDOWS_SHOWN));
        let last = lines.lines().rev().take(ROWS_SHOWN).collect::<Vec<_>>();
        self.rows.extend(last.into_iter().rev().map(str::to_owned));
        self.rows.drain(..self.rows.len().saturating_sub(ROWS_SHOWN));
    }

    pub(crate) fn dead(&mut self, reasons: &[(String, u64)]) {
        for (reason, letters) in reasons {
            tally(&mut self.reasons, reason, *letters);
        }
    }
}

/// One stage, a component in Vector's words, and the queue before it.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) id: String,
    /// `source`, `transform` or `sink`.
    pub(crate) kind: &'static str,
    /// Such as `file` or `socket`.
    pub(crate) form: &'static str,
    pub(crate) received: Count,
    pub(crate) sent: Count,
    pub(crate) discarded: Count,
    /// Lines that the other side of a sink has refused.
    pub(crate) refused: Count,
    /// Events that could not be parsed, connections that failed.
    pub(crate) errors: Count,
    pub(crate) bytes: Count,
    pub(crate) busy: Meter,
    /// The tasks that wait for room in the queue.
    pub(crate) blocked: Meter,
    pub(crate) queue: Option<ByteBudget>,
    /// How long each put took.
    pub(crate) sends: Samples,
    bars: AtomicU64,
}

impl Stage {
    pub(crate) fn new(
        id: &str,
        kind: &'static str,
        form: &'static str,
        queue: Option<ByteBudget>,
    ) -> Arc<Self> {
        Arc::new(Self { id: without_users(id), kind, form, queue, ..Self::default() })
    }

    /// A bar of the picture that `--timeline` draws, unless there are too many already.
    pub(crate) fn bar(&self, lane: impl fmt::Display, name: impl fmt::Display) -> Option<Work> {
        (self.bars.fetch_add(1, Ordering::Relaxed) < BARS).then(|| bar(lane, name))
    }
}

/// Polls `work`, and ends the bar with it: as cancelled if it is dropped before its end.
pub(crate) async fn drawn<T>(bar: Option<Work>, work: impl Future<Output = T>) -> T {
    match bar {
        Some(bar) => bar.of(work).await,
        None => work.await,
    }
}

/// Measures how much of the time something goes on, including the time of what has not ended.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Integral>);

/// Time spent so far, by all together and by at least one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) all: Duration,
    pub(crate) any: Duration,
}

#[derive(Debug, Default)]
struct Integral {
    now: u32,
    since: Option<Instant>,
    spent: Spent,
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered<'m>(&'m Meter);

impl Meter {
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.advance().now += 1;
        Entered(self)
    }

    pub(crate) fn spent(&self) -> Spent {
        self.advance().spent
    }

    /// Adds the time since the last call.
    fn advance(&self) -> MutexGuard<'_, Integral> {
        let mut integral = self.0.lock().expect("nobody panics while holding this");
        let now = Instant::now();
        let passed = integral.since.replace(now).map_or(Duration::ZERO, |since| now - since);
        if integral.now > 0 {
            integral.spent.any += passed;
            let all = passed * integral.now;
            integral.spent.all += all;
        }
        integral
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.advance().now -= 1;
    }
}

/// Durations since the last snapshot. One is added per chunk, so that there are few.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<Vec<Duration>>);

/// Most durations that are kept when no snapshot takes them.
const SAMPLES: usize = 16 * 1024;

impl Samples {
    pub(crate) fn add(&self, sample: Duration) {
        let mut samples = self.0.lock().expect("nobody panics while holding this");
        if samples.len() < SAMPLES {
            samples.push(sample);
        }
    }

    pub(crate) fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().expect("nobody panics while holding this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::event::output::REASONS;

    #[test]
    fn recent_results_are_bounded_to_the_latest() {
        let mut recent = Recent::default();
        for n in 0..100_i64 {
            recent.closed(&[(n, 1)], &format!("{n} a\n{n} b\n"));
            recent.dead(&[(format!("reason {n}"), 2)]);
        }
        assert_eq!((recent.windows.len(), recent.windows[59]), (WINDOWS_SHOWN, (99, 1)));
        assert_eq!((recent.rows.len(), &*recent.rows[19]), (ROWS_SHOWN, "99 b"));
        assert_eq!(recent.reasons.len(), REASONS + 1);
        assert_eq!(recent.reasons[REASONS], ("other reasons".to_owned(), 160));
        assert_eq!(recent.reasons.iter().map(|(_, letters)| letters).sum::<u64>(), 200);
    }

    #[test]
    fn a_meter_counts_only_while_something_goes_on() {
        let meter = Meter::default();
        assert_eq!(meter.spent().all, Duration::ZERO);
        let (first, second) = (meter.enter(), meter.enter());
        let spent = meter.spent();
        drop((first, second));
        let after = meter.spent();
        assert!(after.all >= spent.all && spent.all >= spent.any);
        assert_eq!(meter.spent().all, after.all, "nothing goes on any more");
    }
}
