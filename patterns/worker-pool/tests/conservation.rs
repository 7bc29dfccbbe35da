//! Nothing is lost: what goes into a pool comes out as a result, fails, or is cancelled.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use crossbeam::channel::bounded;
use proptest::prelude::*;
use worker_pool::{Bounds, WorkerPool};

/// A job, whether it panics, and a token that shows whether the job is still alive.
type Job = (bool, Arc<()>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn jobs_in_are_results_and_failed_and_cancelled(
        jobs in prop::collection::vec(prop::bool::weighted(0.2), 0..40),
        workers in 1..5_usize,
        queue in 0..6_usize,
        limit in prop::option::of(0..4_usize),
        cancel_after in prop::option::of(0..40_usize),
        patient in any::<bool>(),
    ) {
        let held = Arc::new(());
        let bounds = Bounds::new(workers, queue);
        let bounds = limit.map_or(bounds, |limit| bounds.with_result_limit(limit));
        let pool = WorkerPool::start(bounds, |_, (panics, held): Job| {
            if panics {
                resume_unwind(Box::new("planned")); // prints nothing on stderr
            }
            held
        });
        let results = pool.results();
        let reader = thread::spawn(move || results.collect::<Vec<_>>());

        let (cancel, cancelled) = bounded::<Infallible>(0);
        let mut cancel = Some(cancel);
        let (mut accepted, mut given_back) = (Vec::new(), 0);
        for (at, panics) in jobs.iter().enumerate() {
            if cancel_after == Some(at) {
                cancel = None;
            }
            match pool.submit_unless(&cancelled, (*panics, held.clone())) {
                Ok(number) => accepted.push((number, *panics)),
                Err(_back) => given_back += 1,
            }
        }
        let after_a_cancel = cancel_after.map_or(0, |at| jobs.len().saturating_sub(at));
        prop_assert_eq!(given_back, after_a_cancel);

        drop(if patient { pool.close() } else { pool.close_unless(&cancelled) });
        let mut done = reader.join().expect("it only collects");
        let told = done.len();
        done.sort_by_key(|done| done.job);
        done.dedup_by_key(|done| done.job);
        prop_assert_eq!(done.len(), told, "none twice");
        for done in &done {
            let panics = accepted.iter().find(|(number, _)| *number == done.job).map(|job| job.1);
            prop_assert_eq!(panics, Some(done.result.is_err()), "job {}", done.job);
        }
        if patient || cancel.is_some() {
            prop_assert_eq!(done.len(), accepted.len(), "one result for each accepted job");
        }
        drop(done);
        prop_assert_eq!(Arc::strong_count(&held), 1, "the others have been dropped");
    }
}
