//! The chapter's program: three workers, ten jobs.

use std::process::ExitCode;
use std::thread;

use clap::Parser;
use common::{Demo, Result, Seed, parse, say};
use rand::RngExt;
use worker_pool::{Bounds, Done, Results, WorkerPool};

const WORKERS: usize = 3;
const QUEUE: usize = 10;
const JOBS: u64 = 10;

struct Job {
    id: u64,
    data: String,
}

/// Three threads work through a bounded queue; every job gives a result.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo<Seed>,
}

fn main() -> ExitCode {
    parse::<Args>().demo.threads(run)
}

fn run(demo: Demo<Seed>) -> Result {
    let pool = WorkerPool::start(Bounds::new(WORKERS, QUEUE), move |worker, job: Job| {
        say!("Worker {worker} processing job {}", job.id);
        let millis = demo.rng(job.id).random_range(0..500);
        demo.work_blocking(format!("worker {worker}"), format!("job {}", job.id), millis);
        format!("Processed: {}", job.data)
    });
    thread::scope(|scope| {
        let results = pool.results();
        let reader = scope.spawn(|| report(results));
        for id in 1..=JOBS {
            pool.submit(Job { id, data: format!("Task-{id}") });
        }
        drop(pool.close()); // every job is done: the results end
        reader.join().expect("the reader does not panic")?;
        say!("All jobs completed");
        Ok(())
    })
}

/// Prints the results as they come. The first panic is the error, once everything is read.
fn report(results: Results<String>) -> Result {
    let mut outcome = Ok(());
    for Done { job, result } in results {
        match result {
            Ok(output) => say!("Result for job {job}: {output}"),
            Err(panicked) => outcome = outcome.and(Err(format!("job {job} {panicked}").into())),
        }
    }
    outcome
}
