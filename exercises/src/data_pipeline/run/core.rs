//! The only owner of all state that must be consistent: the order of the sources, the windows, what
//! went to which sink, and the checkpoint. It takes one parsed chunk at a time; between two chunks
//! all state agrees.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::data_pipeline::config::Content;
use crate::data_pipeline::event::output::Parsed;
use crate::data_pipeline::monitor::stats::{Progress, Recent, Stats};
use crate::data_pipeline::monitor::warnings::Warnings;
use crate::data_pipeline::sink::Settled;
use crate::data_pipeline::sink::outlets::Outlets;
use crate::data_pipeline::sink::refused::Refused;
use crate::data_pipeline::state::checkpoint::{BEAT, Checkpoint, Store};
use crate::data_pipeline::state::chunk::{Ack, ParsedChunk};
use crate::data_pipeline::state::feeds::Feeds;
use crate::data_pipeline::state::order::Order;
use crate::data_pipeline::window::Windows;

/// How long a source may hold windows open before a warning names it.
const HELD_OPEN: Duration = Duration::from_secs(10);

/// An error is a message that names what failed.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) order: Order<ParsedChunk>,
    pub(crate) feeds: Feeds,
    pub(crate) windows: Windows,
    pub(crate) outlets: Outlets,
    /// What sinks refuse comes from here.
    pub(crate) refused: Refused,
    /// The sinks' tasks.
    pub(crate) running: JoinSet<Result<()>>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) committing: Option<JoinHandle<Result<Vec<Reopened>>>>,
    /// Messages whose results are in the sinks, but in no checkpoint yet.
    pub(crate) acks: Vec<Ack>,
    /// Messages whose results are in the last checkpoint, but not in the one before it.
    pub(crate) acks_of_last: Vec<Ack>,
    /// The sources that have to wait for others.
    pub(crate) paused: watch::Sender<Vec<u64>>,
    /// Something has happened that no checkpoint holds.
    pub(crate) changed: bool,
    /// The settings that the checkpoint belongs to.
    pub(crate) job: String,
    pub(crate) warnings: Warnings,
    /// The outputs in the checkpoint that this run does not have.
    pub(crate) unused: Checkpoint,
    /// This run goes on from a checkpoint.
    pub(crate) resumed: bool,
    /// How long a source may hold windows open.
    pub(crate) idle: Option<Duration>,
    /// When a sink has last held everything up.
    pub(crate) waited: Option<Instant>,
    pub(crate) stats: Arc<Stats>,
    /// Loses the chunk after this number of chunks: a planted fault.
    pub(crate) lose_after: Option<u64>,
}

/// Why a commit fails if a sink has ended.
const SINK_ENDED: &str = "a sink ended before its time";

impl Core {
    /// Takes chunks until the workers are done, then makes everything safe.
    pub(crate) async fn run(
        mut self,
        mut parsed: mpsc::Receiver<Result<ParsedChunk>>,
    ) -> Result<()> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waiting = self.outlets.is_waiting();
            tokio::select! {
                biased; // failures first, new work last
                Some(ended) = self.running.join_next() => sink_ended(ended)?,
                done = commit_done(&mut self.committing) => {
                    self.say_why(&done).await?;
                    self.committed(done)?;
                }
                _ = beat.tick() => self.beat(Instant::now()),
                () = self.refused.added() => self.take_refused(true),
                share = self.outlets.room(), if waiting => {
                    let now = Instant::now();
                    self.outlets.post(share, now);
                    self.waited = Some(now);
                }
                chunk = parsed.recv(), if !waiting => match chunk {
                    Some(chunk) => self.take(chunk?, Instant::now()),
                    None => break,
                },
            }
        }
        Box::pin(self.finish()).await // large, and only once
    }

    /// Takes a chunk, and passes on all that it completes.
    fn take(&mut self, chunk: ParsedChunk, now: Instant) {
        let stats = self.stats.clone();
        let stage = &stats.windows;
        let (_busy, source) = (stage.busy.enter(), &chunk.tag.origin.name);
        let _bar = stage.bar(&stage.id, format_args!("{source} up to byte {}", chunk.parsed.end));
        let (feed, sequence) = (chunk.tag.feed, chunk.tag.sequence);
        for chunk in self.order.push(feed, sequence, chunk) {
            self.account(chunk, now);
        }
        self.close_windows(now);
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

    fn account(&mut self, mut chunk: ParsedChunk, now: Instant) {
        let Parsed { filtered, dead, accepted, .. } = chunk.parsed;
        if filtered + dead + accepted > 0 && self.is_to_be_lost() {
            return; // with what it held: the ledger shows the loss
        }
        self.changed = true;
        let late = self.windows.observe(self.feeds.latest(chunk.tag.feed), &chunk.parsed.rows);
        self.feeds.advance(&chunk, now);
        if chunk.tag.last {
            self.order.remove(chunk.tag.feed);
        }
        self.warnings.conditions(&chunk.parsed.met);
        if let Some(hint) = chunk.parsed.hint {
            self.warnings.not_lines(&chunk.tag.origin.name, hint);
        }
        self.warnings.rows(&chunk.parsed.rows);
        self.warnings.skipped(&chunk.tag.origin.name, chunk.parsed.skipped);
        self.stats.skipped.add(chunk.parsed.skipped);
        if !chunk.parsed.reasons.is_empty() {
            self.recent().dead(&chunk.parsed.reasons);
        }
        self.warnings.keys(self.windows.sizes().2);
        self.warnings.values(self.windows.beyond());
        if !self.outlets.take(Content::DeadLetters) {
            self.warnings.letters(chunk.parsed.dead, &chunk.parsed.letters);
        }
        self.acks.extend(chunk.tag.ack.take());
        self.stats.latency.add(now.saturating_duration_since(chunk.tag.born));
        self.stats.windows.received.add(chunk.parsed.accepted);
        self.stats.windows.sent.add(chunk.parsed.accepted);
        self.outlets.put_chunk(chunk, late, now);
        self.warnings.letters_full(self.outlets.discarded(Content::DeadLetters));
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.stats.recent.lock().expect("nobody panics while holding this")
    }

    fn is_to_be_lost(&mut self) -> bool {
        let lost = self.lose_after == Some(0);
        self.lose_after = self.lose_after.and_then(|chunks| chunks.checked_sub(1));
        lost
    }

    fn close_windows(&mut self, now: Instant) {
        if self.feeds.are_idle(now) {
            self.close_up_to(i64::MAX, now); // nothing is waited for
        } else if let Some(latest) = self.feeds.latest_of_all(now) {
            self.close_up_to(self.windows.watermark(latest), now);
        }
    }

    fn close_up_to(&mut self, watermark: i64, now: Instant) {
        let (lines, cells) = self.windows.close(watermark);
        let closed = self.windows.take_closed();
        if !closed.is_empty() {
            self.recent().closed(&closed, &lines);
        }
        self.changed |= cells > 0;
        self.outlets.put_other(Content::Windows, lines.into(), cells, now);
    }

    fn beat(&mut self, now: Instant) {
        self.close_windows(now); // a source may have become idle
        self.look_for_held_windows(now);
        self.tell(now, |progress| progress.beat = Some(now));
        if self.committing.is_none() {
            self.commit();
        }
    }

    /// Warns of a source that shows nothing newer and so holds windows open, unless a sink holds up
    /// everything.
    fn look_for_held_windows(&mut self, now: Instant) {
        let blocked = |waited| now.saturating_duration_since(waited) < HELD_OPEN;
        let is_blocked = self.outlets.is_waiting() || self.waited.is_some_and(blocked);
        if self.windows.sizes().0 > 0
            && !is_blocked
            && let Some((source, silent)) = self.feeds.hindmost(now)
            && silent >= HELD_OPEN
        {
            self.warnings.held_open(source, silent, self.idle);
        }
    }

    /// Starts to save the current state. It is committed when all sinks have made safe what
    /// they were sent up to now. Without a checkpoint only this matters, and only to sources that
    /// wait for it. If nothing has happened since, the last one still holds.
    fn commit(&mut self) {
        self.take_refused(false);
        let acks_wait = !(self.acks.is_empty() && self.acks_of_last.is_empty());
        if !(acks_wait || self.store.is_some() && self.changed) {
            let settled = self.outlets.looks();
            return self.settle(settled);
        }
        self.changed = false;
        self.feeds.forget(Timestamp::now().as_second());
        let (lengths, settled) = (self.outlets.lengths(), self.outlets.barriers());
        let mut checkpoint = Checkpoint {
            job: self.job.clone(),
            files: self.feeds.files().clone(),
            windows: Some(self.windows.save()),
            ..self.unused.clone()
        };
        // One commit later than seems necessary: if the new checkpoint gets lost, a run resumes from
        // the one before it, and what that one lacks must come again. And what a sink refuses now is
        // safe when the next commit has synced the dead letters.
        let new = std::mem::take(&mut self.acks);
        let acks = std::mem::replace(&mut self.acks_of_last, new);
        let store = self.store.clone();
        self.committing = Some(tokio::spawn(async move {
            let settled = all_settled(settled).await?;
            let files = settled.iter().filter(|settled| settled.is_file);
            for ((name, length), settled) in lengths.iter().zip(files) {
                let length = settled.reopened.unwrap_or(*length);
                checkpoint.outputs.insert(name.clone(), length);
                settled.file.map(|file| checkpoint.output_files.insert(name.clone(), file));
            }
            for text in settled.iter().flat_map(|settled| &settled.refused) {
                checkpoint.letters += &String::from_utf8_lossy(text);
            }
            let done = reopened(&lengths, &settled);
            if let Some(store) = store {
                save(store, checkpoint).await?;
            }
            acks.into_iter().for_each(Ack::send);
            Ok(done)
        }));
    }

    /// Waits for the sinks, without a checkpoint.
    fn settle(&mut self, settled: Vec<oneshot::Receiver<Settled>>) {
        let lengths = self.outlets.lengths();
        self.committing =
            Some(tokio::spawn(async move { Ok(reopened(&lengths, &all_settled(settled).await?)) }));
    }

    /// If a commit failed because a sink has ended, fails with the error of that sink. The sink drops
    /// its barriers a moment before it ends, so its end may be seen later.
    async fn say_why(&mut self, done: &Result<Vec<Reopened>>) -> Result<()> {
        while done.as_ref().is_err_and(|why| why == SINK_ENDED)
            && let Some(ended) = self.running.join_next().await
        {
            sink_ended(ended)?;
        }
        Ok(())
    }

    fn committed(&mut self, done: Result<Vec<Reopened>>) -> Result<()> {
        self.committing = None;
        let now = Instant::now();
        if self.store.is_some() {
            self.tell(now, |progress| progress.saved = Some(now));
        }
        for Reopened { name, before, now } in done? {
            self.changed = true;
            self.outlets.reopened(&name, before, now);
        }
        self.take_refused(true);
        Ok(())
    }

    /// Puts lines that sinks have refused among the dead letters, at once: a run may end before the
    /// sinks come to a barrier. A checkpoint that is under way or still to come has them as well; one
    /// that begins now, and so does not keep them, has the length with them.
    fn take_refused(&mut self, is_kept: bool) {
        for mut letters in self.refused.take(is_kept && self.store.is_some()) {
            self.changed = true;
            self.recent().dead(&[(std::mem::take(&mut letters.reason), letters.lines)]);
            self.outlets.put_refused(letters, Instant::now());
            self.warnings.letters_full(self.outlets.discarded(Content::DeadLetters));
        }
    }

    /// Puts the dead letters of a checkpoint behind the saved length.
    pub(crate) fn put_letters(&mut self, letters: String) {
        if self.outlets.take(Content::DeadLetters) {
            let lines = letters.lines().count() as u64;
            self.outlets.put_other(Content::DeadLetters, letters.into(), lines, Instant::now());
            self.warnings.letters_full(self.outlets.discarded(Content::DeadLetters));
        } else {
            self.unused.letters = letters; // for a run that has a file for them
        }
    }

    /// Reports the progress to the monitor.
    fn tell(&self, now: Instant, more: impl FnOnce(&mut Progress)) {
        let (open_windows, open_cells, _) = self.windows.sizes();
        let latest = self.feeds.latest_of_all(now);
        let mut progress = self.stats.progress.lock().expect("nobody panics while holding this");
        *progress = Progress { latest, open_windows, open_cells, ..*progress };
        more(&mut progress);
    }

    /// All chunks are in: saves the state, closes what can be closed, and waits for the sinks.
    async fn finish(mut self) -> Result<()> {
        self.flush().await?;
        self.commit(); // with the windows open, so that a run with more input can go on
        self.flush().await?;
        while !self.acks_of_last.is_empty() || self.store.is_some() && self.changed {
            self.commit();
            self.flush().await?;
        }
        if self.feeds.are_finished() || self.store.is_none() {
            self.close_up_to(i64::MAX, Instant::now());
        }
        loop {
            self.changed = false;
            let settled = self.outlets.barriers();
            self.settle(settled);
            self.flush().await?;
            if !self.changed {
                break; // nothing was refused that the dead letters still have to take
            }
        }
        let sinks = std::mem::take(&mut self.outlets).sinks;
        let sinks = sinks.into_iter().map(|sink| (sink.stage, sink.content)); // closes the queues
        let sinks: Vec<_> = sinks.collect(); // the sinks' tasks end
        while let Some(ended) = self.running.join_next().await {
            sink_ended(ended)?;
        }
        let sinks = sinks.iter().map(|(stage, content)| (&**stage, *content));
        let (counts, stats) = (self.stats.ledger.counts(), self.stats.clone());
        let sources = stats.sources.iter().map(|stage| &**stage);
        self.warnings.at_end(&counts, sources, sinks, self.resumed);
        Ok(())
    }

    /// Waits until the outbox is empty and no commit is under way.
    async fn flush(&mut self) -> Result<()> {
        while self.outlets.is_waiting() || self.committing.is_some() {
            tokio::select! {
                biased;
                Some(ended) = self.running.join_next() => sink_ended(ended)?,
                done = commit_done(&mut self.committing) => {
                    self.say_why(&done).await?;
                    self.committed(done)?;
                }
                () = self.refused.added() => self.take_refused(true),
                share = self.outlets.room() => self.outlets.post(share, Instant::now()),
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

async fn all_settled(settled: Vec<oneshot::Receiver<Settled>>) -> Result<Vec<Settled>> {
    let mut all = Vec::new();
    for settled in settled {
        all.push(settled.await.map_err(|_| SINK_ENDED.to_owned())?);
    }
    Ok(all)
}

/// A file that was reopened: the length of the one before, and its own length now.
#[derive(Debug)]
pub(crate) struct Reopened {
    name: String,
    before: u64,
    now: u64,
}

/// The files that were reopened. They had these lengths, in the order of the sinks.
fn reopened(lengths: &[(String, u64)], settled: &[Settled]) -> Vec<Reopened> {
    let files = settled.iter().filter(|settled| settled.is_file);
    let reopened = lengths.iter().zip(files).filter_map(|((name, before), settled)| {
        Some(Reopened { name: name.clone(), before: *before, now: settled.reopened? })
    });
    reopened.collect()
}

/// The end of the commit under way; never, if there is none.
async fn commit_done(
    committing: &mut Option<JoinHandle<Result<Vec<Reopened>>>>,
) -> Result<Vec<Reopened>> {
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
