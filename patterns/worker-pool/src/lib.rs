#![doc = include_str!("../README.md")]

mod results;
mod second_look;
mod sync;
mod worker;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::mem;

use common::discard;
use crossbeam::channel::{Receiver, Sender};
use crossbeam::channel::{bounded, never, select_biased, unbounded};

use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Arc, AtomicU64, Ordering};

pub use results::Results;
use worker::Worker;
pub use worker::{Done, Panicked};

/// A fixed number of threads that work through a bounded queue of jobs.
///
/// Every accepted job gives exactly one [`Done`], even if it panics. Share the pool by reference:
/// any number of threads may submit and read.
///
/// Dropping the pool gives up: running jobs are finished and their threads joined, and queued jobs
/// are dropped. [`close`](Self::close) works through the queue first. A job may drop its own pool;
/// its own thread is then not joined.
#[must_use = "dropping a pool drops the jobs in its queue"]
pub struct WorkerPool<J, R> {
    /// `None` once the pool is closed.
    jobs: Option<Sender<(u64, J)>>,
    /// For `drop`, which removes the jobs that no worker has taken.
    queue: Receiver<(u64, J)>,
    submitted: AtomicU64,
    results: Results<R>,
    /// Dropped to tell the workers not to wait for a reader any more.
    alive: Option<Sender<Infallible>>,
    /// Disconnected when the last worker has ended.
    working: Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

/// The largest bound of a queue, in items. A bounded queue allocates all its places at the start,
/// each as large as a job or a result plus 16 bytes: a million of them are some 30 MB.
pub const MAX_BOUND: usize = 1 << 20;

/// How many jobs a pool runs at once, and how many jobs and results it holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    workers: usize,
    queue: usize,
    results: Option<usize>,
}

/// The job was not accepted because the wait for room in the queue was cancelled. It is returned
/// here.
pub struct Cancelled<J>(pub J);

impl Bounds {
    /// `workers` threads, and `queue` jobs waiting for one of them. A queue of 0 hands each job
    /// from `submit` to a worker that is waiting for it.
    ///
    /// # Panics
    ///
    /// Without workers, or with more than [`MAX_BOUND`] jobs.
    pub fn new(workers: usize, queue: usize) -> Self {
        assert!(workers > 0, "a pool needs at least one worker");
        assert!(queue <= MAX_BOUND, "a queue holds at most {MAX_BOUND} jobs: make the job a batch");
        Self { workers, queue, results: None }
    }

    /// Lets at most `limit` results wait to be read; then the workers wait for the reader.
    ///
    /// Another thread must read while jobs are submitted and while the pool is closed. A thread
    /// that does all three in turn deadlocks as soon as there is more than the bounds hold.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_BOUND`] results.
    #[must_use]
    pub fn with_result_limit(self, limit: usize) -> Self {
        assert!(limit <= MAX_BOUND, "at most {MAX_BOUND} results wait: leave the limit out");
        Self { results: Some(limit), ..self }
    }
}

impl<J: Send + 'static, R: Send + 'static> WorkerPool<J, R> {
    /// Starts the workers, numbered from 0. Each calls `work(worker, job)` for one job after the
    /// other.
    ///
    /// # Panics
    ///
    /// If the system cannot start that many threads.
    pub fn start<W>(bounds: Bounds, work: W) -> Self
    where
        W: Fn(usize, J) -> R + Send + Sync + 'static,
    {
        let (jobs, queue) = bounded(bounds.queue);
        let (sender, results) = bounds.results.map_or_else(unbounded, bounded);
        let (alive, given_up) = bounded(0);
        let (ending, working) = bounded(0);
        let worker =
            Worker { queue: queue.clone(), work, results: sender, given_up, _ending: ending };
        let mut pool = Self {
            jobs: Some(jobs),
            queue,
            submitted: AtomicU64::new(0),
            results: Results(results),
            alive: Some(alive),
            working,
            threads: Vec::new(),
        };
        let worker = Arc::new(worker); // the threads share it, and the last of them drops it
        for id in 0..bounds.workers {
            let worker = Arc::clone(&worker);
            let thread = thread::Builder::new().name(format!("worker {id}"));
            let thread = thread.spawn(move || worker.run(id));
            pool.threads.push(thread.expect("the system can start a thread"));
        }
        pool
    }

    /// Puts `job` into the queue and gives its number, counted from 1. Waits while the queue is
    /// full: that is the backpressure.
    ///
    /// # Panics
    ///
    /// If a job calls this while the queue of its own pool is full: all workers could end up
    /// waiting for each other.
    pub fn submit(&self, job: J) -> u64 {
        let number = self.next_number();
        if let Err(full) = second_look::try_send(self.jobs(), (number, job)) {
            assert!(!self.is_called_by_a_job(), "{FULL}");
            self.jobs().send(full.into_inner()).expect(WORKERS_LISTEN);
        }
        number
    }

    /// As [`submit`](Self::submit), but gives the job back if `cancelled` is disconnected before
    /// there is room in the queue. After that, no job is accepted. A cancelled job has used up its
    /// number.
    ///
    /// # Panics
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_unless(
        &self,
        cancelled: &Receiver<Infallible>,
        job: J,
    ) -> Result<u64, Cancelled<J>> {
        let number = self.next_number();
        // For a job: disconnected from the start, so without room the last arm is ready at once.
        let own = if self.is_called_by_a_job() { bounded(0).1 } else { never::<Infallible>() };
        // The message is made only when its arm is chosen: in the others, `job` is still here.
        select_biased! {
            recv(cancelled) -> _ => Err(Cancelled(job)),
            send(self.jobs(), (number, job)) -> sent => {
                sent.expect(WORKERS_LISTEN);
                Ok(number)
            }
            recv(own) -> _ => panic!("{FULL}"), // a job does not wait
        }
    }

    /// The results, in the order in which they are ready. They end once the pool is closed and
    /// every job is done, or once it is dropped.
    ///
    /// Each result goes to one reader, whichever handle it has.
    pub fn results(&self) -> Results<R> {
        self.results.clone()
    }

    /// Takes no more jobs, waits until those accepted are done, and joins the workers. Gives the
    /// results that nobody has read yet.
    #[must_use = "results that nobody has read are dropped with it"]
    pub fn close(self) -> Results<R> {
        self.close_unless(&never())
    }

    /// As [`close`](Self::close), unless `cancelled` is disconnected first: then the jobs that run
    /// are finished, and those still in the queue are dropped and give no result. A job that finds
    /// the result limit reached gives no result either.
    ///
    /// # Panics
    ///
    /// If a job calls this for its own pool, because it would wait for itself.
    #[must_use = "results that nobody has read are dropped with it"]
    pub fn close_unless(mut self, cancelled: &Receiver<Infallible>) -> Results<R> {
        assert!(
            !self.is_called_by_a_job(),
            "a job must not close its own pool: it would wait for itself"
        );
        self.jobs = None; // the workers end when the queue is empty
        select_biased! {
            recv(cancelled) -> _ => {}
            recv(self.working) -> _ => {}
        }
        self.results()
    }

    fn jobs(&self) -> &Sender<(u64, J)> {
        self.jobs.as_ref().expect("closing a pool consumes it")
    }

    fn next_number(&self) -> u64 {
        self.submitted.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_called_by_a_job(&self) -> bool {
        let caller = thread::current().id();
        self.threads.iter().any(|worker| worker.thread().id() == caller)
    }
}

const WORKERS_LISTEN: &str = "workers outlive their jobs' panics, and listen until the pool ends";
const FULL: &str = "a job submits to its own pool, whose queue is full: let it return the next \
                    job, and submit that where the results are read";

impl<J> fmt::Debug for Cancelled<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancelled(..)")
    }
}

impl<J> fmt::Display for Cancelled<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled while the job queue was full")
    }
}

impl<J> Error for Cancelled<J> {}

impl<J, R> Drop for WorkerPool<J, R> {
    fn drop(&mut self) {
        self.jobs = None; // no job will follow
        self.queue.try_iter().for_each(discard); // the jobs that no worker has taken
        self.alive = None; // and no reader to wait for
        let caller = thread::current().id(); // a job that drops its pool cannot wait for itself
        let others = self.threads.drain(..).filter(|worker| worker.thread().id() != caller);
        others.for_each(|worker| discard(worker.join()));
        discard(mem::replace(&mut self.results.0, never())); // results without a reader
    }
}

#[cfg(test)]
mod tests;
