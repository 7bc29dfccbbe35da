use std::convert::Infallible;
use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Select, bounded, never};

use super::*;

fn submit_all<J, R>(pool: &WorkerPool<J, R>, jobs: impl IntoIterator<Item = J>) -> Vec<u64>
where
    J: Send + 'static,
    R: Send + 'static,
{
    jobs.into_iter().map(|job| pool.submit(job)).collect()
}

/// The result of `wait`. A hang becomes a failure.
fn in_time<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = bounded(1);
    thread::spawn(move || sender.send(wait()));
    result.recv_timeout(Duration::from_secs(10)).expect("it ends")
}

/// Whether a thread comes to wait on the other end.
fn is_waited_for(sender: &Sender<Infallible>) -> bool {
    let mut waits = Select::new();
    waits.send(sender);
    waits.ready_timeout(Duration::from_secs(10)).is_ok()
}

fn numbers<R>(done: impl IntoIterator<Item = Done<R>>) -> Vec<u64> {
    let mut numbers: Vec<u64> = done.into_iter().map(|done| done.job).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn every_job_of_every_submitter_gives_one_result_and_the_results_end() {
    let pool = WorkerPool::start(Bounds::new(3, 1), |_, job: u64| job * 2);
    let results = pool.results();
    let reader = thread::spawn(|| results.collect::<Vec<_>>());
    thread::scope(|scope| {
        for from in [0, 500] {
            let pool = &pool;
            scope.spawn(move || submit_all(pool, from..from + 500));
        }
    });
    drop(pool.close()); // what is left is the reader's
    let done = reader.join().unwrap();
    let mut outputs: Vec<u64> = done.iter().map(|done| done.result.clone().unwrap()).collect();
    outputs.sort_unstable();
    assert_eq!(outputs, (0..1000).map(|job| job * 2).collect::<Vec<_>>());
    assert_eq!(numbers(done), (1..=1000).collect::<Vec<_>>());
}

#[test]
fn all_workers_are_at_work_at_the_same_time() {
    let meet = Barrier::new(3); // opens for three at once
    let pool = WorkerPool::start(Bounds::new(3, 3), move |worker, ()| {
        meet.wait();
        worker
    });
    submit_all(&pool, [(); 3]);
    let mut workers: Vec<usize> = pool.close().map(|done| done.result.unwrap()).collect();
    workers.sort_unstable();
    assert_eq!(workers, [0, 1, 2]);
}

#[test]
fn results_are_kept_until_all_jobs_are_submitted() {
    let pool = WorkerPool::start(Bounds::new(2, 1), |_, job: u64| job);
    let submitted = submit_all(&pool, 0..100);
    assert_eq!(numbers(pool.close()), submitted);
}

#[test]
fn a_result_limit_is_kept_while_somebody_reads() {
    const LIMIT: usize = 2;
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let pool = WorkerPool::start(Bounds::new(1, 1).with_result_limit(LIMIT), move |_, ()| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut results = pool.results();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            (0..1000_usize).all(|read| {
                // Beyond what has been read: the results that wait, and the one of the worker.
                let within = started.load(Ordering::SeqCst) <= read + LIMIT + 1;
                results.next().is_some() && within
            })
        });
        submit_all(&pool, [(); 1000]);
        assert!(reader.join().unwrap());
    });
    assert_eq!(pool.close().count(), 0);
}

#[test]
fn a_result_beyond_the_limit_waits_for_a_reader() {
    let (cancel, cancelled) = bounded::<Infallible>(0);
    let cancel = Mutex::new(Some(cancel));
    let pool = WorkerPool::start(Bounds::new(1, 4).with_result_limit(1), move |_, job: i32| {
        if job == 2 {
            drop(cancel.lock().unwrap().take());
        }
    });
    submit_all(&pool, 1..=4);
    // The first result takes the only place. The second finds no room until the pool gives up.
    assert_eq!(in_time(move || numbers(pool.close_unless(&cancelled))), [1]);
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a value that panics as it is dropped");
    }
}

#[test]
fn a_panic_is_the_error_of_its_job_and_the_worker_lives_on() {
    let pool = WorkerPool::start(Bounds::new(1, 5), |_, job: u64| match job {
        2 => panic!("a plain message"),
        3 => panic!("a message with a number: {job}"),
        4 => panic_any(Bomb),
        _ => job,
    });
    assert_eq!(submit_all(&pool, 1..=5), [1, 2, 3, 4, 5]);
    let panicked = |message: &str| Err(Panicked { message: message.to_owned() });
    let results: Vec<_> = pool.close().map(|done| done.result).collect();
    let [plain, number] = ["a plain message", "a message with a number: 3"].map(panicked);
    assert_eq!(results, [Ok(1), plain, number, panicked("without a message"), Ok(5)]);
    assert_eq!(results[1].as_ref().unwrap_err().to_string(), "panicked: a plain message");
}

/// A pool of one worker that is busy with the first job until the returned sender is dropped.
fn busy_pool(queue: usize) -> (WorkerPool<u64, u64>, Sender<Infallible>) {
    let (started, wait_for_start) = bounded(0);
    let (release, released) = bounded::<Infallible>(0);
    let pool = WorkerPool::start(Bounds::new(1, queue), move |_, job| {
        if job == 1 {
            started.send(()).unwrap();
            let _ = released.recv();
        }
        job
    });
    pool.submit(1);
    wait_for_start.recv().unwrap();
    (pool, release)
}

#[test]
fn a_submit_that_waits_for_room_can_be_cancelled_and_gives_the_job_back() {
    let (pool, release) = busy_pool(1);
    pool.submit(2); // fills the queue
    let (cancel, cancelled) = bounded::<Infallible>(0);
    let other = thread::spawn(move || {
        let waited = is_waited_for(&cancel);
        drop(cancel);
        waited
    });
    let (pool, refused) = in_time(move || {
        let refused = pool.submit_unless(&cancelled, 3);
        (pool, refused)
    });
    drop(release); // before what may fail: dropping a pool joins its worker
    assert!(other.join().unwrap(), "the submit did not wait");
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.to_string(), "cancelled while the job queue was full");
    assert_eq!(refused.0, 3);
    assert_eq!(numbers(pool.close()), [1, 2]);
}

#[test]
fn a_submit_that_is_not_cancelled_waits_for_its_turn() {
    let (pool, release) = busy_pool(1);
    pool.submit(2); // fills the queue
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.submit_unless(&never(), 3));
        drop(release);
        assert_eq!(waiting.join().unwrap().unwrap(), 3);
    });
    assert_eq!(numbers(pool.close()), [1, 2, 3]);
}

#[test]
fn closing_drains_the_queue() {
    let (pool, release) = busy_pool(10);
    submit_all(&pool, 2..=10);
    let (cancel, cancelled) = bounded::<Infallible>(0); // never cancelled: shows a waiter
    thread::scope(|scope| {
        let closing = scope.spawn(move || pool.close_unless(&cancelled));
        let waited = is_waited_for(&cancel);
        drop(release); // before what may fail, and no earlier: the queue is full when it closes
        assert!(waited, "the close did not wait");
        assert_eq!(numbers(closing.join().unwrap()), (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn giving_up_drops_the_queue_at_once_and_joins_the_workers() {
    let (release, released) = bounded(0);
    let (started, wait_for_start) = bounded(1);
    let held = Arc::new(());
    let work = {
        let held = Arc::clone(&held);
        move |_, job: Option<Sender<Infallible>>| {
            started.send(()).unwrap();
            let _ = released.recv(); // until the second job is dropped
            (Arc::clone(&held), job)
        }
    };
    let pool = WorkerPool::start(Bounds::new(1, 1), work);
    submit_all(&pool, [None, Some(release)]);
    wait_for_start.recv().unwrap();
    let results = pool.results();
    in_time(|| drop(pool));
    assert_eq!(numbers(results), [1]); // what ran was finished
    assert_eq!(Arc::strong_count(&held), 1, "a worker still holds what `work` has captured");
}

#[test]
fn giving_up_waits_for_no_reader() {
    let pool = WorkerPool::start(Bounds::new(1, 3).with_result_limit(0), |_, ()| ());
    submit_all(&pool, [(); 3]);
    let results = pool.results(); // a reader exists, and does not read
    in_time(|| drop(pool));
    assert!(numbers(results).is_empty());
}

#[test]
fn values_that_panic_when_dropped_change_no_outcome() {
    let own = catch_unwind(|| {
        let bounds = Bounds::new(2, 2).with_result_limit(1);
        let pool = WorkerPool::start(bounds, |_, job: Bomb| job);
        // One result in its place, one in the hand of each worker, and two jobs in the queue.
        submit_all(&pool, [(); 5].map(|()| Bomb));
        panic!("the caller's own"); // and the pool is dropped by it
    });
    assert_eq!(own.unwrap_err().downcast_ref(), Some(&"the caller's own"));
}

/// A pool of one worker and a queue of one, whose jobs know it.
fn recursive_pool<R: Send + 'static>(
    work: impl Fn(&WorkerPool<u64, R>, u64) -> R + Send + Sync + 'static,
) -> Arc<WorkerPool<u64, R>> {
    Arc::new_cyclic(|pool| {
        let pool = Weak::clone(pool);
        WorkerPool::start(Bounds::new(1, 1), move |_, job| {
            work(&pool.upgrade().expect("it is read from"), job)
        })
    })
}

#[test]
fn a_job_may_submit_to_its_own_pool_but_never_waits_for_room() {
    let pool = recursive_pool(|pool, job| match job {
        1 => pool.submit(2) + pool.submit(3),
        _ => job,
    });
    pool.submit(1);
    let results = in_time(move || pool.results().take(2).collect::<Vec<_>>());
    let told = results[0].result.as_ref().unwrap_err().to_string();
    assert!(told.starts_with("panicked: a job submits to its own pool, whose queue is full"));
    assert_eq!(results[1], Done { job: 2, result: Ok(2) });
}

#[test]
fn a_job_that_can_be_cancelled_never_waits_for_room_in_its_own_pool() {
    let pool = recursive_pool(|pool, job| {
        let submit = |next| pool.submit_unless(&never(), next).map_err(|back| back.0);
        if job == 1 { submit(2).and(submit(3)) } else { Ok(job) }
    });
    pool.submit(1);
    let results = in_time(move || pool.results().take(2).collect::<Vec<_>>());
    assert!(results[0].result.as_ref().unwrap_err().message.contains("its own pool"));
    assert_eq!(results[1], Done { job: 2, result: Ok(Ok(2)) });
}

#[test]
fn a_job_may_drop_its_own_pool_but_not_close_it() {
    for closes in [false, true] {
        let own = Arc::new(Mutex::new(None::<WorkerPool<u64, ()>>));
        let shared = Arc::clone(&own);
        let pool = WorkerPool::start(Bounds::new(1, 2), move |_, _| {
            let pool = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
            if closes {
                drop(pool.unwrap().close());
            }
        });
        let results = pool.results();
        let mut filled = own.lock().unwrap();
        submit_all(&pool, [1, 2]);
        *filled = Some(pool);
        drop(filled);
        let results = in_time(|| results.collect::<Vec<_>>());
        let [first] = &results[..] else { panic!("what is queued is dropped: {results:?}") };
        match &first.result {
            Ok(()) => assert!(!closes),
            Err(told) => assert!(closes && told.message.starts_with("a job must not close its")),
        }
    }
}

#[test]
fn bounds_that_would_take_all_memory_are_refused() {
    let refused = |bounds: fn() -> Bounds| common::panic_message(catch_unwind(bounds).unwrap_err());
    let told = refused(|| Bounds::new(1, 1 << 40));
    assert_eq!(told, "a queue holds at most 1048576 jobs: make the job a batch");
    let told = refused(|| Bounds::new(1, 1).with_result_limit(usize::MAX));
    assert_eq!(told, "at most 1048576 results wait: leave the limit out");
}
