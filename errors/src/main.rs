//! The chapter's program: ten tasks on three workers, of which some fail.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{Context, Demo, Result, Seed, bar, moment, parse, say};
use errors::{Failure, ProcessingError, Summary, TaskFailed, TaskResult, draw, process_all};
use tokio::time::sleep;

const WORKERS: usize = 3;
const TASKS: u64 = 10;

/// Ten tasks, of which some fail.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Let the first failure cancel the other tasks, and exit with it
    #[arg(long)]
    first_error: bool,

    #[command(flatten)]
    demo: Demo<Seed>,
}

fn main() -> ExitCode {
    let Args { demo, first_error } = parse();
    demo.tasks(|demo| run(demo, first_error))
}

async fn run(demo: Demo<Seed>, first_error: bool) -> Result {
    let ctx = Context::background();
    let tasks = (1..=TASKS).map(|id| (id, process(id, demo.clone())));
    let mut results = process_all(&ctx, WORKERS, tasks);
    let mut summary = Summary::default();
    let mut fatal = None;
    while let Some(TaskResult { id, result }) = results.next().await {
        summary.count(&result);
        report(id, &result);
        let Err(failure) = result else { continue };
        if first_error && fatal.is_none() {
            moment("cancel");
            ctx.cancel();
        }
        if first_error || matches!(failure, Failure::Panicked(_)) {
            fatal.get_or_insert(TaskFailed { id, failure });
        }
    }
    say!("\n{summary}");
    fatal.map_or(Ok(()), |failed| Err(failed.into()))
}

async fn process(id: u64, demo: Demo<Seed>) -> Result<String, ProcessingError> {
    let bar = bar("worker #", format_args!("task {id}"));
    demo.piece();
    let (time, outcome) = draw(&mut demo.rng(id));
    let work = async {
        sleep(demo.time(time)).await;
        outcome.map(|()| format!("Processed: task-{id}"))
    };
    bar.try_of(work).await
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
