//! The chapter's program: three workers, cancelled after two seconds.

use std::process::ExitCode;

use cancellation::repeat;
use clap::Parser;
use common::{Context, Demo, Result, moment, parse, say};
use tokio::task::JoinSet;

const WORKERS: usize = 3;

/// One context cancels three workers.
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
    let ctx = Context::background();
    let mut workers = JoinSet::new();
    for id in 1..=WORKERS {
        workers.spawn(worker(ctx.clone(), id, demo.clone()));
    }
    demo.work("main", "two seconds", 2000).await;
    say!("Cancelling workers...");
    moment("cancel");
    ctx.cancel();
    workers.join_all().await;
    say!("Main function ending");
    Ok(())
}

async fn worker(ctx: Context, id: usize, demo: Demo) {
    let step = || {
        say!("Worker {id}: Working...");
        demo.work(format!("worker {id}"), "step", 500)
    };
    repeat(&ctx, step).await;
    say!("Worker {id}: Received cancellation signal");
}
