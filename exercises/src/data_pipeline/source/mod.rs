//! The sources: each is a task that reads chunks and feeds them to the workers.

pub(crate) mod content;
pub(crate) mod files;
pub(crate) mod generator;
mod known;
#[cfg(feature = "nats")]
pub(crate) mod nats;
pub(crate) mod place;
pub(crate) mod pool;
pub(crate) mod registry;
pub(crate) mod stdin;
pub(crate) mod tail;
pub(crate) mod tcp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Cause, Context};
use crossbeam_channel::Sender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::data_pipeline::config::Config;
use crate::data_pipeline::event::splitter::{Framing, Kind, Parts, Segment};
use crate::data_pipeline::monitor::stats::{Stage, Stats};
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::state::budget::{ByteBudget, Share};
use crate::data_pipeline::state::chunk::{Ack, CHUNK, Chunk, Origin, Tag, Work};
use crate::data_pipeline::state::file::{Fingerprint, named};
use pool::Pool;

/// Whether `--nats` can be a server's address, without a connection.
#[cfg_attr(not(feature = "nats"), allow(clippy::unnecessary_wraps))]
pub(crate) fn check_server(config: &Config) -> Result<(), String> {
    #[cfg(feature = "nats")]
    if let Some(url) = &config.nats {
        return crate::data_pipeline::nats::check(url)
            .map_err(|err| format!("--nats: {err}; expected a URL such as nats://localhost:4222"));
    }
    let _ = config;
    Ok(())
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

/// Runs a source, and warns at once if it fails: the others go on.
pub(crate) async fn warn_if_failed(
    source: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let ended = source.await;
    if let Err(Stopped::Failed(failure)) = &ended {
        warn(format_args!("{failure}; the other sources go on"));
    }
    ended
}

/// Waits for all sources. Returns the first failure, or else why one was stopped.
pub(crate) async fn join(mut sources: JoinSet<Result<(), Stopped>>) -> Result<(), Stopped> {
    let mut outcome = Ok(());
    while let Some(ended) = sources.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(Stopped::Failed(panic.to_string())));
        if !matches!(outcome, Err(Stopped::Failed(_))) && ended.is_err() {
            outcome = ended;
        }
    }
    outcome
}

/// Where the sources put their chunks.
#[derive(Debug)]
pub(crate) struct Inlet {
    pub(crate) work: Sender<Work>,
    pub(crate) budget: ByteBudget,
    pub(crate) pool: Pool,
    /// The feeds that have to wait for others.
    pub(crate) paused: watch::Receiver<Vec<u64>>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) ctx: Context,
    pub(crate) framing: Framing,
    pub(crate) feeds: AtomicU64,
    /// When the run started, in milliseconds since 1970.
    pub(crate) started: u64,
}

/// One source's way to the workers.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    inlet: Arc<Inlet>,
    /// The configured source that it belongs to.
    stage: Arc<Stage>,
    pub(crate) id: u64,
    sequence: u64,
    pub(crate) origin: Arc<Origin>,
}

impl Inlet {
    /// A source that belongs to the configured one with the name `component`.
    pub(crate) fn feed(self: &Arc<Self>, component: &str, origin: Origin) -> Feed {
        let stage = self.stats.sources.iter().find(|stage| stage.id == component);
        let stage = stage.expect("every configured source is a stage").clone();
        let id = self.feeds.fetch_add(1, Ordering::Relaxed);
        Feed { inlet: self.clone(), stage, id, sequence: 0, origin: Arc::new(origin) }
    }

    /// For a source that can be read only once: each run gives it another name, so that its ids
    /// differ from those of earlier runs.
    pub(crate) fn stream(self: &Arc<Self>, component: &str, source: &str) -> Feed {
        let name = named(source, self.started);
        self.feed(component, Origin { name, ..Origin::default() })
    }
}

impl Feed {
    /// A bar of the timeline, in the first free lane of the source.
    pub(crate) fn bar(&self, offset: u64) -> Option<common::Work> {
        self.stage.bar(format_args!("{} #", self.stage.id), format_args!("from byte {offset}"))
    }

    /// Waits until there is room for a chunk: this is where backpressure stops a source.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn room(&self) -> Result<Share, Cause> {
        match self.try_room() {
            Some(share) => Ok(share),
            None => self.room_for(CHUNK).await,
        }
    }

    /// The same for `bytes`, but at least for a chunk. It never takes the whole budget, because a
    /// source may hold a share while it waits for its input.
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<Share, Cause> {
        let bytes = bytes.min(self.inlet.budget.total().saturating_sub(CHUNK)).max(CHUNK);
        let ctx = &self.inlet.ctx;
        ctx.run(self.others()).await?;
        let stage = &self.inlet.stats.parse;
        let (_blocked, since) = (stage.blocked.enter(), Instant::now());
        let share = ctx.run(self.inlet.budget.acquire(bytes)).await?;
        stage.sends.add(since.elapsed());
        Ok(share)
    }

    /// Room for a chunk, if there is some now and the source need not wait for others.
    pub(crate) fn try_room(&self) -> Option<Share> {
        let inlet = &self.inlet;
        if inlet.ctx.err().is_some() || inlet.paused.borrow().contains(&self.id) {
            return None;
        }
        let share = inlet.budget.try_acquire(CHUNK)?;
        inlet.stats.parse.sends.add(Duration::ZERO);
        Some(share)
    }

    /// Waits for the sources that this one is too far ahead of.
    async fn others(&self) {
        let mut paused = self.inlet.paused.clone();
        // An error means that the core is gone; then there is no need to wait.
        drop(paused.wait_for(|feeds| !feeds.contains(&self.id)).await);
    }

    /// Sends the segments of one read, for which `share` made room. An `ack` reports when they are
    /// safe.
    pub(crate) fn send(&mut self, segments: Vec<Segment>, share: Share, ack: Option<Ack>) {
        let chunks = self.chunks(segments, share, ack, |_| None);
        if !chunks.is_empty() {
            self.push(Box::new(|| chunks));
        }
    }

    /// Tells the stages behind that this source has ended, after `rest` if there is some.
    pub(crate) async fn finish(mut self, rest: Option<Segment>) -> Result<(), Cause> {
        let share = self.room().await?;
        let (kind, after) = (Kind::Lines, Parts::default());
        let end = Segment { offset: 0, bytes: Vec::new(), kind, after };
        let mut chunks =
            self.chunks(rest.into_iter().chain([end]).collect(), share, None, |_| None);
        chunks.last_mut().expect("the end is one").tag.last = true;
        self.push(Box::new(|| chunks));
        Ok(())
    }

    /// Counts the segments as read. The last one brings the `ack`. For a file, `read` returns what
    /// has been read of it up to the end of a segment.
    pub(crate) fn chunks(
        &mut self,
        segments: Vec<Segment>,
        mut share: Share,
        ack: Option<Ack>,
        mut read: impl FnMut(&Segment) -> Option<Fingerprint>,
    ) -> Vec<Chunk> {
        share.shrink(segments.iter().map(|segment| segment.bytes.len()).sum());
        let share = Arc::new(share);
        let segments = segments.into_iter().flat_map(Segment::cut);
        let chunk = |(segment, events)| {
            let read = read(&segment);
            self.chunk(segment, events, share.clone(), read)
        };
        let mut chunks: Vec<_> = segments.map(chunk).collect();
        match chunks.last_mut() {
            Some(last) => last.tag.ack = ack,
            None => ack.into_iter().for_each(Ack::send), // an empty message is acknowledged at once
        }
        chunks
    }

    fn chunk(
        &mut self,
        segment: Segment,
        events: u64,
        share: Arc<Share>,
        read: Option<Fingerprint>,
    ) -> Chunk {
        self.stage.bytes.add(segment.bytes.len() as u64);
        self.stage.received.add(events);
        self.stage.sent.add(events);
        let tag = Tag {
            feed: self.id,
            sequence: self.sequence,
            origin: self.origin.clone(),
            held: self.inlet.stats.ledger.read(events),
            _share: share,
            born: Instant::now(),
            ack: None,
            last: false,
            read,
        };
        self.sequence += 1;
        Chunk { tag, segment }
    }

    /// Gives work to the first free worker.
    pub(crate) fn push(&self, work: Work) {
        // The share has made room. The workers are gone only if the run has failed, and then the
        // chunk can be dropped.
        let _ = self.inlet.work.send(work);
    }
}
