//! The one owner of all that must be consistent: the order of the sources, the windows, what went
//! to which sink, and the checkpoint. It takes one parsed chunk at a time, and between two chunks
//! everything adds up.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::data_pipeline::config::Content;
use crate::data_pipeline::monitor::stats::{Progress, Stats};
use crate::data_pipeline::monitor::warnings::Warnings;
use crate::data_pipeline::sink::outlets::Outlets;
use crate::data_pipeline::state::checkpoint::{BEAT, Checkpoint, Store};
use crate::data_pipeline::state::chunk::{Ack, ParsedChunk};
use crate::data_pipeline::state::feeds::Feeds;
use crate::data_pipeline::state::order::Order;
use crate::data_pipeline::window::Windows;

/// With a message that names what failed.
pub(crate) type Result<T> = std::result::Result<T, String>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) order: Order<ParsedChunk>,
    pub(crate) feeds: Feeds,
    pub(crate) windows: Windows,
    pub(crate) outlets: Outlets,
    /// The sinks' tasks.
    pub(crate) running: JoinSet<Result<()>>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) committing: Option<JoinHandle<Result<()>>>,
    /// What comes of these messages is in the sinks, but in no checkpoint yet.
    pub(crate) acks: Vec<Ack>,
    /// What comes of these is in the last checkpoint, but not in the one before it.
    pub(crate) acks_of_last: Vec<Ack>,
    /// The sources that shall wait for others.
    pub(crate) paused: watch::Sender<Vec<u64>>,
    /// The settings that a checkpoint belongs to.
    pub(crate) job: String,
    pub(crate) warnings: Warnings,
    pub(crate) stats: Arc<Stats>,
    /// Lose the chunk after so many, planted.
    pub(crate) lose_after: Option<u64>,
}

impl Core {
    /// Content chunks until the workers are done, then makes everything safe.
    pub(crate) async fn run(
        mut self,
        mut parsed: mpsc::Receiver<Result<ParsedChunk>>,
    ) -> Result<()> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waiting = self.outlets.is_waiting();
            tokio::select! {
                biased; // what failed first, new work last
                Some(ended) = self.running.join_next() => sink_ended(ended)?,
                done = commit_done(&mut self.committing) => self.committed(done)?,
                _ = beat.tick() => self.beat(),
                share = self.outlets.room(), if waiting => self.outlets.post(share),
                chunk = parsed.recv(), if !waiting => match chunk {
                    Some(chunk) => self.take(chunk?),
                    None => break,
                },
            }
        }
        self.finish().await
    }

    /// A chunk comes in; all that it makes ready goes on.
    fn take(&mut self, chunk: ParsedChunk) {
        let stats = self.stats.clone();
        let stage = &stats.windows;
        let (_busy, source) = (stage.busy.enter(), &chunk.tag.origin.name);
        let _bar = stage.bar(&stage.id, format_args!("{source} up to byte {}", chunk.parsed.end));
        let (feed, sequence) = (chunk.tag.feed, chunk.tag.sequence);
        for chunk in self.order.push(feed, sequence, chunk) {
            self.account(chunk);
        }
        self.close_windows();
        self.align();
    }

    /// Sources that are far apart in time keep many windows open. Before the cells run out, those
    /// that are ahead wait for the others.
    fn align(&self) {
        let ahead = if self.windows.are_many() { self.feeds.ahead() } else { Vec::new() };
        self.paused.send_if_modified(|paused| {
            let changed = *paused != ahead;
            *paused = ahead;
            changed
        });
    }

    fn account(&mut self, mut chunk: ParsedChunk) {
        if self.is_to_be_lost() {
            return; // and what it held with it: the ledger shows it
        }
        let late = self.windows.observe(self.feeds.latest(chunk.tag.feed), &chunk.parsed.rows);
        self.feeds.advance(&chunk, Instant::now());
        if chunk.tag.last {
            self.order.remove(chunk.tag.feed);
        }
        self.warnings.conditions(&chunk.parsed.met);
        self.warnings.keys(self.windows.sizes().2);
        self.warnings.values(self.windows.beyond());
        if !self.outlets.take(Content::DeadLetters) {
            self.warnings.letters(chunk.parsed.dead, &chunk.parsed.letters);
        }
        self.acks.extend(chunk.tag.ack.take());
        self.stats.latency.add(chunk.tag.born.elapsed());
        self.stats.windows.received.add(chunk.parsed.accepted);
        self.stats.windows.sent.add(chunk.parsed.accepted);
        self.outlets.put_chunk(chunk, late);
    }

    fn is_to_be_lost(&mut self) -> bool {
        let lost = self.lose_after == Some(0);
        self.lose_after = self.lose_after.and_then(|chunks| chunks.checked_sub(1));
        lost
    }

    fn close_windows(&mut self) {
        if let Some(latest) = self.feeds.latest_of_all(Instant::now()) {
            self.close_up_to(self.windows.watermark(latest));
        }
    }

    fn close_up_to(&mut self, watermark: i64) {
        let (lines, cells) = self.windows.close(watermark);
        self.outlets.put_other(Content::Windows, lines.into(), cells);
    }

    fn beat(&mut self) {
        self.close_windows(); // a source may have become idle
        self.tell(|progress| progress.beat = Some(Instant::now()));
        if self.committing.is_none() {
            self.commit();
        }
    }

    /// Starts to save the state of this moment. It is committed when all sinks have made safe what
    /// they were sent up to now. Without a checkpoint that alone counts, and only for those sources
    /// that wait for it.
    fn commit(&mut self) {
        if self.store.is_none() && self.acks.is_empty() {
            return;
        }
        let checkpoint = Checkpoint {
            job: self.job.clone(),
            sources: self.feeds.positions(),
            windows: Some(self.windows.save()),
            outputs: self.outlets.lengths(),
        };
        let new = std::mem::take(&mut self.acks);
        let acks = match self.store {
            // One checkpoint later than needed: should the new one get lost, a run goes on from the
            // one before it, and what that one lacks must come again.
            Some(_) => std::mem::replace(&mut self.acks_of_last, new),
            None => new,
        };
        let (store, safe) = (self.store.clone(), self.outlets.barriers());
        self.committing = Some(tokio::spawn(async move {
            all_safe(safe).await?;
            if let Some(store) = store {
                save(store, checkpoint).await?;
            }
            acks.into_iter().for_each(Ack::send);
            Ok(())
        }));
    }

    fn committed(&mut self, done: Result<()>) -> Result<()> {
        self.committing = None;
        if self.store.is_some() {
            self.tell(|progress| progress.saved = Some(Instant::now()));
        }
        done
    }

    /// Lets those who watch know how far it is.
    fn tell(&self, more: impl FnOnce(&mut Progress)) {
        let (open_windows, open_cells, _) = self.windows.sizes();
        let latest = self.feeds.latest_of_all(Instant::now());
        let mut progress = self.stats.progress.lock().expect("nobody panics while holding this");
        *progress = Progress { latest, open_windows, open_cells, ..*progress };
        more(&mut progress);
    }

    /// All chunks are in: saves the state, closes what can be closed, and waits for the sinks.
    async fn finish(mut self) -> Result<()> {
        self.flush().await?;
        self.commit(); // with the windows open, so that a run with more input can go on
        self.flush().await?;
        if !self.acks_of_last.is_empty() {
            self.commit();
            self.flush().await?;
        }
        if self.feeds.are_finished() || self.store.is_none() {
            self.close_up_to(i64::MAX);
        }
        let safe = self.outlets.barriers();
        self.flush().await?;
        drop(self.outlets); // closes the queues: the sinks' tasks end
        while let Some(ended) = self.running.join_next().await {
            sink_ended(ended)?;
        }
        all_safe(safe).await
    }

    /// Waits until the outbox is empty and no commit is under way.
    async fn flush(&mut self) -> Result<()> {
        while self.outlets.is_waiting() || self.committing.is_some() {
            tokio::select! {
                biased;
                Some(ended) = self.running.join_next() => sink_ended(ended)?,
                done = commit_done(&mut self.committing) => self.committed(done)?,
                share = self.outlets.room() => self.outlets.post(share),
            }
        }
        Ok(())
    }
}

async fn save(store: Arc<Store>, checkpoint: Checkpoint) -> Result<()> {
    let saved = spawn_blocking(move || store.save(&checkpoint)).await;
    let saved = saved.map_err(|err| err.to_string())?;
    saved.map_err(|err| format!("cannot write the checkpoint: {err}"))
}

async fn all_safe(safe: Vec<oneshot::Receiver<()>>) -> Result<()> {
    for safe in safe {
        safe.await.map_err(|_| "a sink ended before its time".to_owned())?;
    }
    Ok(())
}

/// The end of the commit under way; never, if there is none.
async fn commit_done(committing: &mut Option<JoinHandle<Result<()>>>) -> Result<()> {
    match committing {
        Some(commit) => commit.await.map_err(|err| err.to_string())?,
        None => std::future::pending().await,
    }
}

fn sink_ended(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.map_err(|err| err.to_string())?
}

#[cfg(test)]
mod tests;
