//! Shows the traps that the page warns of.

use std::time::Duration;

use fan_out_fan_in::{fan_out, generate};
use leaks::leak_check;
use tokio::task::JoinSet;

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_kept_receiver_keeps_the_source_running() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 1..=100, Duration::ZERO);
    let kept = numbers.clone();
    drop(fan_out(&mut tasks, numbers, 3, async |n| n));
    let stopped = tokio::time::timeout(Duration::from_hours(1), async {
        while tasks.join_next().await.is_some() {}
    });
    assert!(stopped.await.is_err(), "the source waits for the receiver that is kept");
    drop(kept);
    tasks.join_all().await;
}
