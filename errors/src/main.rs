//! The chapter's program: ten tasks on three workers, of which some fail.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{Context, Demo, Ending, Result, bar, parse, say};
use errors::{Failure, ProcessingError, Summary, TaskFailed, TaskResult, draw, process_all};
use tokio::time::sleep;

const WORKERS: usize = 3;
const TASKS: u64 = 10;

/// Ten tasks, of which some fail.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,

    /// Let the first failure cancel the other tasks, and exit with it
    #[arg(long)]
    first_error: bool,
}

fn main() -> ExitCode {
    let Args { demo, first_error } = parse();
    demo.tasks(|demo| run(demo, first_error))
}

async fn run(demo: Demo, first_error: bool) -> Result {
    let ctx = Context::background();
    let tasks = (1..=TASKS).map(|id| (id, process(id, demo.clone())));
    let mut results = process_all(&ctx, WORKERS, tasks);
    let mut summary = Summary::default();
    let mut fatal = None;
    while let Some(TaskResult { id, result }) = results.next().await {
        summary.count(&result);
        report(id, &result);
        let Err(failure) = result else { continue };
        if first_error {
            ctx.cancel(); // again and again, which changes nothing
        }
        if first_error || matches!(failure, Failure::Panicked(_)) {
            fatal.get_or_insert(TaskFailed { id, failure });
        }
    }
    say!("\n{summary}");
    fatal.map_or(Ok(()), |failed| Err(failed.into()))
}

async fn process(id: u64, demo: Demo) -> Result<String, ProcessingError> {
    let bar = bar("worker #", format_args!("task {id}"));
    demo.piece();
    let time = match draw(&mut demo.rng(id)) {
        Ok(time) => time,
        Err(err) => {
            bar.ended(Ending::Failed);
            return Err(err);
        }
    };
    bar.of(sleep(demo.time(time))).await;
    Ok(format!("Processed: task-{id}"))
}

fn report(id: u64, result: &Result<String, Failure<ProcessingError>>) {
    match result {
        Ok(output) => say!("Task {id} succeeded: {output}"),
        Err(Failure::Cancelled(cause)) => say!("Task {id} cancelled: {cause}"),
        Err(failure) => {
            say!("Task {id} failed: {failure}");
            if let Some(cause) = failure.source() {
                // If stderr is closed, the message is lost.
                let _ = writeln!(io::stderr(), "Task {id}: {cause}");
            }
        }
    }
}
