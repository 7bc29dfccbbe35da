//! Always handle the lifecycle: the code that spawns also waits, and gets every result and every
//! panic.

use std::process::ExitCode;

use clap::Parser;
use common::{Demo, Result, parse, say};
use leaks::practices::run_all;

const WORKERS: u64 = 3;

/// Three tasks, and a main that waits for them all.
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
    let work = (1..=WORKERS).map(|id| {
        let demo = demo.clone();
        async move {
            demo.work(format!("worker {id}"), "work", 100 * id).await;
            say!("Worker {id} done");
        }
    });
    let done = run_all(work).await.len();
    say!("All {done} workers have ended");
    Ok(())
}
