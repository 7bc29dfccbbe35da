//! The chapter's program: ten numbers, three workers.

use std::process::ExitCode;

use clap::Parser;
use common::{Demo, Result, Seed, parse, say};
use fan_out_fan_in::{fan_out, fan_out_ordered, generate};
use rand::RngExt;
use tokio::task::JoinSet;

const WORKERS: usize = 3;
const ITEMS: u64 = 10;

/// Three tasks share one stream of numbers, and their results become one stream again.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Keep the results in the order of the numbers
    #[arg(long)]
    ordered: bool,

    #[command(flatten)]
    demo: Demo<Seed>,
}

fn main() -> ExitCode {
    let Args { demo, ordered } = parse();
    demo.tasks(|demo| run(demo, ordered))
}

async fn run(demo: Demo<Seed>, ordered: bool) -> Result {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 1..=ITEMS, demo.millis(100));
    let work = move |number| square(demo.clone(), number);
    say!("\nFinal results:");
    if ordered {
        let results = fan_out_ordered(&mut tasks, numbers, WORKERS, work);
        while let Ok(result) = results.recv().await {
            match result {
                Ok(square) => say!("Final result: {square}"),
                Err(panicked) => say!("No result: {panicked}"),
            }
        }
    } else {
        let results = fan_out(&mut tasks, numbers, WORKERS, work);
        while let Ok(square) = results.recv().await {
            say!("Final result: {square}");
        }
    }
    tasks.join_all().await; // a panic of a worker surfaces here
    Ok(())
}

async fn square(demo: Demo<Seed>, number: u64) -> u64 {
    let millis = demo.rng(number).random_range(0..500);
    demo.work("worker #", number, millis).await;
    let result = number * number;
    say!("Worker processed {number} -> {result}");
    result
}
