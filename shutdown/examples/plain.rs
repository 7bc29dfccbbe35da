//! Ctrl-C or SIGTERM asks three workers to stop, and main waits for them, 5 s at most.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?; // before the workers: no signal is lost
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, workers) = (CancellationToken::new(), TaskTracker::new());
    for id in 1..=3 {
        workers.spawn(worker(id, stop.clone()));
    }
    println!("All workers started");

    tokio::select! {
        _ = interrupt.recv() => println!("\nReceived signal: interrupt"),
        _ = terminate.recv() => println!("\nReceived signal: terminated"),
    }
    stop.cancel();
    workers.close(); // without this, `wait` would never end

    match timeout(Duration::from_secs(5), workers.wait()).await {
        Ok(()) => println!("All workers stopped gracefully"),
        Err(_) => println!("Shutdown timeout, forcing exit"),
    }
    Ok(())
}

async fn worker(id: u32, stop: CancellationToken) {
    let mut ticks = interval(Duration::from_millis(500));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        println!("Worker worker-{id}: tick");
    }
    println!("Worker worker-{id} shutting down gracefully");
}
