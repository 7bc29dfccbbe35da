//! Shows the traps that the page warns of.

use std::future::pending;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use leaks::practices::Counter;
use leaks::{GRACE, leak_check, live_tasks};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, LocalSet, spawn_blocking, yield_now};
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn threads_are_not_in_the_count() {
    let before = live_tasks();
    let (here, there) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            here.wait();
            there.wait();
        });
        here.wait(); // the thread runs
        assert_eq!(live_tasks(), before);
        there.wait();
    });
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_total_waits_for_an_adder_that_is_kept() {
    let (counter, hour) = (Counter::start(), Duration::from_hours(1));
    let kept = counter.adder();
    kept.add(1).await;
    let mut total = std::pin::pin!(counter.total());
    assert!(timeout(hour, &mut total).await.is_err());
    drop(kept);
    assert_eq!(timeout(hour, total).await, Ok(1));
}

#[tokio::test]
async fn blocking_and_local_tasks_are_not_in_the_count() {
    let before = live_tasks();
    let (release, released) = oneshot::channel::<()>();
    let blocking = spawn_blocking(|| drop(released.blocking_recv()));
    let local = LocalSet::new();
    local.spawn_local(pending::<()>());
    local.run_until(yield_now()).await; // both have begun, or are about to
    assert_eq!(live_tasks(), before);
    drop(release);
    blocking.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_old_task_that_ends_hides_a_new_one() {
    let (mut old, mut new) = (JoinSet::new(), JoinSet::new());
    old.spawn(sleep(GRACE / 2));
    leak_check(async { drop(new.spawn(pending::<()>())) }).await;
    assert_eq!((live_tasks(), new.len()), (1, 1), "it is left, and the check did not see it");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn asking_for_too_many_permits_blocks_all_later_requests() {
    let (permits, hour) = (Semaphore::new(2), Duration::from_hours(1));
    let mut too_many = std::pin::pin!(permits.acquire_many(3));
    assert!(timeout(hour, &mut too_many).await.is_err());
    assert!(timeout(hour, permits.acquire()).await.is_err(), "one is free, and who asked is first");
    let before = permits.available_permits();
    assert_eq!(before, 0, "what there is has been put aside for it");
}
