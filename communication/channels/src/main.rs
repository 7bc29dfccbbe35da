//! The chapter's program: three workers, five jobs.

use std::process::ExitCode;
use std::thread;

use channels::start_workers;
use clap::Parser;
use common::{Demo, Result, parse, say};
use crossbeam::channel::bounded;

const WORKERS: usize = 3;
const JOBS: usize = 5;

/// Three threads share one queue of jobs.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    parse::<Args>().demo.threads(run)
}

fn run(demo: Demo) -> Result {
    thread::scope(|scope| {
        let (jobs, queue) = bounded(JOBS);
        let results = start_workers(scope, WORKERS, &queue, move |worker, job| {
            say!("Worker {worker} processing job {job}");
            demo.work_blocking(format!("worker {worker}"), format!("job {job}"), 100);
            job * 2
        });
        for job in 1..=JOBS {
            jobs.send(job)?;
        }
        drop(jobs); // no more jobs: the workers end when the queue is empty
        for result in results {
            say!("Result: {result}");
        }
        Ok(())
    })
}
