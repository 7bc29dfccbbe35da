use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{io, iter};

use common::Ending;
use crossbeam_channel::{Receiver, Sender, never, select_biased};

use super::frequency::Frequencies;
use super::opener::DirOpener;
use super::partial::{Counter, Partial, continuation, incomplete};
use super::permits::Permits;
use super::reassembly::{CountedChunk, Reassembly};
use crate::file_processor::row::{Failure, Operation, Outcome, Progress, Row};
use crate::file_processor::source::Source;
use crate::file_processor::walk::{Job, Origin};

/// What one read asks for, and one worker counts at a time: small enough for the cache, large
/// enough that a system call costs little. (Measured: mapping files instead takes nearly twice the
/// CPU time on small ones, and kills the process when a file shrinks.)
pub(crate) const CHUNK: usize = 256 * 1024;

/// How far a reader looks beyond a chunk for the rest of a character.
const MARGIN: usize = 2;

/// From so many chunks on, all workers read a file together.
const LARGE: usize = 16;

/// How many jobs a worker takes at most at once, when that many wait: the collector is woken once
/// for all of them.
const BATCH: usize = 128;

/// What all workers of a run look at.
pub(crate) struct Shared<'a> {
    pub(crate) counter: Counter,
    pub(crate) workers: usize,
    /// The bytes of a chunk.
    pub(crate) chunk: usize,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) progress: &'a Progress,
    /// Holds back threads that have read, while enough others count.
    pub(crate) permits: Option<Permits>,
    /// The piece of work to panic in, and how many there have been.
    pub(crate) panic_at: Option<u64>,
    pub(crate) started: AtomicU64,
}

/// A thread's own: a buffer and counters that nobody else touches.
pub(crate) struct Worker<'a> {
    /// Its place among the workers, from 1.
    pub(crate) number: usize,
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) rows: Sender<Vec<(u64, Row)>>,
    /// Large files that another worker would like help with.
    pub(crate) shared_files: Receiver<Arc<SharedFile>>,
    /// Where to offer a large file to the others. Given up once there are no more jobs: then there
    /// is nothing more to offer, and when all have given it up, nothing more to wait for.
    pub(crate) offer: Option<Sender<Arc<SharedFile>>>,
    pub(crate) opener: DirOpener,
    pub(crate) buffer: Vec<u8>,
    pub(crate) frequencies: Option<Frequencies>,
}

/// A file that many workers read together.
pub(crate) struct SharedFile {
    number: u64,
    path: PathBuf,
    file: File,
    /// Where its first chunk starts.
    start: u64,
    reassembly: Mutex<Reassembly>,
}

/// What reading a source came to.
enum Read {
    Whole(Partial),
    /// A large file and where it starts; nothing of it has been counted.
    Large(File, u64),
}

/// What a job came to.
enum Counted {
    Row(u64, Row),
    Shared(Arc<SharedFile>),
}

impl Worker<'_> {
    /// Works until there are no more jobs and nobody needs help.
    pub(crate) fn run(mut self) -> Option<Frequencies> {
        self.buffer.resize(self.shared.chunk + MARGIN, 0);
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

    /// Works through a job and its share of those that wait behind it, and never waits for more:
    /// so many small files cost one operation on the queue of rows, and one slow file is alone.
    fn take(&mut self, job: Job) {
        let share = (self.jobs.len() / (2 * self.shared.workers)).min(BATCH - 1);
        let jobs: Vec<_> = iter::once(job).chain(self.jobs.try_iter().take(share)).collect();
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.shared.stop.load(Ordering::Relaxed) {
                break; // what has not been started is not reported
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
        // The collector outlives its workers; were it gone, nobody would be left to tell.
        let _ = self.rows.send(rows);
    }

    fn count(&mut self, job: Job) -> Counted {
        let Job { number, path, origin } = job;
        let source = match origin {
            Origin::Stdin => Source::stdin(self.shared.stop),
            Origin::Named => Source::named(&path, self.shared.stop),
            Origin::Walked => match self.opener.open(&path) {
                Ok(file) => Ok(Source::walked(file, self.shared.stop)),
                Err(err) => Err(Failure::io(Operation::Open, &err)),
            },
        };
        let read = |source| guarded(|| self.recorded(&path, |worker| worker.read(source)));
        let result = match source.and_then(read) {
            Ok(Read::Large(file, start)) => {
                let reassembly = Mutex::default();
                return Counted::Shared(Arc::new(SharedFile {
                    number,
                    path,
                    file,
                    start,
                    reassembly,
                }));
            }
            Ok(Read::Whole(partial)) => Ok(partial),
            Err(failure) => Err(failure),
        };
        Counted::Row(number, self.row(path, result))
    }

    /// Does a piece of work, which is a bar in the picture of the run.
    fn recorded<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let bar = common::bar(format_args!("worker {}", self.number), path.display());
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
        let (mut kept, mut first) = (0, true);
        loop {
            let (filled, ended) = self.fill(&mut source, kept)?;
            if !ended && std::mem::take(&mut first) && self.offer.is_some() {
                source = match source.into_large((self.shared.chunk * LARGE) as u64) {
                    Ok((file, position)) => return Ok(Read::Large(file, position - filled as u64)),
                    Err(source) => source,
                };
            }
            kept = if ended { 0 } else { incomplete(&self.buffer[..filled]) };
            let partial = self.partial(0..filled - kept);
            whole.join(partial, self.frequencies.as_mut());
            if ended {
                return Ok(Read::Whole(whole));
            }
            self.buffer.copy_within(filled - kept..filled, 0);
        }
    }

    /// Fills the buffer behind the `filled` bytes in it, and says whether the end was reached.
    fn fill(&mut self, source: &mut Source, mut filled: usize) -> Result<(usize, bool), Failure> {
        while filled < self.buffer.len() {
            match source.read(&mut self.buffer[filled..])? {
                0 => return Ok((filled, true)),
                read => filled += read,
            }
        }
        Ok((filled, false))
    }

    /// Counts a part of the buffer.
    fn partial(&mut self, part: Range<usize>) -> Partial {
        let text = &self.buffer[part];
        self.shared.progress.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        let _permit = self.shared.permits.as_ref().map(Permits::take);
        let counter = self.shared.counter;
        let mut partial = counter.partial(text);
        if let Some(frequencies) = &mut self.frequencies {
            partial.fragments = frequencies.collect(text, counter.whitespace);
        }
        partial
    }

    /// Asks all others for help with a large file, and starts.
    fn share(&mut self, file: &Arc<SharedFile>) {
        if let Some(offer) = &self.offer {
            for _ in 1..self.shared.workers {
                // If it is full, they have enough to do.
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
                let row = self.row(file.path.clone(), result);
                self.report(vec![(file.number, row)]);
            }
        }
    }

    fn chunk(&mut self, file: &SharedFile, number: u64) -> Result<CountedChunk, Failure> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(Failure::interrupted());
        }
        self.shared.start_work();
        let offset = file.start + number * self.shared.chunk as u64;
        let filled = read_at(&file.file, &mut self.buffer, offset)
            .map_err(|err| Failure::io(Operation::Read, &err))?;
        // A character across the seam belongs to the chunk that it starts in.
        let text = &self.buffer[..filled];
        let start = if number == 0 { 0 } else { continuation(text) };
        let end = filled.min(self.shared.chunk);
        let end = end + continuation(&text[end..]);
        Ok(CountedChunk { counts: self.partial(start..end), last: filled < self.shared.chunk })
    }

    fn row(&mut self, path: PathBuf, result: Result<Partial, Failure>) -> Row {
        let outcome = match result {
            Ok(partial) => {
                let counts = partial.counts(self.shared.counter.columns);
                if let Some(frequencies) = &mut self.frequencies {
                    frequencies.finish(partial.fragments);
                }
                Outcome::Counted(counts)
            }
            Err(failure) => Outcome::Failed(failure),
        };
        Row { path, outcome }
    }
}

impl Shared<'_> {
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
}

/// Runs a piece of work; its panic is the failure of its file and of nothing else.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // The counters that a panic may leave half-way are plain numbers.
    let result = catch_unwind(AssertUnwindSafe(work));
    result.unwrap_or_else(|panic| Err(Failure::panicked(&*panic)))
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
