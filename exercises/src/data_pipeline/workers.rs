//! The threads that parse.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use common::Demo;
use crossbeam_channel::Receiver;
use tokio::sync::mpsc;

use super::chunk::{Chunk, Parsed};
use super::core::Result;
use super::job::Job;
use super::monitor::stats::Stats;
use super::parse::parse;
use super::pool::Pool;

/// What each worker needs.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) job: Arc<Job>,
    pub(crate) demo: Demo,
    pub(crate) stats: Arc<Stats>,
    pub(crate) pool: Pool,
    pub(crate) work: Receiver<Chunk>,
    /// Bounded as well, but it is the chunks' share of the budget that bounds it in bytes.
    pub(crate) done: mpsc::Sender<Result<Parsed>>,
}

/// The running workers. They end when the sources have, or when nobody takes their results.
#[derive(Debug)]
pub(crate) struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    pub(crate) fn spawn(count: usize, worker: &Worker) -> std::io::Result<Self> {
        let spawn = |number| {
            let worker = worker.clone();
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || worker.run())
        };
        (1..=count).map(spawn).collect::<std::io::Result<_>>().map(Self)
    }

    /// Waits for all of them.
    pub(crate) fn join(self) -> Result<()> {
        self.0.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| "a worker panicked outside its work".to_owned())
        })
    }
}

impl Worker {
    fn run(self) {
        for chunk in &self.work {
            let work = AssertUnwindSafe(|| {
                let _busy = self.stats.parse.busy.enter();
                self.stats.parse.add_bytes(chunk.piece.bytes.len());
                self.demo.piece();
                let (parsed, buffer) = parse(chunk, &self.job);
                self.pool.give(buffer);
                parsed
            });
            // The chunk is gone and its source would wait for it: the run cannot go on.
            let parsed = catch_unwind(work).map_err(|_| "a worker panicked".to_owned());
            if self.done.blocking_send(parsed).is_err() {
                return;
            }
        }
    }
}
