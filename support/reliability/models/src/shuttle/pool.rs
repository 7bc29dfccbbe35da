use std::convert::Infallible;

use crossbeam::channel::bounded;
use model::sync::Arc;
use model::thread::{scope, spawn};
use worker_pool::{Bounds, Done, WorkerPool};

use super::quiet_panic;

fn numbers<R>(done: impl IntoIterator<Item = Done<R>>) -> Vec<u64> {
    let mut numbers: Vec<u64> = done.into_iter().map(|done| done.job).collect();
    numbers.sort_unstable();
    numbers
}

pub fn every_job() {
    let bounds = Bounds::new(2, 1).with_result_limit(1);
    let pool = WorkerPool::start(bounds, |_, job: u64| job * 2);
    let results = pool.results();
    let reader = spawn(move || results.collect::<Vec<_>>());
    scope(|scope| {
        for from in [0, 2] {
            let pool = &pool;
            scope.spawn(move || (from..from + 2).for_each(|job| _ = pool.submit(job)));
        }
    });
    drop(pool.close()); // what is left is the reader's
    let done = reader.join().expect("it does not panic");
    let mut outputs: Vec<u64> = done.iter().map(|done| done.result.clone().unwrap_or(99)).collect();
    outputs.sort_unstable();
    assert_eq!(outputs, [0, 2, 4, 6]);
    assert_eq!(numbers(done), [1, 2, 3, 4]);
}

pub fn panics() {
    let pool = WorkerPool::start(Bounds::new(2, 2), |_, job: u64| {
        if job == 2 {
            quiet_panic("bad");
        }
        job
    });
    (1..=3).for_each(|job| _ = pool.submit(job));
    let done: Vec<_> = pool.close().collect();
    let bad: Vec<u64> =
        done.iter().filter(|done| done.result.is_err()).map(|done| done.job).collect();
    assert_eq!(bad, [2]);
    assert_eq!(numbers(done), [1, 2, 3]);
}

pub fn submit_unless() {
    let pool = WorkerPool::start(Bounds::new(1, 1), |_, job: u64| job);
    let (cancel, cancelled) = bounded::<Infallible>(0);
    let canceling = spawn(move || drop(cancel));
    let (mut accepted, mut back) = (Vec::new(), Vec::new());
    for job in 1..=3 {
        match pool.submit_unless(&cancelled, job) {
            Ok(number) => accepted.push(number),
            Err(cancelled) => back.push(cancelled.0),
        }
    }
    canceling.join().expect("it does not panic");
    assert!(pool.submit_unless(&cancelled, 4).is_err(), "it was cancelled before");
    assert_eq!(numbers(pool.close()), accepted);
    assert_eq!([&accepted[..], &back[..]].concat(), [1, 2, 3], "once cancelled, none is accepted");
}

pub fn close_unless() {
    let job = Arc::new(());
    let pool = WorkerPool::start(Bounds::new(1, 3), |_, job: Arc<()>| drop(job));
    let (cancel, cancelled) = bounded::<Infallible>(0);
    (1..=3).for_each(|_| _ = pool.submit(job.clone()));
    let canceling = spawn(move || drop(cancel));
    // A worker may be quick enough to take the last job while those before it are dropped.
    let mut done = numbers(pool.close_unless(&cancelled));
    done.dedup();
    assert!(done.iter().all(|job| (1..=3).contains(job)), "{done:?}");
    assert_eq!(Arc::strong_count(&job), 1, "each job was done or dropped");
    canceling.join().expect("it does not panic");
}

pub fn giving_up() {
    let job = Arc::new(());
    let bounds = Bounds::new(2, 2).with_result_limit(1);
    let pool = WorkerPool::start(bounds, |_, job: Arc<()>| job);
    (1..=3).for_each(|_| _ = pool.submit(job.clone()));
    let results = pool.results(); // a reader exists, and does not read
    drop(pool);
    assert!(results.count() <= 1);
    assert_eq!(Arc::strong_count(&job), 1, "a job or a result is still there");
}
