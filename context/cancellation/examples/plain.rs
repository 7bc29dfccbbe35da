//! Three workers work until one call cancels them all.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() {
    let token = CancellationToken::new();
    let mut workers = JoinSet::new();
    for id in 1..=3 {
        workers.spawn(worker(token.child_token(), id));
    }

    sleep(Duration::from_millis(1750)).await;
    println!("Cancelling workers...");
    token.cancel();

    workers.join_all().await; // no sleep: main ends when the workers have ended
    println!("Main function ending");
}

async fn worker(token: CancellationToken, id: u32) {
    loop {
        println!("Worker {id}: Working...");
        // The sleep is dropped where it stands as soon as the token is cancelled.
        let pause = sleep(Duration::from_millis(500));
        if token.run_until_cancelled(pause).await.is_none() {
            println!("Worker {id}: Received cancellation signal");
            return;
        }
    }
}
