use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, never, select_biased};
use hashbrown::DefaultHashBuilder;

use super::count::{self, Counter, DirOpener, Frequencies, Permits, Shared, Worker};
use super::order::InOrder;
use super::row::{By, Outcome, Progress, Row, Summary};
use super::walk::filter::Filter;
use super::walk::{Inputs, Job, PAGE_ENTRIES, Producer, WINDOW_STEP};

/// How many paths may be under way, from the walk to the report: [`WINDOW_STEP`] for each slot.
/// Rows that are done but have to wait for an earlier one are among them.
const WINDOW: usize = 8;

/// Paths that wait for a worker. The window is full before this is, and wakes the walk less often.
const JOBS: usize = WINDOW * WINDOW_STEP as usize;

/// Batches of rows that wait to be reported.
const ROWS: usize = 64;

/// The best size of a chunk.
pub const CHUNK: NonZeroUsize = NonZeroUsize::new(count::CHUNK).expect("it is not 0");

/// What a run does.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to count.
    pub counter: Counter,
    /// How many of the most frequent words to find; `None` does not look at words.
    pub top: Option<NonZeroUsize>,
    /// What to add files up by.
    pub by: Option<By>,
    /// How many threads count at the same time.
    pub jobs: NonZeroUsize,
    /// How many threads read. More than `jobs` keep a disk busy that makes them wait.
    pub io_threads: NonZeroUsize,
    /// How many bytes are read and counted at a time; a file of many such chunks is shared by all
    /// workers. [`CHUNK`] is best, tests take less.
    pub chunk: NonZeroUsize,
    /// Which files of a directory count.
    pub filter: Filter,
    /// For tests: panics in this piece of work, a file or a chunk of a large one.
    pub panic_at: Option<u64>,
}

/// Counts all inputs and hands each row to `each`, in the order of the inputs; a directory's files
/// come in the order of their paths. `each` runs on the calling thread.
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
/// If `each` does. A panic in the work on a file is that file's failure.
pub fn process(
    inputs: &Inputs,
    options: &Options,
    progress: &Progress,
    interrupted: &Receiver<Infallible>,
    each: impl FnMut(Row),
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
            implied: false,
        };
        let walk = Builder::new().name("walk".into());
        let walk = walk.spawn_scoped(scope, move || producer.run(inputs))?;
        drop(jobs); // the workers hold the ends that count: with the last of them the walk ends

        let mut collector =
            Collector { by: options.by, progress, each, summary: Summary::default() };
        let complete = collector.collect(&rows, slots, interrupted, &stop);
        join(walk);
        let frequencies = workers.into_iter().filter_map(join).collect();
        let top = options.top.map_or(0, NonZeroUsize::get);
        let top = count::top(frequencies, top);
        Ok(Summary { top, complete, ..collector.summary })
    })
}

fn shared<'a>(options: &Options, stop: &'a AtomicBool, progress: &'a Progress) -> Shared<'a> {
    let readers = options.io_threads.max(options.jobs);
    Shared {
        counter: options.counter,
        workers: readers.get(),
        chunk: options.chunk.get(),
        stop,
        progress,
        permits: (readers > options.jobs).then(|| Permits::new(options.jobs)),
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
        opener: DirOpener::for_one_of(shared.workers),
        buffer: Vec::new(),
        frequencies: options.top.map(|_| Frequencies::new(hasher.clone())),
    };
    let spawn = |worker: Worker<'env>| {
        let name = format!("worker {}", worker.number);
        Builder::new().name(name).spawn_scoped(scope, || worker.run())
    };
    (1..=shared.workers).map(worker).collect::<Vec<_>>().into_iter().map(spawn).collect()
}

/// Puts rows in order, adds them up and hands them over.
struct Collector<'a, F> {
    by: Option<By>,
    progress: &'a Progress,
    each: F,
    summary: Summary,
}

impl<F: FnMut(Row)> Collector<'_, F> {
    /// Goes on until walk and workers have ended. Returns whether they came to their end.
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
            Outcome::Counted(counts) => {
                self.summary.total.add(counts);
                if let Some(by) = self.by {
                    self.summary.groups.entry(by.group(&row.path)).or_default().add(counts);
                }
            }
            Outcome::Failed(_) => self.summary.failed += 1,
            Outcome::Note(_) => {}
        }
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        (self.each)(row);
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
    fn rows_behind_one_that_never_comes_are_handed_over_at_the_end() {
        let row =
            |name: &str| Row { path: name.into(), outcome: Outcome::Counted(Counts::default()) };
        let (sender, rows) = bounded(1);
        sender.send(vec![(3, row("d")), (0, row("a")), (2, row("c"))]).unwrap();
        drop(sender); // whoever had the row 1 was interrupted
        let mut handed = Vec::new();
        let each = |row: Row| handed.push(row.path);
        let (progress, summary) = (&Progress::default(), Summary::default());
        let mut collector = Collector { by: None, progress, each, summary };
        let complete = collector.collect(&rows, never(), &never(), &AtomicBool::new(false));
        assert!(complete);
        assert_eq!(handed, ["a", "c", "d"].map(std::path::PathBuf::from));
    }
}
