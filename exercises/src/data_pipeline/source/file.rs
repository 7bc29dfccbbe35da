//! Files: read to the end, or followed as they grow and are rotated, by rename or by copying and
//! truncating.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::Cause;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::identity::{Known, read_up_to};
use super::{Feed, Stopped, named};
use crate::data_pipeline::event::splitter::{Segment, Splitter, read_length};
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::checkpoint::{FileId, Position};
use crate::data_pipeline::state::chunk::{CHUNK, Origin};

/// How often a followed file is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// So many files that were read under one name are remembered.
const RETIRED: usize = 16;

/// A file as a source.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) path: PathBuf,
    pub(crate) follow: bool,
    /// How far an earlier run came.
    pub(crate) position: Option<Position>,
    pub(crate) known: Known,
}

/// A file that is being read.
#[derive(Debug)]
struct Reading {
    file: File,
    splitter: Splitter,
}

/// What is at a followed path now.
enum Now {
    Same,
    Truncated,
    Replaced,
}

/// Reads the file to its end, or follows it until the run stops.
pub(crate) async fn run(mut feed: Feed, tail: Tail) -> Result<(), Stopped> {
    let ended = read(&mut feed, &tail).await;
    if matches!(ended, Err(Stopped::Interrupted(_))) {
        return ended;
    }
    let finished = feed.finish(None).await; // or one that failed would hold back the others' windows
    ended?;
    Ok(finished?)
}

async fn read(feed: &mut Feed, tail: &Tail) -> Result<(), Stopped> {
    let mut reading = start(feed, tail).await?;
    loop {
        reading = drain(feed, reading).await?;
        if !tail.follow {
            return flush(feed, reading).await.map(drop);
        }
        feed.inlet.ctx.run(sleep(POLL)).await?;
        match look(tail, &reading, &feed.origin).map_err(|err| failed(&tail.path, &err))? {
            Now::Same => {}
            Now::Truncated => {
                let file = flush(feed, reading).await?;
                reading = next_generation(feed, tail, file)?;
            }
            Now::Replaced => {
                // Its writer may need a moment until it takes up the new file.
                feed.inlet.ctx.run(sleep(POLL)).await?;
                reading = drain(feed, reading).await?;
                flush(feed, reading).await?;
                reading = next_generation(feed, tail, open(&tail.path)?)?;
            }
        }
    }
}

/// Opens the file where an earlier run left it, which may be under another name by now.
async fn start(feed: &mut Feed, tail: &Tail) -> Result<Reading, Stopped> {
    let path = &tail.path;
    while tail.follow && !path.exists() {
        feed.inlet.ctx.run(sleep(POLL)).await?;
    }
    let file = open(path)?;
    let Some(position) = &tail.position else {
        let id = FileId::of(&file).map_err(|err| failed(path, &err))?;
        tail.known.add(id);
        Arc::make_mut(&mut feed.origin).file = id;
        return Ok(Reading { file, splitter: Splitter::new(0, 0, feed.inlet.max_line) });
    };
    if is_at_least(&file, position).map_err(|err| failed(path, &err))? {
        return Ok(resume(feed, file, position));
    }
    finish_renamed(feed, tail, position).await?;
    next_generation(feed, tail, open(path)?)
}

fn resume(feed: &Feed, file: File, position: &Position) -> Reading {
    let splitter = Splitter::new(position.offset, position.parts, feed.inlet.max_line);
    Reading { file, splitter }
}

fn is_at_least(file: &File, position: &Position) -> io::Result<bool> {
    Ok(position.file.is(file)? && file.metadata()?.len() >= position.offset)
}

/// Another file is at the path: the rest of the one before is read wherever it is now.
async fn finish_renamed(feed: &mut Feed, tail: &Tail, old: &Position) -> Result<(), Stopped> {
    let directory = tail.path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = fs::read_dir(directory.unwrap_or(Path::new("."))).into_iter().flatten();
    let found = entries.flatten().find_map(|entry| {
        let file = entry.file_type().ok()?.is_file().then(|| File::open(entry.path()).ok())??;
        is_at_least(&file, old).ok()?.then_some(file)
    });
    let Some(file) = found else {
        warn(format_args!(
            "{} is another file now; the one that was read up to byte {} is gone",
            tail.path.display(),
            old.offset
        ));
        return Ok(());
    };
    let reading = drain(feed, resume(feed, file, old)).await?;
    flush(feed, reading).await.map(drop)
}

/// Has the workers read all that is there.
async fn drain(feed: &mut Feed, mut reading: Reading) -> Result<Reading, Stopped> {
    loop {
        let share = feed.room().await?;
        let (reply, done) = oneshot::channel();
        read_on(feed.clone(), share, reading, reply);
        // Once the run has failed, the workers are gone and what they were to read is left in their
        // queue: it is the cancellation that ends this wait.
        let (back, outcome) = feed.inlet.ctx.run(done).await?.map_err(|_| Cause::Canceled)?;
        *feed = back;
        let is_all;
        (reading, is_all) = outcome.map_err(|err| failed(&feed.origin.source, &err))?;
        if is_all {
            return Ok(reading);
        }
    }
}

/// The source back, and whether all that is there was read.
type Reply = oneshot::Sender<(Feed, io::Result<(Reading, bool)>)>;

/// Has a worker read a stretch, the next one the stretch behind it, and so on until all is read or
/// there is no room. Each goes on to parse what it has read. No task has to wake up in between.
fn read_on(mut feed: Feed, share: Share, mut reading: Reading, reply: Reply) {
    let workers = feed.clone();
    let work = move || {
        let (segments, is_all) = match reading.next(&mut feed) {
            Ok(read) => read,
            Err(err) => {
                drop(reply.send((feed, Err(err)))); // nobody waits any more once the run has failed
                return Vec::new();
            }
        };
        let chunks = feed.chunks(segments, share, None);
        match if is_all { None } else { feed.try_room() } {
            Some(share) => read_on(feed, share, reading, reply),
            None => drop(reply.send((feed, Ok((reading, is_all))))), // as above
        }
        chunks
    };
    workers.push(Box::new(work));
}

impl Reading {
    /// The segments that the next stretch completes, and whether it was empty: all is read.
    fn next(&mut self, feed: &mut Feed) -> io::Result<(Vec<Segment>, bool)> {
        let before = self.splitter.position();
        let _bar = feed.bar(before);
        let carry = self.splitter.buffer();
        let mut buffer = read_at(&self.file, &carry, feed.inlet.pool.take(), before)?;
        if !feed.origin.file.is(&self.file)? {
            buffer = carry; // truncated and written anew: what was read is not what comes next
        }
        let segments = self.splitter.push(buffer);
        let is_all = self.splitter.position() == before;
        if !is_all && !feed.origin.file.is_complete() {
            // A short file's beginning tells little: it is looked at again as the file grows.
            Arc::make_mut(&mut feed.origin).file = FileId::of(&self.file)?;
        }
        Ok((segments, is_all))
    }
}

/// Puts what is carried and what is read behind it into `buffer`.
fn read_at(file: &File, carry: &[u8], mut buffer: Vec<u8>, position: u64) -> io::Result<Vec<u8>> {
    let start = carry.len();
    buffer.resize(start + read_length(position, CHUNK), 0); // a used one is long enough already
    buffer[..start].copy_from_slice(carry);
    let read = read_up_to(file, &mut buffer[start..], position)?;
    buffer.truncate(start + read);
    Ok(buffer)
}

/// Sends the last line, if its line feed is missing. Gives the file back.
async fn flush(feed: &mut Feed, mut reading: Reading) -> Result<File, Stopped> {
    if let Some(rest) = reading.splitter.finish() {
        let share = feed.room().await?;
        feed.send(vec![rest], share, None);
    }
    Ok(reading.file)
}

fn look(tail: &Tail, reading: &Reading, origin: &Origin) -> io::Result<Now> {
    let Reading { file, splitter } = reading;
    if file.metadata()?.len() < splitter.position() || !origin.file.is(file)? {
        return Ok(Now::Truncated);
    }
    if !origin.file.is_complete() {
        tail.known.add(FileId::of(file)?);
    }
    let Ok(there) = File::open(&tail.path) else { return Ok(Now::Same) };
    let same = origin.file.is(&there)? || tail.known.has(&tail.path);
    Ok(if same { Now::Same } else { Now::Replaced })
}

/// From here on the source is `file`, from its beginning.
fn next_generation(feed: &mut Feed, tail: &Tail, file: File) -> Result<Reading, Stopped> {
    let id = FileId::of(&file).map_err(|err| failed(&tail.path, &err))?;
    tail.known.add(id);
    let origin = Arc::make_mut(&mut feed.origin);
    origin.generation += 1;
    origin.name = named(&origin.source, origin.generation);
    origin.retired.push(std::mem::replace(&mut origin.file, id));
    origin.retired.drain(..origin.retired.len().saturating_sub(RETIRED));
    Ok(Reading { file, splitter: Splitter::new(0, 0, feed.inlet.max_line) })
}

fn open(path: &Path) -> Result<File, Stopped> {
    File::open(path).map_err(|err| failed(path, &err))
}

fn failed(path: impl AsRef<Path>, err: &io::Error) -> Stopped {
    Stopped::Failed(format!("cannot read {}: {err}", path.as_ref().display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::AtomicU64;

    use common::Context;
    use tokio::sync::watch;

    use super::*;
    use crate::data_pipeline::monitor::stats::{Stage, Stats};
    use crate::data_pipeline::source::Inlet;
    use crate::data_pipeline::source::pool::Pool;
    use crate::data_pipeline::state::budget::ByteBudget;

    fn feed() -> Feed {
        let stage = Stage::new("in", "source", "file", None);
        let stats = Stats { sources: vec![stage], ..Stats::default() };
        let inlet = Inlet {
            work: crossbeam_channel::bounded(1).0,
            budget: ByteBudget::new(CHUNK),
            pool: Pool::new(),
            paused: watch::channel(Vec::new()).1,
            stats: Arc::new(stats),
            ctx: Context::background(),
            max_line: 1000,
            feeds: AtomicU64::new(0),
            started: 1,
        };
        Arc::new(inlet).stream("in", "in".to_owned())
    }

    /// Copied and truncated between two looks, which is while it is read: nothing of what was
    /// written since is taken for what comes next, and the half line that was read stays one.
    #[test]
    fn a_file_that_is_truncated_while_it_is_read_gives_nothing_of_the_new_one() {
        for new in [String::new(), "{\"new\":1}\n".repeat(100)] {
            let (mut file, mut feed) = (tempfile::NamedTempFile::new().unwrap(), feed());
            write!(file, "{}half", "{\"old\":1}\n".repeat(50)).unwrap();
            let id = FileId::of(file.as_file()).unwrap();
            Arc::make_mut(&mut feed.origin).file = id;
            let splitter = Splitter::new(0, 0, feed.inlet.max_line);
            let mut reading = Reading { file: file.reopen().unwrap(), splitter };
            let (segments, is_all) = reading.next(&mut feed).unwrap();
            assert_eq!((segments.len(), segments[0].bytes.len(), is_all), (1, 500, false));

            fs::write(file.path(), new).unwrap();
            let (segments, is_all) = reading.next(&mut feed).unwrap();
            assert_eq!((segments, is_all), (Vec::new(), true));
            assert_eq!(reading.splitter.finish().unwrap().bytes, b"half");
        }
    }
}
