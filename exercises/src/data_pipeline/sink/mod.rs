//! The sinks: each is a task with a queue of its own, bounded in bytes.

mod bodies;
mod http;
#[cfg(feature = "nats")]
mod nats;
pub(crate) mod outlets;
mod output;
mod owed;
mod post;
pub(crate) mod refused;
mod size;
mod tcp;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::data_pipeline::config::{Content, WhenFull};
use crate::data_pipeline::monitor::stats::{Stage, drawn};
use crate::data_pipeline::state::budget::{ByteBudget, Share};
use crate::data_pipeline::state::ledger::Held;
use owed::Owed;
pub(crate) use writer::{Settled, Writer};

/// Most bytes queued for one sink.
pub(crate) const QUEUE: usize = 4 << 20;

/// A batch on its way to a sink.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) events: u64,
    /// `None` for windows, and for dead letters that were not accepted events.
    pub(crate) held: Option<Held>,
}

#[derive(Debug)]
enum Item {
    Batch(Batch, Share),
    /// A barrier: all before it must be written, and synced if it says so; then it is answered.
    Barrier(Barrier),
}

/// Where a sink reports that all before this has been written.
#[derive(Debug)]
pub(crate) struct Barrier {
    pub(crate) done: oneshot::Sender<Settled>,
    /// Whether it must also be synced to the disk.
    pub(crate) sync: bool,
}

/// A sink as the stages before it see it.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) name: String,
    pub(crate) content: Content,
    pub(crate) policy: WhenFull,
    pub(crate) budget: ByteBudget,
    /// The length of the file with all that is queued; `None` if it cannot be cut.
    pub(crate) length: Option<u64>,
    /// The largest length of the file: batches beyond it are left out.
    pub(crate) most: u64,
    queue: mpsc::Sender<Item>,
    pub(crate) stage: Arc<Stage>,
}

/// The other end: run it as a task.
#[derive(Debug)]
pub(crate) struct Drain {
    budget: ByteBudget,
    stage: Arc<Stage>,
    writer: Writer,
    queue: mpsc::Receiver<Item>,
    /// The batches that the other side has not acknowledged yet. They keep their share of the
    /// queue, which bounds them.
    acks: JoinSet<()>,
}

impl Sink {
    /// A sink with its open writer. A file becomes no longer than `most` bytes.
    pub(crate) fn new(
        (name, content, policy): (&str, Content, WhenFull),
        id: &str,
        writer: Writer,
        most: u64,
    ) -> (Self, Drain) {
        let budget = ByteBudget::new(QUEUE);
        // Room for every batch that the budget allows, and for the barrier.
        let (sender, queue) = mpsc::channel(budget.chunks() + 2);
        let stage = Stage::new(id, "sink", writer.kind(), Some(budget.clone()));
        let (acks, length) = (JoinSet::new(), writer.length());
        let drain = Drain { budget: budget.clone(), stage: stage.clone(), writer, queue, acks };
        let name = name.to_owned();
        (Self { name, content, policy, budget, length, most, queue: sender, stage }, drain)
    }

    /// Passes on a batch for which `share` has made room.
    pub(crate) fn send(&self, batch: Batch, share: Share) {
        // A sink that has failed ends the run: its error comes from its task.
        let _ = self.queue.try_send(Item::Batch(batch, share));
    }

    /// Asks the sink to write all that it was sent, and then to report it.
    pub(crate) fn barrier(&self, barrier: Barrier) {
        let _ = self.queue.try_send(Item::Barrier(barrier));
    }
}

impl Drain {
    /// Creates the file, or cuts it to the length from which it goes on.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        self.writer.begin()
    }

    /// Writes batches until the stages before it are done. A failure ends the run, so no checkpoint
    /// covers anything that may be lost.
    pub(crate) async fn run(mut self) -> Result<(), String> {
        loop {
            let first = tokio::select! {
                Some(acked) = self.acks.join_next() => {
                    acked.map_err(|err| err.to_string())?;
                    continue;
                }
                first = self.queue.recv() => first,
            };
            let Some(first) = first else { break };
            let linger = self.writer.linger().filter(|_| self.budget.used() < QUEUE / 4);
            if let Some(linger) = linger {
                sleep(linger).await;
            }
            let (most, most_bytes) = self.writer.together();
            let (mut items, mut bytes) = (vec![first], 0);
            while items.len() <= most
                && bytes < most_bytes
                && let Ok(item) = self.queue.try_recv()
            {
                bytes += if let Item::Batch(batch, _) = &item { batch.bytes.len() } else { 0 };
                items.push(item);
            }
            let taken = self.take(items).await;
            taken.map_err(|err| format!("cannot write to {}: {err}", self.stage.id))?;
        }
        self.acknowledged().await
    }

    /// Waits until all that was sent is acknowledged.
    async fn acknowledged(&mut self) -> Result<(), String> {
        while let Some(acked) = self.acks.join_next().await {
            acked.map_err(|err| err.to_string())?;
        }
        Ok(())
    }

    async fn take(&mut self, items: Vec<Item>) -> Result<(), String> {
        let stage = self.stage.clone();
        let _busy = stage.busy.enter();
        let mut batches = Vec::new();
        for item in items {
            match item {
                Item::Batch(batch, share) => batches.push((batch, share)),
                Item::Barrier(Barrier { done, sync }) => {
                    self.write(std::mem::take(&mut batches)).await?;
                    self.acknowledged().await?;
                    if sync {
                        self.writer.sync().await?;
                    }
                    // After a failure of the run there is no receiver any more.
                    let _ = done.send(self.writer.settle(&self.stage.id)?);
                }
            }
        }
        self.write(batches).await
    }

    /// The batches keep their share of the queue until they are written and, where there is another
    /// side, acknowledged.
    async fn write(&mut self, batches: Vec<(Batch, Share)>) -> Result<(), String> {
        if batches.is_empty() {
            return Ok(());
        }
        let stage = self.stage.clone();
        let bytes: Vec<_> = batches.iter().map(|(batch, _)| batch.bytes.clone()).collect();
        let events = batches.iter().map(|(batch, _)| batch.events).sum();
        stage.received.add(events);
        stage.bytes.add(bytes.iter().map(|bytes| bytes.len() as u64).sum());
        let bar = stage.bar(&stage.id, format_args!("{events} events"));
        let (mut owed, mut shares) = (Owed::default(), Vec::new());
        for (batch, share) in batches {
            owed.push(batch.events, batch.held);
            shares.push(share);
        }
        let acks = drawn(bar, self.writer.write(bytes, &mut owed, &stage)).await?;
        let delivered = move |stage: &Stage| {
            stage.sent.add(owed.delivered());
            drop(shares);
        };
        match acks {
            None => delivered(&stage),
            Some(acks) => drop(self.acks.spawn(async move {
                let _busy = stage.busy.enter();
                acks.await;
                delivered(&stage);
            })),
        }
        Ok(())
    }
}
