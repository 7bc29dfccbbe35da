//! The chapter's program: a leak, two cures, and the count of live tasks after each.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Demo, Ending, Result, bar, duration, moment, parse, say};
use leaks::{GRACE, NamedTasks, bad, best, good, literal, live_tasks, settled};
use tokio::time::sleep;

/// Tasks that nobody waits for: how they come about, how they are found.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long to wait for a value [default: 1s in the good example, 2s in the best]
    #[arg(long, value_name = "D", value_parser = duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    let Args { demo, timeout } = parse();
    // The body is a task as well, so that the count begins with 1, as Go's does.
    demo.tasks(async move |demo| tokio::spawn(run(demo, timeout)).await?)
}

async fn run(demo: Demo, timeout: Option<Duration>) -> Result {
    let start = live_tasks();
    say!("Start: {start} tasks");
    // The runtime may take its time to count a task out, and that is real time at any pace.
    let count = async |label, expected| {
        sleep(demo.millis(100)).await;
        let tasks = settled(expected, GRACE).await;
        say!("{label}: {tasks} tasks");
    };

    let mut tasks = NamedTasks::default();
    let sends = bar("bad example", "waits to send 42");
    let receiver = bad(&mut tasks);
    count("After bad example", start + 1).await;
    let patience = timeout.unwrap_or(Duration::from_secs(1));
    show_good(demo.clone(), demo.time(patience)).await?;
    count("After good example", start + 1).await;
    let patience = timeout.unwrap_or(Duration::from_secs(2));
    show_best(demo.clone(), demo.time(patience)).await?;
    count("After best example", start + 1).await;
    moment("clean-up");
    let leaked = tasks.clean_up().await;
    sends.ended(Ending::Canceled);
    drop(receiver); // held until here, or the sender would have ended by itself
    count("After clean-up", start).await;

    say!("\n=== What was cleaned up ===");
    for leak in leaked {
        say!("Leaked: {leak}");
    }
    say!("\n=== The bad example word for word ===");
    say!("The send fails: {}", literal().await?);
    count("After it", start).await;
    Ok(())
}

async fn show_good(demo: Demo, timeout: Duration) -> Result {
    let work = async move {
        demo.work("good example", "sends 42", 50).await;
        42
    };
    match good(timeout, work).await? {
        Some(value) => say!("Received: {value}"),
        None => say!("Timeout"),
    }
    Ok(())
}

async fn show_best(demo: Demo, timeout: Duration) -> Result {
    let work = async move {
        demo.work("best example", "sends 42", 50).await;
        42
    };
    let best = best(timeout, work).await?;
    match best.sent {
        Ok(()) => say!("Sent value"),
        Err(_) => say!("Task cancelled"),
    }
    match best.received {
        Ok(value) => say!("Received: {value}"),
        Err(cause) => say!("Context cancelled: {cause}"),
    }
    Ok(())
}
