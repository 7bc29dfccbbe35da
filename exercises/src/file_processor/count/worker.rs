use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::iter;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use common::Ending;
use crossbeam_channel::{Receiver, Sender, never, select_biased};

use super::buffer::{Buffer, LOOK_BEHIND};
use super::frequency::Frequencies;
use super::partial::{Counter, Partial, incomplete};
use super::reassembly::{CountedChunk, Reassembly};
use crate::file_processor::columns::Column;
use crate::file_processor::row::{Failure, Operation, Progress, Row, Status};
use crate::file_processor::source::Source;
use crate::file_processor::walk::{Job, Origin};
use crate::terminal::plain;

/// What one read asks for, and one worker counts at a time: small enough for the cache, large
/// enough that a system call costs little. (Measured: mapping files instead takes nearly twice the
/// CPU time on small ones, and kills the process when a file shrinks.)
pub(crate) const CHUNK: usize = 256 * 1024;

/// A file of at least this many chunks is read by all workers together.
const LARGE: usize = 16;

/// Most jobs that a worker takes at once: the collector is woken once for all of them.
const BATCH: usize = 128;

/// How far into a file a NUL makes it a binary one.
const BINARY_START: usize = 8 * 1024;

/// What all workers of a run read.
pub(crate) struct Shared<'a> {
    pub(crate) counter: Counter,
    pub(crate) workers: usize,
    /// The bytes of a chunk.
    pub(crate) chunk: usize,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) progress: &'a Progress,
    /// Whether a file with a NUL near its start is left out.
    pub(crate) skip_binary: bool,
    /// The piece of work in which to panic, and how many pieces there have been.
    pub(crate) panic_at: Option<u64>,
    pub(crate) started: AtomicU64,
}

/// One thread's state: a buffer and counters that no other thread uses.
pub(crate) struct Worker<'a> {
    /// Its place among the workers, from 1.
    pub(crate) number: usize,
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) rows: Sender<Vec<(u64, Row)>>,
    /// Large files that another worker would like help with.
    pub(crate) shared_files: Receiver<Arc<SharedFile>>,
    /// Where to offer a large file to the others. Dropped when there are no more jobs, because
    /// there is nothing more to offer; when all workers have dropped it, the wait for large files
    /// ends.
    pub(crate) offer: Option<Sender<Arc<SharedFile>>>,
    pub(crate) buffer: Buffer,
    pub(crate) frequencies: Option<Frequencies>,
}

/// A file that many workers read together.
pub(crate) struct SharedFile {
    number: u64,
    path: PathBuf,
    root: usize,
    file: File,
    /// Where its first chunk starts.
    start: u64,
    /// Whether this is stdin: another process may read on from where this one ends.
    is_stdin: bool,
    reassembly: Mutex<Reassembly>,
}

/// The result of reading a source.
enum Read {
    Whole(Partial),
    /// It is binary, and binary files are left out.
    Binary,
    /// A large file and where it starts; nothing of it has been counted.
    Large(File, u64),
}

/// The result of a job.
enum Counted {
    Row(u64, Row),
    Shared(Arc<SharedFile>),
}

impl Worker<'_> {
    /// Works until there are no more jobs and nobody needs help.
    pub(crate) fn run(mut self) -> Option<Frequencies> {
        loop {
            select_biased! {
                recv(self.shared_files) -> file => match file {
                    Ok(file) => self.help_with(&file),
                    Err(_) => return self.frequencies,
                },
                recv(self.jobs) -> job => if let Ok(job) = job {
                    self.take(job);
                } else {
                    self.jobs = never();
                    self.offer = None;
                },
            }
        }
    }

    /// Does a job and its share of the jobs that wait behind it, and never waits for more. Thus
    /// many small files cost one operation on the queue of rows, and a slow file delays no other.
    fn take(&mut self, job: Job) {
        let share = (self.jobs.len() / (2 * self.shared.workers)).min(BATCH - 1);
        let jobs: Vec<_> = iter::once(job).chain(self.jobs.try_iter().take(share)).collect();
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.shared.stop.load(Ordering::Relaxed) {
                break; // jobs that were not started are not reported
            }
            match self.count(job) {
                Counted::Row(number, row) => rows.push((number, row)),
                Counted::Shared(file) => {
                    self.report(std::mem::take(&mut rows));
                    self.share(&file);
                }
            }
        }
        self.report(rows);
    }

    fn report(&self, rows: Vec<(u64, Row)>) {
        // The collector outlives its workers; without it there is no one to report to.
        let _ = self.rows.send(rows);
    }

    fn count(&mut self, job: Job) -> Counted {
        let Job { number, path, root, origin } = job;
        let source = match origin {
            Origin::Stdin => Source::stdin(self.shared.stop),
            Origin::Named => Source::named(&path, self.shared.stop),
            Origin::Walked => Source::walked(&path, self.shared.stop),
        };
        let read = |source| guarded(|| self.recorded(&path, |worker| worker.read(source)));
        let outcome = match source.and_then(read) {
            Ok(Read::Large(file, start)) => {
                let is_stdin = origin == Origin::Stdin;
                let reassembly = Mutex::default();
                let file = SharedFile { number, path, root, file, start, is_stdin, reassembly };
                return Counted::Shared(Arc::new(file));
            }
            Ok(Read::Whole(partial)) => self.counted(partial),
            Ok(Read::Binary) => Status::Binary,
            Err(failure) => Status::Failed(failure),
        };
        Counted::Row(number, Row { path, root, outcome })
    }

    /// Does a piece of work, drawn as one bar in the timeline.
    fn recorded<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let bar = common::bar(format_args!("worker {}", self.number), plain(path));
        let result = work(self);
        bar.ended(match &result {
            Ok(_) => Ending::Done,
            Err(_) if self.shared.stop.load(Ordering::Relaxed) => Ending::Canceled,
            Err(_) => Ending::Failed,
        });
        result
    }

    /// Reads the source to its end, unless it fills the first buffer and proves large.
    fn read(&mut self, mut source: Source) -> Result<Read, Failure> {
        self.shared.start_work();
        let mut whole = Partial::default();
        if self.shared.counter.columns.is_only(Column::Bytes) && self.frequencies.is_none() {
            whole = Partial::of_bytes(source.skip_to_last_block());
        }
        let (mut kept, mut first) = (0, true);
        loop {
            let (filled, ended) = self.fill(&mut source)?;
            if std::mem::take(&mut first) {
                if self.shared.skip_binary && is_binary(self.buffer.filled(0, filled)) {
                    return Ok(Read::Binary);
                }
                if !ended && self.offer.is_some() {
                    source = match source.into_large((self.shared.chunk * LARGE) as u64) {
                        Ok((file, at)) => return Ok(Read::Large(file, at - filled as u64)),
                        Err(source) => source,
                    };
                }
            }
            let text = self.buffer.filled(kept, filled);
            let cut = if ended { 0 } else { incomplete(text) };
            let part = &text[..text.len() - cut];
            whole.join(self.shared.part(part, &mut self.frequencies), self.frequencies.as_mut());
            if ended {
                return Ok(Read::Whole(whole));
            }
            self.buffer.keep(filled, cut);
            kept = cut;
        }
    }

    /// Fills the buffer, and says how far and whether the end was reached.
    fn fill(&mut self, source: &mut Source) -> Result<(usize, bool), Failure> {
        let buffer = self.buffer.at(0, 0);
        let mut filled = 0;
        while filled < buffer.len() {
            match source.read(&mut buffer[filled..])? {
                0 => return Ok((filled, true)),
                read => filled += read,
            }
        }
        Ok((filled, false))
    }

    /// Asks all others for help with a large file, and starts.
    fn share(&mut self, file: &Arc<SharedFile>) {
        if let Some(offer) = &self.offer {
            for _ in 1..self.shared.workers {
                // If the queue is full, the other workers are busy anyway.
                let _ = offer.try_send(Arc::clone(file));
            }
        }
        self.help_with(file);
    }

    /// Counts chunks until none is left to claim.
    fn help_with(&mut self, file: &SharedFile) {
        loop {
            // A lock in the head of a `while let` would be held for the whole round.
            let Some(number) = file.reassembly().claim() else { break };
            let chunk = guarded(|| self.recorded(&file.path, |worker| worker.chunk(file, number)));
            let frequencies = self.frequencies.as_mut();
            let finished = file.reassembly().deliver(number, chunk, frequencies);
            if let Some(result) = finished {
                file.leave_position(result.as_ref().ok(), self.shared.chunk);
                let outcome = match result {
                    Ok(whole) => self.counted(whole),
                    Err(failure) => Status::Failed(failure),
                };
                let row = Row { path: file.path.clone(), root: file.root, outcome };
                self.report(vec![(file.number, row)]);
            }
        }
    }

    fn chunk(&mut self, file: &SharedFile, number: u64) -> Result<CountedChunk, Failure> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(Failure::interrupted());
        }
        self.shared.start_work();
        let size = self.shared.chunk;
        let before = number * size as u64;
        let behind = before.min(LOOK_BEHIND as u64) as usize;
        let position = file.start + before;
        let buffer = self.buffer.at(position, behind);
        let filled = read_at(&file.file, buffer, position - behind as u64)
            .map_err(|err| Failure::io(Operation::Read, &err))?;
        let last = filled < behind + size;
        // A character that is cut belongs to the chunk that it ends in.
        let text = &buffer[..filled];
        let seam = behind.min(filled);
        let start = seam - incomplete(&text[..seam]);
        let end = if last { filled } else { filled - incomplete(text) };
        let counts = self.shared.part(&text[start..end], &mut self.frequencies);
        Ok(CountedChunk { counts, last })
    }

    fn counted(&mut self, whole: Partial) -> Status {
        let counts = whole.counts(self.shared.counter.columns);
        if let Some(frequencies) = &mut self.frequencies {
            frequencies.finish(whole.fragments);
        }
        Status::Counted(counts)
    }
}

impl Shared<'_> {
    /// Counts a part of a file.
    fn part(&self, text: &[u8], frequencies: &mut Option<Frequencies>) -> Partial {
        self.progress.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        let mut partial = self.counter.partial(text);
        if let Some(frequencies) = frequencies {
            partial.fragments = frequencies.collect(text, self.counter.whitespace);
        }
        partial
    }

    fn start_work(&self) {
        if let Some(planted) = self.panic_at {
            let work = self.started.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(work != planted, "planted panic in piece {work}");
        }
    }
}

impl SharedFile {
    fn reassembly(&self) -> MutexGuard<'_, Reassembly> {
        self.reassembly.lock().expect("no holder of this lock panics")
    }

    /// Moves the position of stdin to the end of what was read: reading chunks does not move it.
    fn leave_position(&self, whole: Option<&Partial>, chunk: usize) {
        if self.is_stdin {
            let read = whole.map(Partial::bytes);
            let read = read.unwrap_or_else(|| self.reassembly().joined() * chunk as u64);
            // What can be read by position also has a position to set.
            let _ = (&self.file).seek(SeekFrom::Start(self.start + read));
        }
    }
}

/// Runs a piece of work; if it panics, only its file fails.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // The counters that a panic may leave half-way are plain numbers.
    let result = catch_unwind(AssertUnwindSafe(work));
    result.unwrap_or_else(|panic| Err(Failure::panicked(panic)))
}

/// Whether this is binary, by the rule of `grep` and git: a NUL near the start.
fn is_binary(start: &[u8]) -> bool {
    memchr::memchr(0, &start[..start.len().min(BINARY_START)]).is_some()
}

/// Fills the buffer from this position on, or up to the end of the file.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(filled)
}
