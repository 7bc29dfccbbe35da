//! Use a context for cancellation: whatever a task waits for, the end of its context wakes it.

use std::process::ExitCode;

use clap::Parser;
use common::{Cause, Context, Demo, Result, parse, say};
use tokio::time::sleep;

/// Two tasks; one of them is cancelled half-way.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    parse::<Args>().demo.tasks(run)
}

async fn run(demo: Demo) -> Result {
    let [patient, hasty] = [(); 2].map(|()| Context::background().with_cancel());
    let works = tokio::spawn(work("patient", patient, demo.clone()));
    let is_cancelled = tokio::spawn(work("hasty", hasty.clone(), demo.clone()));

    sleep(demo.millis(500)).await;
    hasty.cancel();
    match is_cancelled.await? {
        Ok(()) => say!("Nobody was cancelled"),
        Err(cause) => say!("Cancelled half-way: {cause}"),
    }
    works.await??;
    say!("The other one has done its work");
    Ok(())
}

async fn work(name: &str, ctx: Context, demo: Demo) -> Result<(), Cause> {
    ctx.run(demo.work(name, "work", 1000)).await
}
