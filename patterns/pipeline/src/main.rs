//! The chapter's program: generate, square, add 10, keep the even ones. Given numbers, it processes
//! them without simulated delays.

mod args;
mod lines;

use std::io::{self, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use common::{Demo, Result, parse, stdout};
use pipeline::{
    Item, Receiver, add_constant, filter_even, generate, generate_blocking, square, stage,
};

use crate::args::{Args, Input};
use crate::lines::Lines;

const CONSTANT: i64 = 10;

fn main() -> ExitCode {
    let args = parse::<Args>();
    let (input, bound, summary) = (args.input(), args.bound(), args.summary);
    match input {
        Input::Chapter => {
            args.demo.tasks(async move |demo| run(&demo, input, bound, summary).await)
        }
        _ => args.demo.unpaced().mixed(async move |demo| run(&demo, input, bound, summary).await),
    }
}

async fn run(demo: &Demo, input: Input, bound: usize, summary: bool) -> Result {
    let started = Instant::now();
    let read = Arc::new(AtomicU64::new(0));

    let numbers = read_numbers(demo, input, bound, &read);
    let squared = rest(square(numbers), demo, "2: square", 100);
    let added = rest(add_constant(squared, CONSTANT), demo, "3: add 10", 50);
    let filtered = filter_even(added);

    let failed = print(filtered).await?;
    let (read, seconds) = (read.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    if summary {
        let rate = read as f64 / seconds;
        // If stderr is closed the summary is lost, but the work is done.
        let _ = writeln!(io::stderr(), "{read} items, {seconds:.3} seconds, {rate:.0} items/s");
    }
    if failed > 0 {
        return Err(format!("{failed} of {read} items gave no result").into());
    }
    Ok(())
}

/// The first stage, for each kind of input. `read` counts the numbers.
fn read_numbers(demo: &Demo, input: Input, bound: usize, read: &Arc<AtomicU64>) -> Receiver<Item> {
    let (demo, read) = (demo.clone(), read.clone());
    let simulated = matches!(input, Input::Chapter); // simulated work is counted in its stage
    let count = move |_: &Item| {
        if !simulated {
            demo.piece();
        }
        read.fetch_add(1, Ordering::Relaxed);
    };
    match input {
        Input::Chapter => generate((1..=10).map(Ok).inspect(count), bound),
        Input::Range(range) => generate(range.map(Ok).inspect(count), bound),
        Input::Numbers(numbers) => generate(numbers.into_iter().map(Ok).inspect(count), bound),
        Input::Stdin => {
            let stdin = BufReader::with_capacity(64 * 1024, io::stdin());
            generate_blocking(Lines::new(stdin).inspect(count), bound)
        }
    }
}

/// The chapter's simulated work: a stage that hands on each item and then rests.
fn rest(input: Receiver<Item>, demo: &Demo, lane: &'static str, millis: u64) -> Receiver<Item> {
    if demo.millis(millis).is_zero() {
        return input;
    }
    let demo = demo.clone();
    stage(input, async move |mut input, output| {
        while let Some(item) = input.recv().await {
            let name = item.as_ref().map_or_else(|_| "error".to_owned(), i64::to_string);
            if output.send(item).await.is_err() {
                return; // nobody receives any more
            }
            demo.work(lane, name, millis).await;
        }
    })
}

/// Prints what comes out, a chunk at a time. Gives the number of errors.
async fn print(mut results: Receiver<Item>) -> io::Result<u64> {
    let mut failed = 0;
    let mut out = stdout();
    writeln!(out, "Pipeline results:")?;
    out.flush()?;
    while let Some(chunk) = results.next_chunk().await {
        for result in chunk {
            match result {
                Ok(number) => writeln!(out, "Result: {number}")?,
                Err(err) => {
                    failed += 1;
                    out.flush()?; // earlier results appear before it, in a terminal too
                    let _ = writeln!(io::stderr(), "error: {err}");
                }
            }
        }
        out.flush()?;
    }
    Ok(failed)
}
