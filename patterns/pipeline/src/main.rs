//! The chapter's program: generate, square, add 10, keep the even ones. Given numbers, it is a real
//! program, as fast as it goes.

mod args;

use std::io::{self, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use common::{Demo, Outcome, parse, stdout};
use pipeline::{
    Item, Limits, Lines, Receiver, add_constant, filter_even, generate, generate_blocking, pause,
    square,
};

use crate::args::{Args, Input};

const CONSTANT: i64 = 10;

fn main() -> ExitCode {
    let args = parse::<Args>();
    let (input, limits, summary) = (args.input(), args.limits(), args.summary);
    match input {
        Input::Chapter => {
            args.demo.tasks(async move |demo| run(&demo, input, limits, summary).await)
        }
        _ => args.demo.unpaced().mixed(async move |demo| run(&demo, input, limits, summary).await),
    }
}

async fn run(demo: &Demo, input: Input, limits: Limits, summary: bool) -> Outcome {
    let started = Instant::now();
    let read = Arc::new(AtomicU64::new(0));

    let numbers = read_numbers(demo, input, limits, &read);
    let squared = pause(square(numbers), "stage 2: square", demo.millis(100));
    let added = pause(add_constant(squared, CONSTANT), "stage 3: add", demo.millis(50));
    let filtered = filter_even(added);

    let failed = print(filtered).await?;
    let (read, seconds) = (read.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    if summary {
        let rate = read as f64 / seconds;
        // Nobody is left to tell if stderr is closed, and the work is done.
        let _ = writeln!(io::stderr(), "{read} items, {seconds:.3} seconds, {rate:.0} items/s");
    }
    if failed > 0 {
        return Err(format!("{failed} of {read} items gave no result").into());
    }
    Ok(())
}

/// The first stage, whatever the numbers come from. `read` counts them.
fn read_numbers(
    demo: &Demo,
    input: Input,
    limits: Limits,
    read: &Arc<AtomicU64>,
) -> Receiver<Item> {
    let (demo, read) = (demo.clone(), read.clone());
    match input {
        Input::Chapter => iterate(1..=10, demo, limits, &read),
        Input::Range(range) => iterate(range, demo, limits, &read),
        Input::Numbers(numbers) => iterate(numbers, demo, limits, &read),
        Input::Stdin => {
            let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, io::stdin()));
            let fill = move |chunk: &mut _| {
                let more = lines.fill(chunk);
                for _ in chunk.iter() {
                    demo.piece();
                }
                read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                more
            };
            generate_blocking(fill, limits)
        }
    }
}

fn iterate(
    numbers: impl IntoIterator<Item = i64, IntoIter: Send + 'static>,
    demo: Demo,
    limits: Limits,
    read: &Arc<AtomicU64>,
) -> Receiver<Item> {
    let read = read.clone();
    let numbers = numbers.into_iter().inspect(move |_| {
        demo.piece();
        read.fetch_add(1, Ordering::Relaxed);
    });
    generate(numbers.map(Ok), limits)
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
                    out.flush()?; // what came before it stands before it, in a terminal too
                    let _ = writeln!(io::stderr(), "error: {err}");
                }
            }
        }
        out.flush()?;
    }
    Ok(failed)
}
