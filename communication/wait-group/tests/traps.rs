//! Shows the traps that the page warns of.

use std::future::pending;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::sync::WaitGroup;
use leaks::{GRACE, settled};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

#[test]
fn a_clone_that_is_kept_counts_as_a_worker() {
    // A wait that returned at once would do so in one of many rounds before the clone is dropped.
    for _ in 0..100 {
        let wg = WaitGroup::new();
        let kept = wg.clone();
        let dropped = AtomicBool::new(false);
        let waits = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                waits.wait();
                wg.wait();
                assert!(dropped.load(Ordering::SeqCst), "it did not wait for the clone");
            });
            waits.wait();
            (0..100).for_each(|_| thread::yield_now());
            dropped.store(true, Ordering::SeqCst);
            drop(kept);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_tracker_that_was_not_closed_waits() {
    let tracker = TaskTracker::new();
    let hour = Duration::from_hours(1);
    assert!(timeout(hour, tracker.wait()).await.is_err());
    tracker.close();
    assert!(timeout(hour, tracker.wait()).await.is_ok());
}

#[tokio::test]
async fn dropping_a_join_set_stops_its_tasks_and_dropping_a_tracker_does_not() {
    let tracker = TaskTracker::new();
    let alive = tracker.spawn(pending::<()>());
    drop(tracker);
    let mut tasks = JoinSet::new();
    tasks.spawn(pending::<()>());
    drop(tasks);
    assert_eq!(settled(1, GRACE).await, 1, "the tracker's");
    alive.abort();
    assert!(alive.await.unwrap_err().is_cancelled());
    assert_eq!(settled(0, GRACE).await, 0);
}
