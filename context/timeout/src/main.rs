//! The chapter's program: three tasks that need three seconds, and a deadline of two.

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Context, Demo, Result, duration, moment, parse, say};
use timeout::run_steps;
use tokio::task::JoinSet;

const TASKS: usize = 3;
const STEPS: usize = 10;

/// Three tasks under one deadline.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long the tasks have; they take 3s
    #[arg(long, value_name = "D", value_parser = duration, default_value = "2s")]
    timeout: Duration,

    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    let Args { demo, timeout } = parse();
    demo.tasks(|demo| run(demo, timeout))
}

async fn run(demo: Demo, timeout: Duration) -> Result {
    let ctx = Context::background().with_timeout(demo.time(timeout));
    let mut tasks = JoinSet::new();
    for id in 1..=TASKS {
        tasks.spawn(task(ctx.clone(), id, demo.clone()));
    }
    let mut all = pin!(tasks.join_all());
    if let Err(cause) = ctx.run(all.as_mut()).await {
        moment("deadline");
        say!("Context cancelled: {cause}");
        all.await;
    }
    Ok(())
}

async fn task(ctx: Context, id: usize, demo: Demo) {
    say!("Task {id}: Starting");
    let step = |step| {
        say!("Task {id}: Step {step}");
        demo.work(format!("task {id}"), step, 300)
    };
    match run_steps(&ctx, STEPS, step).await {
        Ok(()) => say!("Task {id}: Completed successfully"),
        Err(stopped) => {
            say!("Task {id}: Cancelled due to {}", stopped.cause);
            say!("Task {id} failed: {}", stopped.cause);
            // If stderr is closed, the message is lost.
            let _ = writeln!(io::stderr(), "Task {id}: {stopped} of {STEPS}");
        }
    }
}
