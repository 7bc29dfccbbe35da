use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Builder, Scope, ScopedJoinHandle, available_parallelism};

use crossbeam_channel::{Receiver, Sender, bounded, never, select_biased};
use hashbrown::DefaultHashBuilder;

use super::count::{self, Buffer, Counter, Frequencies, Shared, Worker};
use super::order::InOrder;
use super::row::{By, Progress, Row, Status, Summary, Total};
use super::walk::filter::Filter;
use super::walk::{Inputs, Job, PAGE_ENTRIES, Producer, WINDOW_STEP};

/// How many paths may be under way, from the walk to the report: [`WINDOW_STEP`] for each slot.
/// This includes finished rows that wait for an earlier one.
const WINDOW: usize = 8;

/// Most paths that wait for a worker. The window fills up before this queue does, and wakes the
/// walk less often.
const JOBS: usize = WINDOW * WINDOW_STEP as usize;

/// Most batches of rows that wait to be reported.
const ROWS: usize = 64;

/// The best size of a chunk.
pub const CHUNK: NonZeroUsize = NonZeroUsize::new(count::CHUNK).expect("it is not 0");

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to count.
    pub counter: Counter,
    /// How many of the most frequent words to find; `None` does not look at words.
    pub top: Option<NonZeroUsize>,
    /// What to add files up by.
    pub by: Option<By>,
    /// How many threads read and count. More threads than CPUs keep a slow disk busy.
    pub jobs: NonZeroUsize,
    /// How many bytes are read and counted at a time; a file of many such chunks is shared by all
    /// workers. [`CHUNK`] is best; tests use less.
    pub chunk: NonZeroUsize,
    /// Which files of a directory count.
    pub filter: Filter,
    /// Whether files with a NUL in their first 8 KiB are left out.
    pub skip_binary: bool,
    /// For tests: panics in this piece of work, a file or a chunk of a large one.
    pub panic_at: Option<u64>,
}

impl Default for Options {
    /// What `wc` counts, one thread for each CPU, and what ripgrep would search in a directory.
    fn default() -> Self {
        Self {
            counter: Counter::default(),
            top: None,
            by: None,
            jobs: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            chunk: CHUNK,
            filter: Filter::default(),
            skip_binary: false,
            panic_at: None,
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each file, in the order of the paths; a directory's files in the order of theirs.
    pub rows: Vec<Row>,
    /// What they add up to.
    pub summary: Summary,
}

/// Counts files, and the files in directories, and returns when all is counted. `-` is stdin.
///
/// If the rows do not fit into memory, or to stop early, use [`process`].
///
/// ```
/// use exercises::file_processor::{Column, Options, count};
///
/// let report = count(["Cargo.toml"], &Options::default())?;
/// assert!(report.summary.total.counts.get(Column::Lines) > 10);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// If a thread cannot be started. A file that cannot be read is a row.
pub fn count<P: Into<PathBuf>>(
    paths: impl IntoIterator<Item = P>,
    options: &Options,
) -> io::Result<Report> {
    let inputs = Inputs::Paths(paths.into_iter().map(Into::into).collect());
    let mut rows = Vec::new();
    let each = |row| rows.push(row);
    let summary = process(&inputs, options, &Progress::default(), &never(), each)?;
    Ok(Report { rows, summary })
}

/// Takes the rows of a run, on the thread that called [`process`].
pub trait Rows {
    /// The next row.
    fn row(&mut self, row: Row);

    /// No other row is ready: this is a good time to flush.
    fn idle(&mut self) {}
}

impl<F: FnMut(Row)> Rows for F {
    fn row(&mut self, row: Row) {
        self(row);
    }
}

/// Counts all inputs and hands each row to `each`, in the order of the inputs; a directory's files
/// come in the order of their paths.
///
/// The run is interrupted when `interrupted` is disconnected: then what is done is handed over, and
/// the summary is not `complete`.
///
/// # Errors
///
/// If a thread cannot be started. A file that cannot be read is a row.
///
/// # Panics
///
/// If `each` does. If the work on a file panics, that file fails and the run goes on.
pub fn process(
    inputs: &Inputs,
    options: &Options,
    progress: &Progress,
    interrupted: &Receiver<Infallible>,
    each: impl Rows,
) -> io::Result<Summary> {
    let stop = AtomicBool::new(false);
    let shared = shared(options, &stop, progress);
    thread::scope(|scope| {
        let (job_sender, jobs) = bounded(JOBS);
        let (row_sender, rows) = bounded(ROWS);
        let (window, slots) = bounded(WINDOW);
        let workers = spawn_workers(scope, &shared, options, &jobs, &row_sender)?;
        let producer = Producer {
            filter: &options.filter,
            stop: &stop,
            jobs: job_sender,
            rows: row_sender,
            window,
            page_size: PAGE_ENTRIES,
            next: 0,
            stdin_taken: false,
            root: 0,
            implied: false,
        };
        let walk = Builder::new().name("walk".into());
        let walk = walk.spawn_scoped(scope, move || producer.run(inputs)).map_err(|err| {
            io::Error::new(err.kind(), format!("cannot start the thread that walks: {err}"))
        })?;
        drop(jobs); // the workers hold clones: when the last worker ends, so does the walk

        let mut collector = Collector {
            by: options.by,
            progress,
            each,
            groups: BTreeMap::new(),
            summary: Summary::default(),
        };
        let complete = collector.collect(&rows, slots, interrupted, &stop);
        join(walk);
        let frequencies = workers.into_iter().filter_map(join).collect();
        let top = options.top.map_or(0, NonZeroUsize::get);
        let (top, long_words) = count::top(frequencies, top);
        let groups = collector.groups.into_iter().collect();
        Ok(Summary { groups, top, long_words, complete, ..collector.summary })
    })
}

fn shared<'a>(options: &Options, stop: &'a AtomicBool, progress: &'a Progress) -> Shared<'a> {
    Shared {
        counter: options.counter,
        workers: options.jobs.get(),
        chunk: options.chunk.get(),
        stop,
        progress,
        skip_binary: options.skip_binary,
        panic_at: options.panic_at,
        started: AtomicU64::new(0),
    }
}

type Handles<'scope> = Vec<ScopedJoinHandle<'scope, Option<Frequencies>>>;

fn spawn_workers<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared<'env>,
    options: &Options,
    jobs: &Receiver<Job>,
    rows: &Sender<Vec<(u64, Row)>>,
) -> io::Result<Handles<'scope>> {
    let hasher = DefaultHashBuilder::default();
    let (offer, shared_files) = bounded(shared.workers);
    let worker = |number| Worker {
        number,
        shared,
        jobs: jobs.clone(),
        rows: rows.clone(),
        shared_files: shared_files.clone(),
        offer: Some(offer.clone()),
        buffer: Buffer::new(shared.chunk),
        frequencies: options.top.map(|_| Frequencies::new(hasher.clone())),
    };
    let spawn = |worker: Worker<'env>| {
        let name = format!("worker {}", worker.number);
        Builder::new().name(name.clone()).spawn_scoped(scope, || worker.run()).map_err(|err| {
            let total = shared.workers;
            let what = format!("cannot start {name} of {total}: {err}; try fewer with --jobs");
            io::Error::new(err.kind(), what)
        })
    };
    (1..=shared.workers).map(worker).collect::<Vec<_>>().into_iter().map(spawn).collect()
}

/// Puts rows in order, adds them up and hands them over.
struct Collector<'a, R> {
    by: Option<By>,
    progress: &'a Progress,
    each: R,
    groups: BTreeMap<OsString, Total>,
    summary: Summary,
}

impl<R: Rows> Collector<'_, R> {
    /// Runs until the walk and the workers have ended. Returns whether they finished.
    fn collect(
        &mut self,
        rows: &Receiver<Vec<(u64, Row)>>,
        slots: Receiver<()>,
        interrupted: &Receiver<Infallible>,
        stop: &AtomicBool,
    ) -> bool {
        let mut order = InOrder::new();
        let (mut slots, mut interrupted) = (Some(slots), interrupted.clone());
        loop {
            if rows.is_empty() {
                self.each.idle();
            }
            select_biased! {
                recv(interrupted) -> _ => {
                    stop.store(true, Ordering::Relaxed);
                    slots = None; // a walk that waits for a slot ends
                    interrupted = never();
                }
                recv(rows) -> batch => match batch {
                    Ok(batch) => batch.into_iter().for_each(|(number, row)| order.put(number, row)),
                    Err(_) => break, // the last of them has ended
                },
            }
            while let Some((number, row)) = order.next() {
                self.add(row);
                if (number + 1).is_multiple_of(WINDOW_STEP)
                    && let Some(slots) = &slots
                {
                    let _ = slots.try_recv(); // it was taken for these paths, so it is there
                }
            }
        }
        order.rest().for_each(|row| self.add(row));
        slots.is_some()
    }

    fn add(&mut self, row: Row) {
        match &row.outcome {
            Status::Counted(counts) => {
                self.summary.total.add(counts);
                let groups = self.by.map(|by| by.groups(&row.path, row.root));
                for group in groups.into_iter().flatten() {
                    self.groups.entry(group).or_default().add(counts);
                }
            }
            Status::Failed(_) => self.summary.failed += 1,
            Status::Binary => self.summary.binary += 1,
            Status::Note(_) => {}
        }
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        self.each.row(row);
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_processor::columns::Counts;

    #[test]
    fn rows_behind_a_missing_one_are_handed_over_at_the_end() {
        let row = |name: &str| Row {
            path: name.into(),
            root: 0,
            outcome: Status::Counted(Counts::default()),
        };
        let (sender, rows) = bounded(1);
        sender.send(vec![(3, row("d")), (0, row("a")), (2, row("c"))]).unwrap();
        drop(sender); // the worker that had row 1 was interrupted
        let mut handed = Vec::new();
        let each = |row: Row| handed.push(row.path);
        let (progress, summary) = (&Progress::default(), Summary::default());
        let groups = BTreeMap::new();
        let mut collector = Collector { by: None, progress, each, groups, summary };
        let complete = collector.collect(&rows, never(), &never(), &AtomicBool::new(false));
        assert!(complete);
        assert_eq!(handed, ["a", "c", "d"].map(PathBuf::from));
    }
}
