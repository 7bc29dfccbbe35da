//! All files that were found under one path, one after the other: read to their ends, or followed as
//! they grow and are rotated.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use common::Cause;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::content::Stored;
use super::{Feed, Stopped};
use crate::data_pipeline::event::splitter::{Kind, Segment, Splitter, read_length};
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::chunk::{CHUNK, Chunk, Origin};
use crate::data_pipeline::state::file::{FileId, FileRecord, Fingerprinter, Found};

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Whether reading goes on as they grow; otherwise it stops at their ends.
    pub(crate) follow: bool,
    /// How often a followed file is checked.
    pub(crate) poll: Duration,
    /// A file that no path leads to any more is closed after this time, and as long after its last
    /// new bytes.
    pub(crate) rotate_wait: Duration,
    /// Whether a last line without a line feed is taken at the end of a file.
    pub(crate) final_line: bool,
}

/// A file to read, from where its record says.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) record: FileRecord,
    /// `None` if it is to be opened when its turn comes; it must still be the same file then.
    pub(crate) content: Option<Stored>,
    /// It was empty when it was found.
    pub(crate) is_empty: bool,
    pub(crate) progress: Arc<Mutex<Fingerprinter>>,
    pub(crate) shared: Arc<Shared>,
}

/// What the finder of files and the reader of this file tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// A path that is read still leads to it.
    pub(crate) is_watched: AtomicBool,
    /// Something was read of it, or there was nothing to read.
    pub(crate) was_read: AtomicBool,
    /// Set when it is no longer read: why.
    pub(crate) ended: Mutex<Option<Ended>>,
}

/// Why a file is not read any more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It no longer holds what was read.
    Cut,
    /// No path leads to it any more, and since then nothing was added for `--rotate-wait`.
    Gone,
    /// It was empty when it was found, and no longer is: it may be a copy of another one.
    Filled,
    /// It is compressed, has this length on the disk, and was read to its end.
    Packed(u64),
    /// It cannot be read for now.
    Failed(io::Error),
}

impl Shared {
    fn end(&self, why: Ended) {
        *self.ended.lock().expect("nobody panics while holding this") = Some(why);
    }

    fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }
}

/// An order to the reader of one path.
#[derive(Debug)]
pub(crate) enum Order {
    Read(Box<Opened>),
    /// No copy holds the rest of this file's content, so its last line stays unfinished.
    Forget(String),
}

/// The orders for the reader of one path: never more than there are files.
#[derive(Debug, Default)]
pub(crate) struct Orders(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    orders: VecDeque<Order>,
    /// A file under this path waits until it is identified.
    awaited: bool,
    closed: bool,
}

impl Orders {
    /// Gives the order back if the reader has come to its end.
    pub(crate) fn push(&self, order: Order) -> Result<(), Order> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(order);
        }
        queue.orders.push_back(order);
        Ok(())
    }

    /// Whether the reader has to wait for an order that may come.
    pub(crate) fn wait(&self, awaited: bool) {
        self.queue().awaited = awaited;
    }

    fn take(&self) -> VecDeque<Order> {
        std::mem::take(&mut self.queue().orders)
    }

    /// Closes the orders if there are none. Returns whether it did.
    fn close(&self) -> bool {
        let mut queue = self.queue();
        queue.closed |= queue.orders.is_empty() && !queue.awaited;
        queue.closed
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().expect("nobody panics while holding this")
    }
}

/// Reads all files of a path, until they have ended or the run stops.
pub(crate) async fn run(mut feed: Feed, orders: Arc<Orders>, how: How) -> Result<(), Stopped> {
    let (mut tail, mut failed) = (Tail { how, readings: Vec::new(), cut: Vec::new() }, None);
    loop {
        for order in orders.take() {
            match order {
                Order::Read(opened) => tail.open(&mut feed, *opened, &mut failed).await?,
                Order::Forget(name) => tail.forget(&mut feed, &name).await?,
            }
        }
        tail.read(&mut feed, &mut failed).await?;
        if tail.is_empty() && orders.close() {
            break;
        }
        feed.inlet.ctx.run(sleep(how.poll)).await?;
    }
    feed.finish(None).await?; // otherwise it would hold back the windows of others
    failed.map_or(Ok(()), |failure| Err(Stopped::Failed(failure)))
}

#[derive(Debug)]
struct Tail {
    how: How,
    /// The open files, the oldest first: what is still written to it comes before the next one's
    /// lines.
    readings: Vec<Reading>,
    /// Truncated files, until it is known whether there is a copy.
    cut: Vec<Reading>,
}

/// A file that is being read.
#[derive(Debug)]
struct Reading {
    path: PathBuf,
    origin: Arc<Origin>,
    content: Stored,
    splitter: Splitter,
    progress: Arc<Mutex<Fingerprinter>>,
    shared: Arc<Shared>,
    /// There was nothing in it when it was found.
    is_empty: bool,
    /// Its length on the disk and its time when all of it had been read.
    whole: Option<(u64, SystemTime)>,
    /// Whether a path leads to it, and whether it is the newest file of its path.
    standing: (bool, bool),
    /// When something was last read from it, or its standing changed: a writer that was silent for
    /// long still has this file open after a rotation.
    moved: Instant,
}

/// What there was to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    More,
    /// That was all for now.
    All,
    /// It no longer holds what was read before.
    Cut,
    /// It was empty, and is not any more.
    Filled,
}

impl Tail {
    fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.cut.is_empty()
    }

    /// Begins to read a file. If it is a copy of a truncated file, reading goes on where that one
    /// stopped.
    async fn open(
        &mut self,
        feed: &mut Feed,
        opened: Opened,
        failed: &mut Option<String>,
    ) -> Result<(), Stopped> {
        let shared = opened.shared.clone();
        match Reading::new(feed, opened) {
            Ok(mut reading) => {
                self.cut.retain(|cut| cut.origin.name != reading.origin.name);
                reading.mark(feed).await?;
                self.readings.push(reading);
            }
            Err((path, err)) if !self.how.follow => fail(failed, &path, &err),
            Err((_, err)) => shared.end(Ended::Failed(err)),
        }
        Ok(())
    }

    /// There is no copy of a truncated file: its last line will get no end.
    async fn forget(&mut self, feed: &mut Feed, name: &str) -> Result<(), Stopped> {
        let (cut, others) = self.cut.drain(..).partition(|cut| cut.origin.name == name);
        self.cut = others;
        for mut reading in Vec::from_iter::<Vec<_>>(cut) {
            reading.flush(feed).await?;
            reading.close(feed).await?;
        }
        Ok(())
    }

    /// Reads what there is, the oldest file first.
    async fn read(&mut self, feed: &mut Feed, failed: &mut Option<String>) -> Result<(), Stopped> {
        let mut kept = Vec::with_capacity(self.readings.len());
        let mut readings = std::mem::take(&mut self.readings).into_iter().peekable();
        while let Some(reading) = readings.next() {
            let is_last = readings.peek().is_none();
            let (path, shared) = (reading.path.clone(), reading.shared.clone());
            let (mut reading, step) = drain(feed, reading).await?;
            let step = match step {
                Ok(step) => step,
                Err(err) if self.how.follow => {
                    shared.end(Ended::Failed(err));
                    continue;
                }
                Err(err) => {
                    fail(failed, &path, &err);
                    if self.how.final_line {
                        reading.flush(feed).await?;
                    }
                    continue;
                }
            };
            let is_watched = shared.is_watched();
            if !self.how.follow {
                if self.how.final_line || !is_watched {
                    reading.flush(feed).await?;
                }
                reading.end(feed, is_watched).await?;
                continue;
            }
            if step == Step::Cut {
                shared.end(Ended::Cut);
                self.cut.push(reading);
                continue;
            }
            if step == Step::Filled {
                shared.end(Ended::Filled);
                continue;
            }
            reading.stands((is_watched, is_last));
            let is_quiet = reading.moved.elapsed() >= self.how.rotate_wait;
            if is_quiet && (!is_watched || !is_last) {
                reading.flush(feed).await?; // its writer has moved on to the next file
            }
            if is_quiet && !is_watched {
                reading.close(feed).await?;
                shared.end(Ended::Gone);
                continue;
            }
            if is_watched && reading.content.is_packed() {
                reading.flush(feed).await?;
                if let Some(length) = reading.whole_packed(feed).await? {
                    shared.end(Ended::Packed(length));
                    continue;
                }
            }
            kept.push(reading);
        }
        self.readings = kept;
        Ok(())
    }
}

fn fail(failed: &mut Option<String>, path: &Path, err: &io::Error) {
    let failure = format!("cannot read {}: {err}", path.display());
    warn(format_args!("{failure}; the other sources go on"));
    failed.get_or_insert(failure);
}

/// Has the workers read everything that is there.
async fn drain(
    feed: &mut Feed,
    mut reading: Reading,
) -> Result<(Reading, io::Result<Step>), Stopped> {
    if reading.is_unchanged() {
        return Ok((reading, Ok(Step::All)));
    }
    feed.origin = reading.origin.clone();
    loop {
        let share = feed.room().await?;
        let (reply, done) = oneshot::channel();
        read_on(feed.clone(), share, reading, reply);
        // If the run has failed, the workers are gone and their reads stay in the queue: then the
        // cancellation ends this wait.
        let (back, read, step) = feed.inlet.ctx.run(done).await?.map_err(|_| Cause::Canceled)?;
        (*feed, reading) = (back, read);
        if !matches!(step, Ok(Step::More)) {
            return Ok((reading, step));
        }
    }
}

/// Returns the source and the file, and what the read gave.
type Reply = oneshot::Sender<(Feed, Reading, io::Result<Step>)>;

/// Has a worker read one stretch, another worker the next one, and so on until all is read or there
/// is no room. Each worker then parses what it has read. No task has to wake up in between.
fn read_on(mut feed: Feed, share: Share, mut reading: Reading, reply: Reply) {
    let workers = feed.clone();
    let work = move || {
        let (segments, step) = match reading.next(&mut feed) {
            Ok((segments, step)) => (segments, Ok(step)),
            Err(err) => (Vec::new(), Err(err)),
        };
        let chunks = reading.chunks(&mut feed, segments, share);
        match if matches!(step, Ok(Step::More)) { feed.try_room() } else { None } {
            Some(share) => read_on(feed, share, reading, reply),
            None => drop(reply.send((feed, reading, step))), // no receiver is left once the run has failed
        }
        chunks
    };
    workers.push(Box::new(work));
}

impl Reading {
    fn new(feed: &Feed, opened: Opened) -> Result<Self, (PathBuf, io::Error)> {
        let Opened { path, record, content, is_empty, progress, shared } = opened;
        let content = match content.map_or_else(|| reopen(&path, record.id), Ok) {
            Ok(content) => content,
            Err(err) => return Err((path, err)),
        };
        let splitter = Splitter::new(record.read.position, record.parts, feed.inlet.framing);
        let (name, finite) = (record.name(), feed.origin.finite);
        let origin = Origin { name, finite, file: Some(record) }.into();
        let (whole, standing, moved) = (None, (true, true), Instant::now());
        Ok(Self {
            path,
            origin,
            content,
            splitter,
            progress,
            shared,
            is_empty,
            whole,
            standing,
            moved,
        })
    }

    fn stands(&mut self, standing: (bool, bool)) {
        if std::mem::replace(&mut self.standing, standing) != standing {
            self.moved = Instant::now();
        }
    }

    /// Whether the file is unchanged since all of it was read: one system call.
    fn is_unchanged(&self) -> bool {
        self.whole.is_some() && self.content.stamp().ok() == self.whole
    }

    /// The segments that the next stretch completes.
    fn next(&mut self, feed: &mut Feed) -> io::Result<(Vec<Segment>, Step)> {
        let before = self.splitter.position();
        let _bar = feed.bar(before);
        let stamp = self.content.stamp()?;
        if self.is_empty {
            // Reads nothing from it: new content may be compressed.
            self.whole = Some(stamp);
            let step = if stamp.0 > 0 { Step::Filled } else { Step::All };
            return Ok((Vec::new(), step));
        }
        if self.whole.take().is_some() && self.content.is_packed() {
            self.content = Stored::new(self.content.file().clone())?; // something was added to it
        }
        let carry = self.splitter.buffer();
        let buffer = match self.read_behind(&carry, feed.inlet.pool.take(), before) {
            Ok(buffer) => buffer,
            Err(err) => {
                self.splitter.push(carry);
                return Err(err);
            }
        };
        // Checked after the read: the bytes are the next ones only if nothing before them has
        // changed.
        if !self.is_intact(before)? {
            self.splitter.push(carry);
            return Ok((Vec::new(), Step::Cut));
        }
        self.shared.was_read.store(true, Ordering::Relaxed);
        let segments = self.splitter.push(buffer);
        if self.splitter.position() == before {
            if self.content.has_garbage() {
                let path = self.path.display();
                warn(format_args!("{path}: garbage behind its compressed data was ignored"));
            }
            self.whole = Some(stamp);
            return Ok((segments, Step::All));
        }
        self.moved = Instant::now();
        Ok((segments, Step::More))
    }

    /// Fills `buffer` with the carried bytes, and then with newly read ones.
    fn read_behind(
        &mut self,
        carry: &[u8],
        mut buffer: Vec<u8>,
        position: u64,
    ) -> io::Result<Vec<u8>> {
        let start = carry.len();
        buffer.resize(start + read_length(position, CHUNK), 0); // a used one is long enough already
        buffer[..start].copy_from_slice(carry);
        let read = self.content.fill(&mut buffer[start..], position)?;
        buffer.truncate(start + read);
        Ok(buffer)
    }

    /// Whether the file still holds what was read up to this position.
    fn is_intact(&mut self, position: u64) -> io::Result<bool> {
        if self.content.is_packed() {
            return Ok(true); // these are never truncated
        }
        let progress = self.progress.lock().expect("nobody panics while holding this");
        let found = progress.read().found_in(&mut self.content)?;
        Ok(found == Found::All && self.content.stamp()?.0 >= position)
    }

    /// Turns segments into chunks, each with the fingerprint of what was read up to its end.
    fn chunks(&mut self, feed: &mut Feed, segments: Vec<Segment>, share: Share) -> Vec<Chunk> {
        let mut progress = self.progress.lock().expect("nobody panics while holding this");
        feed.chunks(segments, share, None, |segment| Some(progress.advance(&segment.bytes)))
    }

    async fn send(&mut self, feed: &mut Feed, segment: Segment) -> Result<(), Stopped> {
        feed.origin = self.origin.clone();
        let share = feed.room().await?;
        let chunks = self.chunks(feed, vec![segment], share);
        feed.push(Box::new(|| chunks));
        Ok(())
    }

    /// Sends the file's position, so that a checkpoint knows it.
    async fn mark(&mut self, feed: &mut Feed) -> Result<(), Stopped> {
        let (offset, after) = self.splitter.done();
        let segment = Segment { offset, bytes: Vec::new(), kind: Kind::Position, after };
        self.send(feed, segment).await
    }

    /// Sends the last line, if its line feed is missing.
    async fn flush(&mut self, feed: &mut Feed) -> Result<(), Stopped> {
        match self.splitter.finish() {
            Some(rest) => self.send(feed, rest).await,
            None => Ok(()),
        }
    }

    /// The file was read to its end, in a run that does not follow it.
    async fn end(&mut self, feed: &mut Feed, is_watched: bool) -> Result<(), Stopped> {
        if self.splitter.carried() > 0 {
            warn(format_args!(
                "{}: the last line has not ended yet; it is left for the next run (--final-line \
                 takes it)",
                self.path.display()
            ));
        } else if self.content.is_packed() {
            self.whole_packed(feed).await?;
        }
        if is_watched { Ok(()) } else { self.close(feed).await }
    }

    /// A compressed file was read to its end: it is never appended to, so it can be closed.
    async fn whole_packed(&mut self, feed: &mut Feed) -> Result<Option<u64>, Stopped> {
        let length = self.whole.map(|(length, _)| length);
        self.record().packed = length;
        self.mark(feed).await?;
        Ok(length.filter(|_| self.record().id.born.is_some()))
    }

    /// Reports that the file is no longer read.
    async fn close(&mut self, feed: &mut Feed) -> Result<(), Stopped> {
        self.record().closed = Some(Timestamp::now().as_second());
        self.mark(feed).await
    }

    fn record(&mut self) -> &mut FileRecord {
        Arc::make_mut(&mut self.origin).file.as_mut().expect("it is a file")
    }
}

/// Opens the file at `path`, which must still be this one.
fn reopen(path: &Path, id: FileId) -> io::Result<Stored> {
    let file = File::open(path)?;
    if FileId::of(&file.metadata()?) != id {
        return Err(io::Error::other("another file is there since the run has begun"));
    }
    Stored::new(file.into())
}
