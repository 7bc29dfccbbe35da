//! Ten tasks, three at once; each gives its result or its error, and main reads both.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[tokio::main]
async fn main() {
    let permits = Arc::new(Semaphore::new(3));
    let mut tasks = JoinSet::new();
    for id in 1..=10 {
        let permits = permits.clone();
        tasks.spawn(async move {
            let _permit = permits.acquire().await.expect("the semaphore stays open");
            (id, process(id).await)
        });
    }

    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((id, Ok(text))) => println!("Task {id} succeeded: {text}"),
            Ok((id, Err(err))) => println!("Task {id} failed: {err}"),
            Err(panic) => println!("A task panicked: {panic}"),
        }
    }
}

async fn process(id: u64) -> Result<String, Box<dyn Error + Send + Sync>> {
    sleep(Duration::from_millis(37 * id % 100)).await; // the work
    match id % 3 {
        0 => Err("every third task fails".into()),
        _ => Ok(format!("Processed: task-{id}")),
    }
}
