use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use timeline::{RecordFlags, bar};

use crate::{Result, run};

#[cfg(feature = "tasks")]
mod tasks;

/// The flags that every section's program understands, and the runtime that goes with them. A
/// program in which chance plays a part has `Demo<Seed>`, and with it the flag `--seed`.
///
/// Flatten it into the program's own flags, as their last part, then hand the body to
/// [`threads`](Demo::threads), [`tasks`](Demo::tasks) or [`mixed`](Demo::mixed), depending on whether
/// the section uses threads, tasks or both.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo<S: clap::Args = ()> {
    #[command(flatten)]
    seed: S,

    /// Scale all simulated time: 2 takes twice as long, 0 does not wait at all [default: 1]
    #[arg(long, value_name = "F", value_parser = pace)]
    pace: Option<f64>,

    #[command(flatten)]
    record: RecordFlags,

    /// Panic in the N-th piece of work, to see where a panic ends up
    #[arg(long, value_name = "N", hide = true)]
    panic_at: Option<u64>,

    /// Whether the runtime's clock jumps, so that no duration has to be scaled.
    #[arg(skip)]
    virtual_clock: bool,

    #[arg(skip)]
    pieces: Arc<AtomicU64>,
}

/// The flag `--seed`, for a program in which chance plays a part.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Seed {
    /// Make a run repeatable: the same seed makes the same random choices [default: different in
    /// every run]
    #[arg(long, value_name = "N", default_value_t = rand::random(), hide_default_value = true)]
    seed: u64,
}

impl Demo<Seed> {
    /// The random numbers that belong to `item`. They follow from the seed and the item alone,
    /// never from the worker that happens to take it.
    pub fn rng(&self, item: u64) -> StdRng {
        // An odd factor, so that no two items of a seed share a state: the golden ratio of 2^64.
        StdRng::seed_from_u64(self.seed.seed ^ item.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl<S: clap::Args> Demo<S> {
    /// Runs a program of threads. At pace 0 they skip their sleeps.
    pub fn threads(self, body: impl FnOnce(Self) -> Result) -> ExitCode {
        let record = self.record.clone();
        run(|| record.of(|| body(self))?)
    }

    /// How much slower than the chapter the program runs; 0 for as fast as it goes.
    pub fn pace(&self) -> f64 {
        self.pace.unwrap_or(1.0)
    }

    /// The pace of a program with real input, which should not simulate work: 0 unless the user
    /// gives another.
    #[must_use]
    pub fn unpaced(mut self) -> Self {
        self.pace.get_or_insert(0.0);
        self
    }

    /// A duration of the chapter at this run's pace: all simulated time goes through here, work
    /// and deadlines alike.
    pub fn time(&self, chapter: Duration) -> Duration {
        if self.virtual_clock {
            return chapter;
        }
        // If the product overflows, this is the longest duration.
        Duration::try_from_secs_f64(chapter.as_secs_f64() * self.pace()).unwrap_or(Duration::MAX)
    }

    /// [`time`](Demo::time) for a number of milliseconds.
    pub fn millis(&self, chapter: u64) -> Duration {
        self.time(Duration::from_millis(chapter))
    }

    /// Simulates a piece of work on a thread for `ms` milliseconds of the chapter's time: drawn as
    /// `name` in the lane of `lane`, counted, and a panic if `--panic-at` says so.
    ///
    /// # Panics
    ///
    /// As [`piece`](Demo::piece).
    pub fn work_blocking(&self, lane: impl Display, name: impl Display, millis: u64) {
        let _bar = bar(lane, name);
        self.piece();
        thread::sleep(self.millis(millis));
    }

    /// Marks the start of a piece of work, which `--panic-at` counts. [`work`](Demo::work) does it
    /// for work that only rests.
    ///
    /// # Panics
    ///
    /// In the N-th piece of a run with `--panic-at N`.
    pub fn piece(&self) {
        if let Some(planted) = self.panic_at {
            let piece = self.pieces.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(piece != planted, "planted panic in piece {piece}");
        }
    }
}

fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(pace) if (0.0..=1e6).contains(&pace) => Ok(pace),
        _ => Err("a pace is a number from 0 to 1000000, such as 0, 0.5 or 1".to_owned()),
    }
}
