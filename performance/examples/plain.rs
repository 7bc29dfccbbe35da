//! A thousand waits of 10 ms: a task each, then a task each with ten permits between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() {
    measure("Unlimited tasks", Semaphore::MAX_PERMITS).await;
    measure("Limited to 10 at once", 10).await;
}

async fn measure(name: &str, limit: usize) {
    let permits = Arc::new(Semaphore::new(limit));
    let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();

    let mut tasks = JoinSet::new();
    for _ in 0..1000 {
        let (permits, running, peak) = (permits.clone(), running.clone(), peak.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire().await.expect("the semaphore stays open");
            peak.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed); // inside the work
            tokio::time::sleep(Duration::from_millis(10)).await;
            running.fetch_sub(1, Relaxed);
        });
    }
    tasks.join_all().await;

    println!("{name}: {:.0?}, {} at once", started.elapsed(), peak.load(Relaxed));
}
