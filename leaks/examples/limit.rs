//! Limit the creation of tasks: a permit is taken *before* the task is spawned.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use common::{Demo, Result, parse, say};
use leaks::practices::limited;

const TASKS: usize = 30;
const LIMIT: usize = 10;

/// Thirty pieces of work, ten at a time.
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
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let work = (0..TASKS).map(|_| {
        let demo = demo.clone();
        async move {
            let running = RUNNING.fetch_add(1, Ordering::Relaxed) + 1;
            demo.work("task #", "work", 100).await;
            RUNNING.fetch_sub(1, Ordering::Relaxed);
            running
        }
    });
    let running = limited(LIMIT, work).await;
    let peak = running.iter().max().expect("there is work to do");
    say!("{} tasks done, {peak} at once at most", running.len());
    Ok(())
}
