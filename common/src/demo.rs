use std::any::Any;
use std::error::Error;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use timeline::{RecordFlags, Recording};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::output::complain;

/// What a program's body returns: an error becomes one line on stderr and exit status 1.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// The flags that every section's program understands, and the runtime that goes with them.
///
/// Flatten it into the program's own flags, then hand the body to [`threads`](Demo::threads),
/// [`tasks`](Demo::tasks) or [`mixed`](Demo::mixed), whichever world the section lives in.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo {
    /// Same seed, same random choices [default: other ones in every run]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Scale all simulated time: 1 is the chapter's pace, 0 does not wait at all [default: 1]
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

impl Demo {
    /// Runs a program of threads. At pace 0 they skip their sleeps.
    pub fn threads(self, body: impl FnOnce(Demo) -> Outcome) -> ExitCode {
        run(|| {
            let record = self.record.clone();
            record.of(|| body(self.seeded()))?
        })
    }

    /// Runs a program of tasks. At pace 0 it runs on one thread whose clock jumps to the next
    /// timer as soon as all tasks wait: every order and every deadline stays as it is at pace 1,
    /// and no real time passes.
    ///
    /// Not for a body that waits for a socket, a thread or a signal: the clock would jump past
    /// its time-outs meanwhile.
    pub fn tasks<F>(mut self, body: impl FnOnce(Demo) -> F) -> ExitCode
    where
        F: Future<Output = Outcome>,
    {
        self.virtual_clock = self.pace() == 0.0;
        let runtime = if self.virtual_clock {
            Builder::new_current_thread().enable_all().start_paused(true).build()
        } else {
            Builder::new_multi_thread().enable_all().build()
        };
        block_on(runtime, self, body)
    }

    /// Runs a program that mixes tasks with threads, sockets or signals. At pace 0 both skip their
    /// sleeps, on a clock that is never paused.
    pub fn mixed<F>(self, body: impl FnOnce(Demo) -> F) -> ExitCode
    where
        F: Future<Output = Outcome>,
    {
        block_on(Builder::new_multi_thread().enable_all().build(), self, body)
    }

    /// How much slower than the chapter the program runs; 0 for as fast as it goes.
    pub fn pace(&self) -> f64 {
        self.pace.unwrap_or(1.0)
    }

    /// The pace of a program whose input is real, so that it should not pretend to work: 0 unless
    /// the user asks for another.
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
        // Days at a slow pace may be more than a duration holds: then they are for ever.
        Duration::try_from_secs_f64(chapter.as_secs_f64() * self.pace()).unwrap_or(Duration::MAX)
    }

    /// [`time`](Demo::time) for a number of milliseconds.
    pub fn millis(&self, chapter: u64) -> Duration {
        self.time(Duration::from_millis(chapter))
    }

    /// The random numbers that belong to `item`. They follow from the seed and the item alone,
    /// never from the worker that happens to take it.
    pub fn rng(&self, item: u64) -> StdRng {
        let seed = self.seed.unwrap_or_default();
        // An odd factor, so that no two items of a seed share a state: the golden ratio of 2^64.
        StdRng::seed_from_u64(seed ^ item.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Marks the start of a piece of work, which `--panic-at` counts.
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

    fn seeded(mut self) -> Self {
        self.seed.get_or_insert_with(rand::random);
        self
    }
}

/// Parses the command line, as `clap`'s `parse` does; `--help` and `--version` go through
/// [`say!`](crate::say), so that they too survive a closed stdout.
pub fn parse<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|err| {
        if err.use_stderr() {
            err.exit();
        }
        crate::say!("{}", err.render().to_string().trim_end());
        std::process::exit(0)
    })
}

fn block_on<F>(
    runtime: std::io::Result<Runtime>,
    demo: Demo,
    body: impl FnOnce(Demo) -> F,
) -> ExitCode
where
    F: Future<Output = Outcome>,
{
    run(|| {
        let runtime = runtime?;
        // Inside the runtime, whose clock may be a virtual one.
        let recording = runtime.block_on(async {
            let started = Instant::now();
            Recording::start(&demo.record, move || started.elapsed())
        })?;
        let body = || {
            let (outcome, drawn) = recording.of(|| runtime.block_on(body(demo.seeded())));
            outcome.and(drawn)
        };
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        // A blocking read of stdin cannot be interrupted: it is abandoned, not joined.
        runtime.shutdown_background();
        outcome.unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// Runs `body`: an error is printed with its causes, and it or a panic gives exit status 1.
pub fn run(body: impl FnOnce() -> Outcome) -> ExitCode {
    let outcome: Result<Outcome, Box<dyn Any + Send>> = panic::catch_unwind(AssertUnwindSafe(body));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(err)) => {
            let mut message = err.to_string();
            let mut source = err.source();
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            complain(format_args!("{message}"));
            ExitCode::FAILURE
        }
        Err(_panic) => ExitCode::FAILURE,
    }
}

/// A duration on the command line, such as `5s`, `200ms` or `1m 30s`: for clap's `value_parser`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|err| format!("a duration is a number with a unit, such as 5s or 200ms: {err}"))
}

fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(pace) if (0.0..=1e6).contains(&pace) => Ok(pace),
        _ => Err("a pace is a number from 0 to 1000000, such as 0, 0.5 or 1".to_owned()),
    }
}
