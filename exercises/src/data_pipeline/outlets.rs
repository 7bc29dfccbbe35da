//! The sinks of a run, and what waits for room in their queues.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::budget::Share;
use super::chunk::Parsed;
use super::config::Policy;
use super::ledger::Held;
use super::sink::{Batch, Sink, is_tagged};

/// Which sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Out(usize),
    Aggregates,
    Letters,
}

/// All sinks. When one has no room, what is for it waits in the outbox, and all behind it too: no
/// further chunk is taken until the outbox is empty.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    pub(crate) outs: Vec<Sink>,
    pub(crate) aggregates: Option<Sink>,
    pub(crate) letters: Option<Sink>,
    outbox: VecDeque<(To, Posting, Instant)>,
}

#[derive(Debug)]
enum Posting {
    Batch(Batch),
    Barrier(oneshot::Sender<()>),
}

impl Outlets {
    pub(crate) fn new(outs: Vec<Sink>, aggregates: Option<Sink>, letters: Option<Sink>) -> Self {
        Self { outs, aggregates, letters, outbox: VecDeque::new() }
    }

    /// Whether a batch waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Puts a chunk's accepted lines on their way to every `--out`.
    pub(crate) fn put_lines(&mut self, plain: &Bytes, tagged: &Bytes, held: Vec<Held>) {
        for (at, held) in held.into_iter().enumerate() {
            let bytes = if is_tagged(&self.outs[at].name) { tagged } else { plain };
            self.put(To::Out(at), bytes.clone(), Some(held));
        }
    }

    /// Puts a batch into a sink's queue, or into the outbox if there is no room. Whether it counts
    /// as written is decided here and now, so that positions and lengths always agree.
    pub(crate) fn put(&mut self, to: To, bytes: Bytes, held: Option<Held>) {
        let waiting = self.is_waiting();
        let Some(sink) = self.sink(to).filter(|_| !bytes.is_empty()) else { return };
        let share = if waiting { None } else { sink.budget.try_acquire(bytes.len()) };
        if share.is_none() && sink.policy == Policy::Drop {
            return held.into_iter().for_each(Held::dropped);
        }
        if let Some(length) = &mut sink.length {
            *length += bytes.len() as u64;
        }
        let batch = Batch { bytes, held };
        match share {
            Some(share) => {
                sink.stage.sends.add(Duration::ZERO);
                sink.send(batch, share);
            }
            None => self.outbox.push_back((to, Posting::Batch(batch), Instant::now())),
        }
    }

    /// Waits for room for the first of the outbox; for ever if it is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing.
    pub(crate) async fn room(&self) -> Share {
        let first =
            self.outbox.front().and_then(|(to, posting, _)| Some((self.get(*to)?, posting)));
        let _blocked = first.map(|(sink, _)| sink.stage.blocked.enter());
        match first {
            Some((sink, Posting::Batch(batch))) => sink.budget.acquire(batch.bytes.len()).await,
            Some((sink, Posting::Barrier(_))) => sink.budget.acquire(0).await,
            None => std::future::pending().await,
        }
    }

    /// Sends the first of the outbox, for which there is room now.
    pub(crate) fn post(&mut self, share: Share) {
        let Some((to, posting, since)) = self.outbox.pop_front() else { return };
        let sink = self.get(to).expect("only for a sink that is there something waits");
        match posting {
            Posting::Batch(batch) => {
                sink.stage.sends.add(since.elapsed());
                sink.send(batch, share);
            }
            Posting::Barrier(done) => sink.barrier(done),
        }
    }

    /// Asks every sink to make safe all that was put so far. Each receiver resolves when it is,
    /// or fails if the sink has failed.
    pub(crate) fn barriers(&mut self) -> Vec<oneshot::Receiver<()>> {
        let all: Vec<To> = self.all().map(|(to, _)| to).collect();
        let waiting = self.is_waiting();
        let barrier = |to| {
            let (done, safe) = oneshot::channel();
            match self.get(to) {
                Some(sink) if !waiting => sink.barrier(done),
                _ => self.outbox.push_back((to, Posting::Barrier(done), Instant::now())),
            }
            safe
        };
        all.into_iter().map(barrier).collect()
    }

    /// The lengths of all files with what was put so far.
    pub(crate) fn lengths(&self) -> BTreeMap<String, u64> {
        self.all().filter_map(|(_, sink)| Some((sink.name.clone(), sink.length?))).collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (To, &Sink)> {
        let outs = self.outs.iter().enumerate().map(|(at, sink)| (To::Out(at), sink));
        let aggregates = self.aggregates.iter().map(|sink| (To::Aggregates, sink));
        outs.chain(aggregates).chain(self.letters.iter().map(|sink| (To::Letters, sink)))
    }

    fn get(&self, to: To) -> Option<&Sink> {
        match to {
            To::Out(at) => self.outs.get(at),
            To::Aggregates => self.aggregates.as_ref(),
            To::Letters => self.letters.as_ref(),
        }
    }

    fn sink(&mut self, to: To) -> Option<&mut Sink> {
        match to {
            To::Out(at) => self.outs.get_mut(at),
            To::Aggregates => self.aggregates.as_mut(),
            To::Letters => self.letters.as_mut(),
        }
    }
}

/// A chunk's dead letters and accepted lines, on their way.
pub(crate) fn deliver(outlets: &mut Outlets, chunk: Parsed, late: u64) {
    outlets.put(To::Letters, chunk.letters, None);
    let held = chunk.tag.held.settle(chunk.filtered, chunk.dead, chunk.accepted, late);
    outlets.put_lines(&chunk.plain, &chunk.tagged, held);
}
