//! The sinks of a run, and what waits for room in their queues.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::select_all;
use tokio::sync::oneshot;

use super::refused::Letters;
use super::{Barrier, Batch, Settled, Sink};
use crate::data_pipeline::config::{Content, WhenFull, is_tagged};
use crate::data_pipeline::event::output::Parsed;
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::chunk::ParsedChunk;
use crate::data_pipeline::state::ledger::Held;

/// All sinks. When one has no room, its batch waits in its outbox, and so does everything behind it.
/// No further chunk is taken until all outboxes are empty.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// Those of the accepted lines first, as in the ledger.
    pub(crate) sinks: Vec<Sink>,
    /// One for each sink: dead letters of what a server has refused must not wait for its room.
    outboxes: Vec<VecDeque<What>>,
}

#[derive(Debug)]
enum What {
    /// Since when it waits.
    Batch(Batch, Instant),
    Barrier(Barrier),
}

impl Outlets {
    pub(crate) fn new(sinks: Vec<Sink>) -> Self {
        let outboxes = sinks.iter().map(|_| VecDeque::new()).collect();
        Self { sinks, outboxes }
    }

    /// Whether a batch waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.outboxes.iter().any(|outbox| !outbox.is_empty())
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
        self.put_first(content, Batch { bytes, events, held: None }, now);
    }

    /// Sends dead letters of lines that a sink has refused, if there is a sink for them.
    pub(crate) fn put_refused(&mut self, letters: Letters, now: Instant) {
        let Letters { text: bytes, lines: events, held, .. } = letters;
        self.put_first(Content::DeadLetters, Batch { bytes, events, held }, now);
    }

    fn put_first(&mut self, content: Content, batch: Batch, now: Instant) {
        if let Some(at) = self.sinks.iter().position(|sink| sink.content == content) {
            self.put(at, batch, now);
        }
    }

    /// Puts a batch into a sink's queue, or into its outbox if there is no room. It is decided here
    /// whether the batch counts as written, so that positions and lengths always agree.
    fn put(&mut self, at: usize, batch: Batch, now: Instant) {
        if batch.bytes.is_empty() {
            return;
        }
        let (waits, sink) = (!self.outboxes[at].is_empty(), &mut self.sinks[at]);
        let length = sink.length.map(|length| length + batch.bytes.len() as u64);
        if length.is_some_and(|length| length > sink.most) {
            sink.stage.discarded.add(batch.events); // only dead letters have such a bound
            return batch.held.into_iter().for_each(Held::dropped);
        }
        let share = if waits { None } else { sink.budget.try_acquire(batch.bytes.len()) };
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
            None => self.outboxes[at].push_back(What::Batch(batch, now)),
        }
    }

    /// Waits until a sink has room for the first batch of its outbox; forever if nothing waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn room(&self) -> (usize, Share) {
        let first = |(at, outbox): (usize, &VecDeque<What>)| {
            let bytes =
                if let What::Batch(batch, _) = outbox.front()? { batch.bytes.len() } else { 0 };
            Some(Box::pin(async move {
                let _blocked = self.sinks[at].stage.blocked.enter();
                (at, self.sinks[at].budget.acquire(bytes).await)
            }))
        };
        let firsts: Vec<_> = self.outboxes.iter().enumerate().filter_map(first).collect();
        if firsts.is_empty() {
            return std::future::pending().await;
        }
        select_all(firsts).await.0
    }

    /// Sends the first of a sink's outbox, for which there is room now.
    pub(crate) fn post(&mut self, (at, share): (usize, Share), now: Instant) {
        let Some(what) = self.outboxes[at].pop_front() else { return };
        let sink = &self.sinks[at];
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

    /// Asks the sinks that are files whether their names still lead to them, without a sync.
    pub(crate) fn looks(&mut self) -> Vec<oneshot::Receiver<Settled>> {
        let is_file = |at: &usize| self.sinks[*at].length.is_some();
        let files: Vec<_> = (0..self.sinks.len()).filter(is_file).collect();
        files.into_iter().map(|at| self.barrier(at, false)).collect()
    }

    fn barrier(&mut self, at: usize, sync: bool) -> oneshot::Receiver<Settled> {
        let (done, settled) = oneshot::channel();
        let barrier = Barrier { done, sync };
        if self.outboxes[at].is_empty() {
            self.sinks[at].barrier(barrier);
        } else {
            self.outboxes[at].push_back(What::Barrier(barrier));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::sink::{QUEUE, Writer};

    #[tokio::test]
    async fn a_sink_without_room_holds_up_no_other() {
        let sink = |name, content, policy| {
            Sink::new((name, content, policy), name, Writer::Stdout, u64::MAX)
        };
        let (first, _first_drain) = sink("blocks", Content::Lines, WhenFull::Block);
        let (second, _second_drain) = sink("drops", Content::Lines, WhenFull::Drop);
        let (dead, mut dead_drain) = sink("dead", Content::DeadLetters, WhenFull::Block);
        let mut outlets = Outlets::new(vec![first, second, dead]);
        let now = Instant::now();
        let mut put = |at, bytes: usize| {
            let bytes = Bytes::from(vec![b'x'; bytes]);
            outlets.put(at, Batch { bytes, events: 1, held: None }, now);
        };
        put(0, QUEUE);
        put(0, 1);
        put(1, 1);
        put(2, QUEUE);
        put(2, 1);
        assert!(outlets.is_waiting());
        let second = &outlets.sinks[1];
        assert!(second.budget.used() > 0 && second.stage.discarded.get() == 0);
        drop(dead_drain.queue.try_recv().unwrap()); // its room is there again
        let room = outlets.room().await;
        assert_eq!(room.0, 2);
        outlets.post(room, now);
        assert!(dead_drain.queue.try_recv().is_ok() && outlets.is_waiting());
    }
}
