//! Files: read to the end, or followed as they grow and are rotated, by rename or by copying and
//! truncating.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::identity::Known;
use super::{Feed, Stopped, named};
use crate::data_pipeline::checkpoint::{FileId, Position};
use crate::data_pipeline::chunk::{CHUNK, Origin};
use crate::data_pipeline::splitter::{Splitter, read_length};
use crate::data_pipeline::warnings::warn;

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

/// What is at a followed path now.
enum Now {
    Same,
    Truncated,
    Replaced,
}

/// Reads the file to its end, or follows it until the run stops.
pub(crate) async fn run(mut feed: Feed, tail: Tail) -> Result<(), Stopped> {
    match read(&mut feed, &tail).await {
        Ok(()) => {}
        Err(Stopped::Interrupted(cause)) => return Err(cause.into()),
        Err(failed) => {
            feed.finish(None).await?; // it must not hold back the others' windows
            return Err(failed);
        }
    }
    Ok(feed.finish(None).await?)
}

async fn read(feed: &mut Feed, tail: &Tail) -> Result<(), Stopped> {
    let (file, mut splitter) = start(feed, tail).await?;
    let mut file = Arc::new(file);
    loop {
        splitter = drain(feed, &file, splitter).await?;
        if !tail.follow {
            return flush(feed, &mut splitter).await;
        }
        feed.ctx().run(sleep(POLL)).await?;
        match look(tail, &file, feed.origin(), splitter.position()) {
            Ok(Now::Same) => {}
            Ok(Now::Truncated) => {
                flush(feed, &mut splitter).await?;
                splitter = next_generation(feed, tail, &file)?;
            }
            Ok(Now::Replaced) => {
                // Its writer may need a moment until it takes up the new file.
                feed.ctx().run(sleep(POLL)).await?;
                splitter = drain(feed, &file, splitter).await?;
                flush(feed, &mut splitter).await?;
                file = Arc::new(open(&tail.path)?);
                splitter = next_generation(feed, tail, &file)?;
            }
            Err(err) => return Err(failed(&tail.path, &err)),
        }
    }
}

/// Opens the file where an earlier run left it, which may be under another name by now.
async fn start(feed: &mut Feed, tail: &Tail) -> Result<(File, Splitter), Stopped> {
    let path = &tail.path;
    while tail.follow && !path.exists() {
        feed.ctx().run(sleep(POLL)).await?;
    }
    let mut file = open(path)?;
    let splitter = match &tail.position {
        None => {
            let id = FileId::of(&file).map_err(|err| failed(path, &err))?;
            tail.known.add(id);
            feed.set_origin(Origin { file: id, ..(**feed.origin()).clone() });
            Splitter::new(0, 0, feed.max_line())
        }
        Some(position) if is_at_least(&file, position).map_err(|err| failed(path, &err))? => {
            Splitter::new(position.offset, position.parts, feed.max_line())
        }
        Some(position) => {
            finish_renamed(feed, tail, position).await?;
            file = open(path)?;
            next_generation(feed, tail, &file)?
        }
    };
    Ok((file, splitter))
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
    let splitter = Splitter::new(old.offset, old.parts, feed.max_line());
    let mut splitter = drain(feed, &Arc::new(file), splitter).await?;
    flush(feed, &mut splitter).await
}

/// Reads all that is there.
async fn drain(
    feed: &mut Feed,
    file: &Arc<File>,
    mut splitter: Splitter,
) -> Result<Splitter, Stopped> {
    loop {
        let (share, file, before) = (feed.room().await?, file.clone(), splitter.position());
        let read = move |feed: &mut Feed| {
            let _bar = feed.bar(before);
            let buffer = read_at(&file, &splitter.buffer(), feed.buffer(), before)?;
            let pieces = splitter.push(buffer);
            if splitter.position() > before {
                know_better(feed, &file)?;
            }
            Ok((pieces, splitter))
        };
        splitter = feed.read(share, read).await?;
        if splitter.position() == before {
            return Ok(splitter);
        }
    }
}

/// A short file's beginning tells little: it is looked at again as the file grows.
fn know_better(feed: &mut Feed, file: &File) -> io::Result<()> {
    if !feed.origin().file.is_complete() {
        feed.set_origin(Origin { file: FileId::of(file)?, ..(**feed.origin()).clone() });
    }
    Ok(())
}

/// Puts what is carried and what is read behind it into `buffer`.
fn read_at(file: &File, carry: &[u8], mut buffer: Vec<u8>, position: u64) -> io::Result<Vec<u8>> {
    let start = carry.len();
    buffer.resize(start + read_length(position, CHUNK), 0); // a used one is long enough already
    buffer[..start].copy_from_slice(carry);
    let mut end = start;
    while end < buffer.len() {
        match file.read_at(&mut buffer[end..], position + (end - start) as u64) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    buffer.truncate(end);
    Ok(buffer)
}

/// The last line, if its line feed is missing.
async fn flush(feed: &mut Feed, splitter: &mut Splitter) -> Result<(), Stopped> {
    if let Some(rest) = splitter.finish() {
        let share = feed.room().await?;
        feed.send(vec![rest], share);
    }
    Ok(())
}

fn look(tail: &Tail, file: &File, origin: &Origin, position: u64) -> io::Result<Now> {
    if file.metadata()?.len() < position || !origin.file.is(file)? {
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
fn next_generation(feed: &mut Feed, tail: &Tail, file: &File) -> Result<Splitter, Stopped> {
    let id = FileId::of(file).map_err(|err| failed(&tail.path, &err))?;
    tail.known.add(id);
    let old = feed.origin();
    let generation = old.generation + 1;
    let mut retired = old.retired.clone();
    retired.push(old.file);
    retired.drain(..retired.len().saturating_sub(RETIRED));
    let name = named(&old.source, generation);
    let origin = Origin { name, generation, file: id, retired, ..(**old).clone() };
    feed.set_origin(origin);
    Ok(Splitter::new(0, 0, feed.max_line()))
}

fn open(path: &Path) -> Result<File, Stopped> {
    File::open(path).map_err(|err| failed(path, &err))
}

fn failed(path: &Path, err: &io::Error) -> Stopped {
    super::failed(&path.to_string_lossy(), err)
}
