//! The sources: each is a task that reads chunks and feeds them to the workers.

pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod generator;
pub(crate) mod identity;
#[cfg(feature = "nats")]
pub(crate) mod nats;
pub(crate) mod stdin;
pub(crate) mod tcp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Cause, Context};
use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};

use super::budget::{Budget, Share};
use super::chunk::{CHUNK, Chunk, Origin, Tag};
use super::ledger::Ledger;
use super::monitor::stats::Stats;
use super::pool::Pool;
use super::splitter::{Kind, Piece};

/// Tells a source that a checkpoint holds what came of a message.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) sequence: u64,
    pub(crate) committed: mpsc::Sender<u64>,
}

impl Ack {
    pub(crate) fn send(self) {
        // If the source is too far behind, the message comes again: at least once.
        let _ = self.committed.try_send(self.sequence);
    }
}

/// Why a source ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The run was told to stop: the source is not finished.
    #[error(transparent)]
    Interrupted(#[from] Cause),
    /// The source failed; the others go on.
    #[error("{0}")]
    Failed(String),
}

/// Where the sources put their chunks.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    pub(crate) work: Sender<Chunk>,
    pub(crate) budget: Budget,
    pub(crate) pool: Pool,
    /// The lanes that shall wait for others.
    pub(crate) paused: watch::Receiver<Vec<u64>>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) ledger: Ledger,
    pub(crate) ctx: Context,
    pub(crate) max_line: usize,
    pub(crate) lanes: Arc<AtomicU64>,
}

/// One source's way to the workers.
#[derive(Debug)]
pub(crate) struct Feed {
    inlet: Inlet,
    lane: u64,
    sequence: u64,
    origin: Arc<Origin>,
}

impl Inlet {
    pub(crate) fn feed(&self, origin: Origin) -> Feed {
        let lane = self.lanes.fetch_add(1, Ordering::Relaxed);
        Feed { inlet: self.clone(), lane, sequence: 0, origin: Arc::new(origin) }
    }

    /// For a source that can be read only once.
    pub(crate) fn stream(&self, name: &str) -> Feed {
        let (source, name) = (name.to_owned(), name.to_owned());
        self.feed(Origin { source, name, generation: 1, ..Origin::default() })
    }
}

impl Feed {
    pub(crate) fn lane(&self) -> u64 {
        self.lane
    }

    pub(crate) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(crate) fn ctx(&self) -> &Context {
        &self.inlet.ctx
    }

    pub(crate) fn max_line(&self) -> usize {
        self.inlet.max_line
    }

    /// A buffer of any length with anything in it.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.inlet.pool.take()
    }

    /// From here on the chunks come from another file, or one that is better known.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = Arc::new(origin);
    }

    /// Waits until there is room for a chunk: this is where backpressure stops a source.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing.
    pub(crate) async fn room(&self) -> Result<Share, Cause> {
        if let Some(cause) = self.inlet.ctx.err() {
            return Err(cause);
        }
        self.inlet.ctx.run(self.others()).await?;
        let stage = &self.inlet.stats.parse;
        if let Some(share) = self.inlet.budget.try_acquire(CHUNK) {
            stage.sends.add(Duration::ZERO);
            return Ok(share);
        }
        let (_blocked, since) = (stage.blocked.enter(), Instant::now());
        let share = self.inlet.ctx.run(self.inlet.budget.acquire(CHUNK)).await?;
        stage.sends.add(since.elapsed());
        Ok(share)
    }

    /// Waits for the sources that this one is too far ahead of.
    async fn others(&self) {
        let mut paused = self.inlet.paused.clone();
        // An error means that the core is gone, and then nobody needs to wait any more.
        drop(paused.wait_for(|lanes| !lanes.contains(&self.lane)).await);
    }

    /// Sends the pieces of one read, for which `share` made room.
    pub(crate) fn send(&mut self, pieces: Vec<Piece>, share: Share) {
        self.send_all(pieces, share, None);
    }

    /// The same, for a source that is told when they are safe.
    #[cfg(feature = "nats")]
    pub(crate) fn send_acked(&mut self, pieces: Vec<Piece>, share: Share, ack: Ack) {
        self.send_all(pieces, share, Some(ack));
    }

    fn send_all(&mut self, pieces: Vec<Piece>, mut share: Share, mut ack: Option<Ack>) {
        share.shrink(pieces.iter().map(|piece| piece.bytes.len()).sum());
        let share = Arc::new(share);
        let count = pieces.len();
        for (at, piece) in pieces.into_iter().enumerate() {
            let ack = if at + 1 == count { ack.take() } else { None };
            self.push(piece, share.clone(), ack, false);
        }
        ack.into_iter().for_each(Ack::send); // an empty message is done with
    }

    /// Tells the stages behind that this source has ended, after `rest` if there is some.
    pub(crate) async fn finish(mut self, rest: Option<Piece>) -> Result<(), Cause> {
        let mut share = self.room().await?;
        share.shrink(rest.as_ref().map_or(0, |piece| piece.bytes.len()));
        let end = Piece { offset: 0, bytes: Vec::new(), kind: Kind::Lines };
        let share = Arc::new(share);
        if let Some(rest) = rest {
            self.push(rest, share.clone(), None, false);
        }
        self.push(end, share, None, true);
        Ok(())
    }

    fn push(&mut self, piece: Piece, share: Arc<Share>, ack: Option<Ack>, last: bool) {
        self.inlet.stats.sources.add_bytes(piece.bytes.len());
        let tag = Tag {
            lane: self.lane,
            sequence: self.sequence,
            origin: self.origin.clone(),
            held: self.inlet.ledger.read(piece.events()),
            _share: share,
            born: Instant::now(),
            ack,
            last,
        };
        self.sequence += 1;
        // The share has made room. The workers are gone only when the run has failed: what the
        // chunk held is then nobody's business any more.
        let _ = self.inlet.work.send(Chunk { tag, piece });
    }
}
