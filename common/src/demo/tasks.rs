use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::time::Duration;

use timeline::{Recording, bar};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::Demo;
use crate::{Outcome, run};

impl Demo {
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

    /// A piece of work that a task pretends to do for so many milliseconds of the chapter: drawn as
    /// `name` in the lane of `lane`, counted, and a panic if `--panic-at` says so.
    ///
    /// # Cancel safety
    ///
    /// Work that is dropped half-way is drawn as cancelled.
    ///
    /// # Panics
    ///
    /// As [`piece`](Demo::piece).
    pub async fn work(&self, lane: impl Display, name: impl Display, millis: u64) {
        let bar = bar(lane, name);
        self.piece();
        let rest = self.millis(millis);
        bar.of(async move {
            match rest {
                Duration::ZERO => yield_now().await, // a sleep would last until the timer's next tick
                rest => sleep(rest).await,
            }
        })
        .await;
    }
}

fn block_on<F>(runtime: io::Result<Runtime>, demo: Demo, body: impl FnOnce(Demo) -> F) -> ExitCode
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
        let outcome = catch_unwind(AssertUnwindSafe(body));
        // A blocking read of stdin cannot be interrupted: it is abandoned, not joined.
        runtime.shutdown_background();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    })
}
