//! The traps that the page warns of, shown.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use leaks::practices::Counter;
use leaks::{leak_check, live_tasks};
use tokio::time::timeout;

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
