//! The chapter's best practices, as the functions that the examples run.

use std::future::Future;

use common::resume_panic;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// Most deltas that wait to be added, in items. When it is reached, the senders wait.
pub const DELTA_BOUND: usize = 16;

/// Always handle the lifecycle: runs all `work` at the same time, to its end, and returns the
/// results in the order in which they are ready.
///
/// # Cancel safety
///
/// Dropping the future cancels what has not ended.
///
/// # Panics
///
/// As soon as one of the tasks has panicked: with its panic, and the others are cancelled.
pub async fn run_all<T, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    limited(usize::MAX, work).await
}

/// Limit the creation of tasks: as [`run_all`], but a task is spawned only when fewer than `limit`
/// are there.
///
/// # Cancel safety
///
/// Dropping the future cancels what has not ended, and spawns no more.
///
/// # Panics
///
/// As [`run_all`], and no more is spawned; and if `limit` is zero, because nothing could ever run.
pub async fn limited<T, F>(limit: usize, work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    assert!(limit > 0, "the limit must be at least 1");
    let (mut tasks, mut results) = (JoinSet::new(), Vec::new());
    for work in work {
        if tasks.len() == limit {
            join_next(&mut tasks, &mut results).await; // a place first, and then the task
        }
        tasks.spawn(work);
    }
    while join_next(&mut tasks, &mut results).await {}
    results
}

/// Keeps the result of the next task to end, or resumes its panic; `false` once all are joined.
async fn join_next<T: 'static>(tasks: &mut JoinSet<T>, results: &mut Vec<T>) -> bool {
    let Some(joined) = tasks.join_next().await else { return false };
    match joined.map_err(JoinError::into_panic) {
        Ok(result) => results.push(result),
        Err(panic) => resume_panic(panic, results.drain(..)),
    }
    true
}

/// Avoid shared state: a number that one task owns, and that others add to by sending.
#[derive(Debug)]
#[must_use = "only `total` gives the number"]
pub struct Counter {
    deltas: mpsc::Sender<u64>,
    owner: JoinHandle<u64>,
}

/// A handle that adds to a [`Counter`]. Clone it for each task.
#[derive(Clone, Debug)]
pub struct Adder(mpsc::Sender<u64>);

impl Counter {
    /// Spawns the task that owns the number. It ends when the counter and all adders are dropped.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn start() -> Self {
        let (deltas, mut received) = mpsc::channel(DELTA_BOUND);
        let owner = tokio::spawn(async move {
            let mut total = 0;
            while let Some(delta) = received.recv().await {
                total += delta;
            }
            total
        });
        Self { deltas, owner }
    }

    /// A new handle that adds.
    pub fn adder(&self) -> Adder {
        Adder(self.deltas.clone())
    }

    /// Waits until every adder is dropped, and returns the exact total. Holding an adder of your
    /// own meanwhile makes this wait for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the total; the task ends with the last adder.
    ///
    /// # Panics
    ///
    /// If the total does not fit into a `u64` (in a build with overflow checks).
    pub async fn total(self) -> u64 {
        drop(self.deltas); // no more adders: the owner ends with the last of them
        self.owner.await.unwrap_or_else(|err| std::panic::resume_unwind(err.into_panic()))
    }
}

impl Adder {
    /// Adds `delta`, as soon as there is room in the queue.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, `delta` has not been added.
    pub async fn add(&self, delta: u64) {
        self.0.send(delta).await.expect("the owner reads as long as there is an adder");
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use common::panic_message;
    use tokio::sync::Barrier;
    use tokio::task::yield_now;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::leak_check;

    #[tokio::test(start_paused = true)]
    async fn all_work_runs_concurrently_to_its_end() {
        let meet = Arc::new(Barrier::new(100)); // opens for all at once
        let work = (0..100).map(|at| {
            let meet = Arc::clone(&meet);
            async move {
                meet.wait().await;
                at
            }
        });
        let mut results = leak_check(run_all(work)).await;
        results.sort_unstable();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    }

    #[leak_check]
    #[tokio::test]
    async fn a_panic_surfaces_and_cancels_the_others() {
        let work = [false, true, false].map(|bad| async move {
            assert!(!bad, "bad work");
            pending::<()>().await;
        });
        let joined = tokio::spawn(run_all(work)).await;
        assert!(joined.unwrap_err().is_panic());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn never_more_than_the_limit_run_at_once() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let work = (0..1000).map(|_| async {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            yield_now().await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            running
        });
        let running = leak_check(limited(7, work)).await;
        assert_eq!(running.len(), 1000);
        assert!(running.into_iter().max() <= Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_used_to_the_full() {
        let meet = Arc::new(Barrier::new(7)); // opens for seven at once
        let work = (0..70).map(|_| {
            let meet = Arc::clone(&meet);
            async move { meet.wait().await.is_leader() }
        });
        let leaders = leak_check(limited(7, work)).await;
        assert_eq!(leaders.into_iter().filter(|leader| *leader).count(), 10);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_permit_can_be_given_up() {
        let spawned = limited(1, (0..9).map(|_| pending::<()>()));
        assert!(timeout(Duration::from_secs(1), spawned).await.is_err());
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_panic_surfaces_at_once_and_ends_an_endless_source() {
        let spawned = Arc::new(AtomicUsize::new(0));
        let endless = (0..).map({
            let spawned = Arc::clone(&spawned);
            move |at| {
                spawned.fetch_add(1, Ordering::SeqCst);
                async move {
                    sleep(Duration::from_secs(at)).await; // the first three: 0, 1 and 2 seconds
                    assert_ne!(at, 1, "bad work");
                }
            }
        });
        let started = Instant::now();
        let joined = timeout(Duration::from_hours(1), tokio::spawn(limited(3, endless))).await;
        let panic = joined.expect("it ends").unwrap_err();
        assert!(panic_message(panic.into_panic()).contains("bad work"));
        assert_eq!(started.elapsed(), Duration::from_secs(1));
        // The one in the place of the first, and one that waits for a place.
        assert_eq!(spawned.load(Ordering::SeqCst), 5);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn results_that_panic_when_dropped_do_not_hide_a_panic() {
        struct PanicsWhenDropped;
        impl Drop for PanicsWhenDropped {
            fn drop(&mut self) {
                panic!("once more");
            }
        }
        let work = (0..3).map(|at| async move {
            assert_ne!(at, 2, "bad work");
            PanicsWhenDropped
        });
        let panic = tokio::spawn(run_all(work)).await.err().unwrap();
        assert!(panic_message(panic.into_panic()).contains("bad work"));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn the_total_is_exact_and_the_counter_ends() {
        let counter = Counter::start();
        for _ in 0..100 {
            let adder = counter.adder();
            tokio::spawn(async move {
                for delta in 1..=10 {
                    adder.add(delta).await;
                }
            });
        }
        assert_eq!(counter.total().await, 5500);
    }
}
