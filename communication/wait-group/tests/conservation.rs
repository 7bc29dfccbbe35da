//! Nothing is lost: a worker of a group completes, or its panic is reported once.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use leaks::leak_check;
use proptest::prelude::*;
use tokio::task::yield_now;
use wait_group::{Panicked, TaskGroup, ThreadGroup};

/// The workers that panic, in the order of their numbers.
fn told(mut panics: Vec<Panicked>) -> Vec<usize> {
    panics.sort_by_key(|panicked| panicked.worker);
    panics.into_iter().map(|panicked| panicked.worker).collect()
}

fn planned(panics: impl Iterator<Item = bool>) -> Vec<usize> {
    (1..).zip(panics).filter(|(_, panics)| *panics).map(|(worker, _)| worker).collect()
}

/// Without a line on stderr.
fn quiet_panic() {
    resume_unwind(Box::new("planned"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn tasks_in_are_completed_and_panicked(
        workers in prop::collection::vec((prop::bool::weighted(0.3), 0..4_usize), 0..40),
        given_up in 0..3_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (completed, panics) = runtime.block_on(leak_check(async {
            let completed = Arc::new(AtomicUsize::new(0));
            let mut group = TaskGroup::new();
            for (panics, yields) in workers.clone() {
                let completed = Arc::clone(&completed);
                group.spawn(async move {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    if panics {
                        quiet_panic();
                    }
                    completed.fetch_add(1, Ordering::SeqCst);
                });
            }
            let mut panics = Vec::new();
            for _ in 0..given_up {
                tokio::select! {
                    biased;
                    ended = group.wait() => panics.extend(ended),
                    () = yield_now() => {}
                }
            }
            panics.extend(group.wait().await);
            (completed.load(Ordering::SeqCst), panics)
        }));
        prop_assert_eq!(completed + panics.len(), workers.len());
        prop_assert_eq!(told(panics), planned(workers.into_iter().map(|worker| worker.0)));
    }

    #[test]
    fn threads_in_are_completed_and_panicked(
        workers in prop::collection::vec(prop::bool::weighted(0.3), 0..8),
    ) {
        let completed = AtomicUsize::new(0);
        let panics = thread::scope(|scope| {
            let mut group = ThreadGroup::new(scope);
            for panics in workers.clone() {
                let completed = &completed;
                group.spawn(move || {
                    if panics {
                        quiet_panic();
                    }
                    completed.fetch_add(1, Ordering::SeqCst);
                });
            }
            group.wait()
        });
        prop_assert_eq!(completed.into_inner() + panics.len(), workers.len());
        prop_assert_eq!(told(panics), planned(workers.into_iter()));
    }
}
