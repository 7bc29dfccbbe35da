//! The sinks of a run, and what waits for room in their queues.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Barrier, Batch, Settled, Sink};
use crate::data_pipeline::config::{Content, WhenFull, is_tagged};
use crate::data_pipeline::event::output::Parsed;
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::chunk::ParsedChunk;
use crate::data_pipeline::state::ledger::Held;

/// All sinks. When one has no room, its batch waits in the outbox, and so does everything behind
/// it: no further chunk is taken until the outbox is empty.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// Those of the accepted lines first, as in the ledger.
    pub(crate) sinks: Vec<Sink>,
    outbox: VecDeque<Posting>,
}

/// A batch for the sink with this number.
#[derive(Debug)]
struct Posting {
    sink: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Since when it waits.
    Batch(Batch, Instant),
    Barrier(Barrier),
}

impl Outlets {
    pub(crate) fn new(sinks: Vec<Sink>) -> Self {
        Self { sinks, outbox: VecDeque::new() }
    }

    /// Whether a batch waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether any sink takes this.
    pub(crate) fn take(&self, content: Content) -> bool {
        self.sinks.iter().any(|sink| sink.content == content)
    }

    /// Sends a chunk's dead letters and accepted lines to their sinks. `late` lines came too late for
    /// their window.
    pub(crate) fn put_chunk(&mut self, chunk: ParsedChunk, late: u64, now: Instant) {
        let Parsed { letters, plain, tagged, filtered, dead, accepted, .. } = chunk.parsed;
        self.put_other(Content::DeadLetters, letters.into(), dead, now);
        let (plain, tagged) = (Bytes::from(plain), Bytes::from(tagged));
        let held = chunk.tag.held.account(filtered, dead, accepted, late);
        for (at, held) in held.into_iter().enumerate() {
            let lines = if is_tagged(&self.sinks[at].name) { &tagged } else { &plain };
            self.put(at, Batch { bytes: lines.clone(), events: accepted, held: Some(held) }, now);
        }
    }

    /// Sends windows or dead letters, if there is a sink for them.
    pub(crate) fn put_other(&mut self, content: Content, bytes: Bytes, events: u64, now: Instant) {
        if let Some(at) = self.sinks.iter().position(|sink| sink.content == content) {
            self.put(at, Batch { bytes, events, held: None }, now);
        }
    }

    /// Puts a batch into a sink's queue, or into the outbox if there is no room. It is decided here
    /// whether the batch counts as written, so that positions and lengths always agree.
    fn put(&mut self, at: usize, batch: Batch, now: Instant) {
        if batch.bytes.is_empty() {
            return;
        }
        let (waiting, sink) = (self.is_waiting(), &mut self.sinks[at]);
        let length = sink.length.map(|length| length + batch.bytes.len() as u64);
        if length.is_some_and(|length| length > sink.most) {
            return sink.stage.discarded.add(batch.events); // only dead letters have such a bound
        }
        let share = if waiting { None } else { sink.budget.try_acquire(batch.bytes.len()) };
        if share.is_none() && sink.policy == WhenFull::Drop {
            sink.stage.discarded.add(batch.events);
            return batch.held.into_iter().for_each(Held::dropped);
        }
        sink.length = length;
        match share {
            Some(share) => {
                sink.stage.sends.add(Duration::ZERO);
                sink.send(batch, share);
            }
            None => self.post_later(at, What::Batch(batch, now)),
        }
    }

    fn post_later(&mut self, sink: usize, what: What) {
        self.outbox.push_back(Posting { sink, what });
    }

    /// Waits for room for the first batch of the outbox; forever if it is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn room(&self) -> Share {
        let Some(Posting { sink, what, .. }) = self.outbox.front() else {
            return std::future::pending().await;
        };
        let sink = &self.sinks[*sink];
        let _blocked = sink.stage.blocked.enter();
        let bytes = if let What::Batch(batch, _) = what { batch.bytes.len() } else { 0 };
        sink.budget.acquire(bytes).await
    }

    /// Sends the first of the outbox, for which there is room now.
    pub(crate) fn post(&mut self, share: Share, now: Instant) {
        let Some(Posting { sink, what }) = self.outbox.pop_front() else { return };
        let sink = &self.sinks[sink];
        match what {
            What::Batch(batch, since) => {
                sink.stage.sends.add(now.saturating_duration_since(since));
                sink.send(batch, share);
            }
            What::Barrier(barrier) => sink.barrier(barrier),
        }
    }

    /// Asks every sink to make safe all that was put so far. Each receiver resolves when it is,
    /// or fails if the sink has failed.
    pub(crate) fn barriers(&mut self) -> Vec<oneshot::Receiver<Settled>> {
        (0..self.sinks.len()).map(|at| self.barrier(at, true)).collect()
    }

    /// Asks the sinks that are files whether their names still lead to them, without a sync, and
    /// those that have refused lines for these.
    pub(crate) fn looks(&mut self) -> Vec<oneshot::Receiver<Settled>> {
        let asked = |sink: &Sink| sink.length.is_some() || sink.stage.refused.get() > 0;
        let asked: Vec<_> = (0..self.sinks.len()).filter(|at| asked(&self.sinks[*at])).collect();
        asked.into_iter().map(|at| self.barrier(at, false)).collect()
    }

    fn barrier(&mut self, at: usize, sync: bool) -> oneshot::Receiver<Settled> {
        let (done, settled) = oneshot::channel();
        let barrier = Barrier { done, sync };
        if self.is_waiting() {
            self.post_later(at, What::Barrier(barrier));
        } else {
            self.sinks[at].barrier(barrier);
        }
        settled
    }

    /// How many events this left out of the sink.
    pub(crate) fn discarded(&self, content: Content) -> u64 {
        let sinks = self.sinks.iter().filter(|sink| sink.content == content);
        sinks.map(|sink| sink.stage.discarded.get()).sum()
    }

    /// The files and their lengths, including all that was put so far.
    pub(crate) fn lengths(&self) -> Vec<(String, u64)> {
        let length = |sink: &Sink| Some((sink.name.clone(), sink.length?));
        self.sinks.iter().filter_map(length).collect()
    }

    /// A file was reopened: what was put up to this length is in the file before it.
    pub(crate) fn reopened(&mut self, name: &str, before: u64, now: u64) {
        let sink = self.sinks.iter_mut().find(|sink| sink.name == name);
        if let Some(length) = sink.and_then(|sink| sink.length.as_mut()) {
            *length = *length - before + now;
        }
    }
}
