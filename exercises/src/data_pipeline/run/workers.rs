//! The threads that parse.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use common::{Demo, Seed};
use crossbeam_channel::Receiver;
use tokio::sync::mpsc;

use super::core::Result;
use crate::data_pipeline::event::job::Job;
use crate::data_pipeline::event::parse::parse;
use crate::data_pipeline::monitor::stats::Stats;
use crate::data_pipeline::source::pool::Pool;
use crate::data_pipeline::state::chunk::{Chunk, ParsedChunk, Work};

/// What each worker needs.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) job: Arc<Job>,
    pub(crate) demo: Demo<Seed>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) pool: Pool,
    pub(crate) work: Receiver<Work>,
    pub(crate) done: mpsc::Sender<Result<ParsedChunk>>,
}

impl Worker {
    /// Starts `count` workers. They end when the sources have ended.
    pub(crate) fn spawn(&self, count: usize) -> io::Result<Vec<JoinHandle<()>>> {
        let spawn = |number| {
            let (worker, name) = (self.clone(), format!("worker {number}"));
            thread::Builder::new().name(name.clone()).spawn(move || worker.run(&name))
        };
        (1..=count).map(spawn).collect()
    }

    fn run(self, name: &str) {
        for work in &self.work {
            if self.done.is_closed() {
                // The run has failed. Chunks that are still sent would stay in the queue with their
                // buffers and acks, and a read even with its source.
                continue;
            }
            let send = |parsed| drop(self.done.blocking_send(parsed)); // as above
            let parse = || work().into_iter().for_each(|chunk| send(Ok(self.parse(chunk, name))));
            if catch_unwind(AssertUnwindSafe(parse)).is_err() {
                send(Err("a worker panicked".to_owned())); // the chunk is gone: no run without it
            }
        }
    }

    fn parse(&self, chunk: Chunk, name: &str) -> ParsedChunk {
        let stage = &self.stats.parse;
        let _busy = stage.busy.enter();
        let (source, offset) = (&chunk.tag.origin.name, chunk.segment.offset);
        let _bar = stage.bar(name, format_args!("{source} from byte {offset}"));
        self.demo.piece();
        let (parsed, buffer) = parse(source, chunk.segment, &self.job, None);
        stage.bytes.add(buffer.len() as u64);
        stage.received.add(parsed.filtered + parsed.dead + parsed.accepted);
        stage.sent.add(parsed.accepted);
        stage.discarded.add(parsed.filtered + parsed.dead);
        stage.errors.add(parsed.dead);
        self.pool.give(buffer);
        ParsedChunk { tag: chunk.tag, parsed }
    }
}
