//! A task that waits for ever, and one that does not.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

#[tokio::main]
async fn main() {
    count("Start").await;
    let receiver = bad_example().await;
    count("After bad example").await;
    good_example().await;
    count("After good example").await;
    drop(receiver); // now the leaked send fails, and its task ends
    count("After dropping the receiver").await;
}

// BAD: the queue is full, and nobody reads.
async fn bad_example() -> mpsc::Receiver<i32> {
    let (sender, receiver) = mpsc::channel(1);
    sender.send(41).await.expect("the receiver lives");
    tokio::spawn(async move { sender.send(42).await }); // waits for ever
    receiver
}

// GOOD: the send never waits, the receive has a time-out, and the task is joined.
async fn good_example() {
    let (sender, receiver) = oneshot::channel();
    let task = tokio::spawn(async move { sender.send(42) });
    let value = timeout(Duration::from_secs(1), receiver).await;
    println!("Received: {value:?}"); // or a time-out
    _ = task.await.expect("the task does not panic"); // an error if nobody waits any more
}

async fn count(label: &str) {
    sleep(Duration::from_millis(100)).await; // the count lags behind a join
    println!("{label}: {} tasks", Handle::current().metrics().num_alive_tasks());
}
