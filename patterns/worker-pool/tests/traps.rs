//! Shows the traps that the page warns of.

use std::sync::{Arc, Mutex, PoisonError};

use worker_pool::{Bounds, WorkerPool};

#[test]
fn a_panic_poisons_the_lock_that_its_job_held() {
    let total = Arc::new(Mutex::new(0));
    let shared = Arc::clone(&total);
    let pool = WorkerPool::start(Bounds::new(1, 3), move |_worker, n: u64| {
        let mut total = shared.lock().map_err(|_poisoned| "poisoned")?;
        assert_ne!(n, 2, "a bad job");
        *total += n;
        Ok::<_, &str>(())
    });
    for n in 1..=3 {
        pool.submit(n);
    }
    let mut done: Vec<_> = pool.close().map(|done| (done.job, done.result)).collect();
    done.sort_by_key(|(job, _)| *job);
    assert_eq!(done[0].1, Ok(Ok(())));
    assert!(done[1].1.is_err(), "its own panic");
    assert_eq!(done[2].1, Ok(Err("poisoned")), "the job after it");
    let total = total.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*total, 1); // the cure: take the value out of the poisoned lock
}
