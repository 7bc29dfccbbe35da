use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::time::Duration;

use timeline::bar;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::Demo;
use crate::{Result, run};

impl<S: clap::Args> Demo<S> {
    /// Runs a program of tasks. At pace 0 it runs on one thread whose clock jumps to the next
    /// timer as soon as all tasks wait: every order and every deadline stays as it is at pace 1,
    /// and no real time passes.
    ///
    /// Not for a body that waits for a socket, a thread or a signal: the clock would jump past
    /// its time-outs meanwhile.
    pub fn tasks(mut self, body: impl AsyncFnOnce(Self) -> Result) -> ExitCode {
        if self.pace() > 0.0 {
            return self.mixed(body);
        }
        self.virtual_clock = true;
        self.block_on(Builder::new_current_thread().enable_all().start_paused(true).build(), body)
    }

    /// Runs a program that mixes tasks with threads, sockets or signals. At pace 0 both skip their
    /// sleeps, on a clock that is never paused.
    pub fn mixed(self, body: impl AsyncFnOnce(Self) -> Result) -> ExitCode {
        self.block_on(Builder::new_multi_thread().enable_all().build(), body)
    }

    fn block_on(
        self,
        runtime: io::Result<Runtime>,
        body: impl AsyncFnOnce(Self) -> Result,
    ) -> ExitCode {
        run(|| {
            let runtime = runtime?;
            let started = runtime.block_on(async { Instant::now() }); // it may be virtual
            let record = self.record.clone();
            let body = || runtime.block_on(body(self));
            let recorded = || record.by(move || started.elapsed(), body);
            let recorded = catch_unwind(AssertUnwindSafe(recorded));
            // A blocking read of stdin cannot be interrupted: it is abandoned, not joined.
            runtime.shutdown_background();
            recorded.unwrap_or_else(|panic| resume_unwind(panic))?
        })
    }

    /// Simulates a piece of work in a task for `ms` milliseconds of the chapter's time: drawn as
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
        match self.millis(millis) {
            Duration::ZERO => bar.of(yield_now()).await, // a sleep lasts until the timer's next tick
            rest => bar.of(sleep(rest)).await,
        }
    }
}
