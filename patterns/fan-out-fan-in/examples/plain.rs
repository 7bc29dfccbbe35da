//! Three tasks receive from one channel, and all of them send to another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc::channel};
use tokio::{task::JoinSet, time::sleep};

#[tokio::main]
async fn main() {
    let (source, input) = channel(1);
    let (output, mut results) = channel(1);
    let mut tasks = JoinSet::new();

    tasks.spawn(async move {
        for n in 1..=10_u64 {
            source.send(n).await.expect("a worker receives");
        }
    });

    // Fan-out: tokio's receiver has one owner, so the workers take turns at it.
    let input = Arc::new(Mutex::new(input));
    for _ in 0..3 {
        let (input, output) = (input.clone(), output.clone());
        tasks.spawn(async move {
            while let Some(n) = async { input.lock().await.recv().await }.await {
                sleep(Duration::from_millis(37 * n % 100)).await; // the work
                output.send(n * n).await.expect("main receives");
            }
        });
    }
    drop(output); // fan-in: every worker has its own sender, and the last one closes the channel

    while let Some(result) = results.recv().await {
        println!("Final result: {result}");
    }
    tasks.join_all().await; // a panic surfaces here
}
