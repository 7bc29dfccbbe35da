//! The chapter's program: five workers, and main waits for all of them.

use std::process::ExitCode;
use std::thread;

use clap::Parser;
use common::{Demo, Result, parse, say};
use wait_group::{Panicked, TaskGroup, ThreadGroup};

const WORKERS: u64 = 5;

/// Wait for five workers: first threads, then tasks.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    parse::<Args>().demo.mixed(async |demo| {
        threads(&demo)?; // nothing else runs on this thread yet, so it may block
        say!("\n=== The same with tasks ===");
        tasks(&demo).await
    })
}

fn threads(demo: &Demo) -> Result {
    thread::scope(|scope| {
        let mut group = ThreadGroup::new(scope);
        for id in 1..=WORKERS {
            group.spawn(move || {
                say!("Worker {id} starting");
                demo.work_blocking(format!("thread {id}"), "work", id * 100);
                say!("Worker {id} done");
            });
        }
        say!("Waiting for workers to complete...");
        completed(group.wait())
    })
}

async fn tasks(demo: &Demo) -> Result {
    let mut group = TaskGroup::new();
    for id in 1..=WORKERS {
        let demo = demo.clone();
        group.spawn(async move {
            say!("Worker {id} starting");
            demo.work(format!("task {id}"), "work", id * 100).await;
            say!("Worker {id} done");
        });
    }
    say!("Waiting for workers to complete...");
    completed(group.wait().await)
}

/// All have ended, but not all need to have completed.
fn completed(panics: Vec<Panicked>) -> Result {
    if let Some(first) = panics.into_iter().next() {
        return Err(first.into());
    }
    say!("All workers completed");
    Ok(())
}
