//! Three tasks of ten steps share a deadline that comes before their end.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

#[tokio::main]
async fn main() {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut tasks = JoinSet::new();
    for id in 1..=3 {
        tasks.spawn(async move {
            let mut done = 0;
            // At the deadline the task is dropped where it waits, and `done` is still ours.
            let outcome = timeout_at(deadline, long_running_task(id, &mut done)).await;
            (id, done, outcome)
        });
    }

    while let Some(joined) = tasks.join_next().await {
        match joined.expect("a task does not panic") {
            (id, _, Ok(())) => println!("Task {id}: Completed successfully"),
            (id, done, Err(elapsed)) => println!("Task {id} failed after {done} steps: {elapsed}"),
        }
    }
}

async fn long_running_task(id: u32, done: &mut u32) {
    println!("Task {id}: Starting");
    for step in 1..=10 {
        println!("Task {id}: Step {step}");
        sleep(Duration::from_millis(300)).await;
        *done = step;
    }
}
