//! Avoid shared state: one task owns the number, the others send to it, and the total is exact.

use std::process::ExitCode;

use clap::Parser;
use common::{Demo, Result, parse, say};
use leaks::practices::{Counter, run_all};

const TASKS: u64 = 10;
const INCREMENTS: u64 = 100;

/// Ten tasks add up to a thousand without a lock.
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
    let counter = Counter::start();
    let work = (0..TASKS).map(|_| {
        let (adder, demo) = (counter.adder(), demo.clone());
        async move {
            demo.piece();
            for _ in 0..INCREMENTS {
                adder.add(1).await;
            }
        }
    });
    run_all(work).await;
    say!("{TASKS} tasks added up to {}", counter.total().await);
    Ok(())
}
