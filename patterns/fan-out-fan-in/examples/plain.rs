//! Three tasks receive from one channel, and all of them send to another.

use std::time::Duration;

use async_channel::bounded;
use tokio::{task::JoinSet, time::sleep};

#[tokio::main]
async fn main() {
    let (source, input) = bounded(1);
    let (output, results) = bounded(1);
    let mut tasks = JoinSet::new();

    tasks.spawn(async move {
        for n in 1..=10_u64 {
            source.send(n).await.expect("a worker receives");
        }
    });

    // Fan-out: every worker has a clone of the receiver, and a free worker takes the next item.
    for _ in 0..3 {
        let (input, output) = (input.clone(), output.clone());
        tasks.spawn(async move {
            while let Ok(n) = input.recv().await {
                sleep(Duration::from_millis(37 * n % 100)).await; // the work
                output.send(n * n).await.expect("main receives");
            }
        });
    }
    // Fan-in: every worker has its own sender. The last end to be dropped closes its channel.
    drop((input, output));

    while let Ok(result) = results.recv().await {
        println!("Final result: {result}");
    }
    tasks.join_all().await; // a panic surfaces here
}
