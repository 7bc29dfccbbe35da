//! What a Go programmer expects of a weighted semaphore, tested on tokio's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leaks::leak_check;
use leaks::practices::run_all;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::task::yield_now;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_hours(1);

#[leak_check]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_permits_are_given_out_than_exist() {
    const SIZE: usize = 5;
    let (permits, given) = (Arc::new(Semaphore::new(SIZE)), Arc::new(AtomicUsize::new(0)));
    let work = (0..20).map(|task| {
        let (permits, given) = (Arc::clone(&permits), Arc::clone(&given));
        let weight = 1 + task % SIZE;
        async move {
            for _ in 0..50 {
                let permit = permits.acquire_many(weight as u32).await.expect("it is open");
                let now = given.fetch_add(weight, Ordering::SeqCst) + weight;
                yield_now().await;
                given.fetch_sub(weight, Ordering::SeqCst);
                drop(permit);
                assert!(now <= SIZE, "{now} of {SIZE}");
            }
        }
    });
    assert_eq!(run_all(work).await.len(), 20);
    assert_eq!(permits.available_permits(), SIZE);
}

#[tokio::test]
async fn a_request_that_does_not_wait_gets_what_is_free_or_nothing() {
    let permits = Semaphore::new(2);
    let one = permits.try_acquire().expect("two are free");
    let many = permits.try_acquire_many(2);
    assert_eq!(many.err(), Some(TryAcquireError::NoPermits), "not even the one that is left");
    assert!(permits.try_acquire().is_ok());
    drop(one);
    assert!(permits.try_acquire_many(2).is_ok());
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_large_request_is_not_starved_by_small_ones() {
    let permits = Arc::new(Semaphore::new(3));
    let held = permits.acquire().await.expect("it is open");
    let large = tokio::spawn({
        let permits = Arc::clone(&permits);
        async move { permits.acquire_many(3).await.map(drop) }
    });
    yield_now().await; // it waits
    let small = timeout(HOUR, permits.acquire()).await;
    assert!(small.is_err(), "it stands behind the large one");
    drop(held);
    assert!(timeout(HOUR, large).await.is_ok());
    assert!(timeout(HOUR, permits.acquire()).await.is_ok());
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_dropped_wait_lets_later_requests_pass() {
    let permits = Arc::new(Semaphore::new(2));
    let held = permits.acquire().await.expect("it is open");
    assert!(timeout(HOUR, permits.acquire_many(2)).await.is_err());
    assert!(timeout(HOUR, permits.acquire()).await.is_ok());
    drop(held);
    assert_eq!(permits.available_permits(), 2, "none went with it");
}
