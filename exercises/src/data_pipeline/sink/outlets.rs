//! The sinks of a run, and what waits for room in their queues.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Batch, Sink};
use crate::data_pipeline::config::{Content, WhenFull, is_tagged};
use crate::data_pipeline::event::parse::Parsed;
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::chunk::ParsedChunk;
use crate::data_pipeline::state::ledger::Held;

/// All sinks. When one has no room, what is for it waits in the outbox, and all behind it too: no
/// further chunk is taken until the outbox is empty.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// Those of the accepted lines first, as in the ledger.
    pub(crate) sinks: Vec<Sink>,
    outbox: VecDeque<Posting>,
}

/// What is for the sink with this number, since when.
#[derive(Debug)]
struct Posting {
    sink: usize,
    what: What,
    since: Instant,
}

#[derive(Debug)]
enum What {
    Batch(Batch),
    Barrier(oneshot::Sender<()>),
}

impl Outlets {
    pub(crate) fn new(sinks: Vec<Sink>) -> Self {
        Self { sinks, outbox: VecDeque::new() }
    }

    /// Whether a batch waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether some sink takes this.
    pub(crate) fn take(&self, content: Content) -> bool {
        self.sinks.iter().any(|sink| sink.content == content)
    }

    /// Puts a chunk's dead letters and accepted lines on their way, `late` of them for their window.
    pub(crate) fn put_chunk(&mut self, chunk: ParsedChunk, late: u64) {
        let Parsed { letters, plain, tagged, filtered, dead, accepted, .. } = chunk.parsed;
        self.put_other(Content::DeadLetters, letters.into(), dead);
        let (plain, tagged) = (Bytes::from(plain), Bytes::from(tagged));
        let held = chunk.tag.held.account(filtered, dead, accepted, late);
        for (at, held) in held.into_iter().enumerate() {
            let lines = if is_tagged(&self.sinks[at].name) { &tagged } else { &plain };
            self.put(at, Batch { bytes: lines.clone(), events: accepted, held: Some(held) });
        }
    }

    /// Puts windows or dead letters on their way, if there is a sink for them.
    pub(crate) fn put_other(&mut self, content: Content, bytes: Bytes, events: u64) {
        if let Some(at) = self.sinks.iter().position(|sink| sink.content == content) {
            self.put(at, Batch { bytes, events, held: None });
        }
    }

    /// Puts a batch into a sink's queue, or into the outbox if there is no room. Whether it counts
    /// as written is decided here and now, so that positions and lengths always agree.
    fn put(&mut self, at: usize, batch: Batch) {
        if batch.bytes.is_empty() {
            return;
        }
        let (waiting, sink) = (self.is_waiting(), &mut self.sinks[at]);
        let share = if waiting { None } else { sink.budget.try_acquire(batch.bytes.len()) };
        if share.is_none() && sink.policy == WhenFull::Drop {
            sink.stage.discarded.add(batch.events);
            return batch.held.into_iter().for_each(Held::dropped);
        }
        if let Some(length) = &mut sink.length {
            *length += batch.bytes.len() as u64;
        }
        match share {
            Some(share) => {
                sink.stage.sends.add(Duration::ZERO);
                sink.send(batch, share);
            }
            None => self.post_later(at, What::Batch(batch)),
        }
    }

    fn post_later(&mut self, sink: usize, what: What) {
        self.outbox.push_back(Posting { sink, what, since: Instant::now() });
    }

    /// Waits for room for the first of the outbox; for ever if it is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing.
    pub(crate) async fn room(&self) -> Share {
        let Some(Posting { sink, what, .. }) = self.outbox.front() else {
            return std::future::pending().await;
        };
        let sink = &self.sinks[*sink];
        let _blocked = sink.stage.blocked.enter();
        let bytes = if let What::Batch(batch) = what { batch.bytes.len() } else { 0 };
        sink.budget.acquire(bytes).await
    }

    /// Sends the first of the outbox, for which there is room now.
    pub(crate) fn post(&mut self, share: Share) {
        let Some(Posting { sink, what, since }) = self.outbox.pop_front() else { return };
        let sink = &self.sinks[sink];
        match what {
            What::Batch(batch) => {
                sink.stage.sends.add(since.elapsed());
                sink.send(batch, share);
            }
            What::Barrier(done) => sink.barrier(done),
        }
    }

    /// Asks every sink to make safe all that was put so far. Each receiver resolves when it is,
    /// or fails if the sink has failed.
    pub(crate) fn barriers(&mut self) -> Vec<oneshot::Receiver<()>> {
        let mut all_safe = Vec::new();
        for at in 0..self.sinks.len() {
            let (done, safe) = oneshot::channel();
            if self.is_waiting() {
                self.post_later(at, What::Barrier(done));
            } else {
                self.sinks[at].barrier(done);
            }
            all_safe.push(safe);
        }
        all_safe
    }

    /// The lengths of all files with what was put so far.
    pub(crate) fn lengths(&self) -> BTreeMap<String, u64> {
        let length = |sink: &Sink| Some((sink.name.clone(), sink.length?));
        self.sinks.iter().filter_map(length).collect()
    }
}
