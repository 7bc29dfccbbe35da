//! The chapter's program: a leak, two cures, and the count of live tasks after each.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Demo, Outcome, bar, duration, parse, say};
use leaks::{NamedTasks, bad, best, good, literal, live_tasks, settled};

/// What the runtime may take to count a task out. That is real time, which no pace makes shorter.
const LAG: Duration = Duration::from_millis(10);

/// Tasks that nobody waits for: how they come about, how they are found.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,

    /// How long a value is waited for [default: 1s in the good example, 2s in the best]
    #[arg(long, value_name = "D", value_parser = duration)]
    timeout: Option<Duration>,
}

fn main() -> ExitCode {
    let Args { demo, timeout } = parse();
    // The body is a task as well, so that the count begins with 1, as Go's does.
    demo.tasks(|demo| async move { tokio::spawn(run(demo, timeout)).await? })
}

async fn run(demo: Demo, timeout: Option<Duration>) -> Outcome {
    let start = live_tasks();
    say!("Start: {start} tasks");
    let count = async |label| {
        let tasks = settled(start, demo.millis(100).max(LAG)).await;
        say!("{label}: {tasks} tasks");
    };

    let mut tasks = NamedTasks::default();
    let receiver = bad(&mut tasks);
    count("After bad example").await;
    let patience = timeout.unwrap_or(Duration::from_secs(1));
    show_good(demo.clone(), demo.time(patience)).await?;
    count("After good example").await;
    let patience = timeout.unwrap_or(Duration::from_secs(2));
    show_best(demo.clone(), demo.time(patience)).await?;
    count("After best example").await;
    let leaked = tasks.clean_up().await;
    drop(receiver); // held until here, or the sender would have ended by itself
    count("After clean-up").await;

    say!("\n=== What was cleaned up ===");
    for leak in leaked {
        say!("Leaked: {leak}");
    }
    say!("\n=== The bad example word for word ===");
    say!("The send fails: {}", literal().await?);
    count("After it").await;
    Ok(())
}

async fn show_good(demo: Demo, timeout: Duration) -> Outcome {
    let work = async move {
        let _bar = bar("good example", "works");
        demo.piece();
        42
    };
    match good(timeout, work).await? {
        Some(value) => say!("Received: {value}"),
        None => say!("Timeout"),
    }
    Ok(())
}

async fn show_best(demo: Demo, timeout: Duration) -> Outcome {
    let work = async move {
        let _bar = bar("best example", "works");
        demo.piece();
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
