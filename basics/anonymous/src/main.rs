//! The chapter's program: two anonymous goroutines, as tasks and then as threads.

use std::process::ExitCode;

use anonymous::{in_tasks, in_threads};
use clap::Parser;
use common::{Demo, Result, parse, say};

const COUNT: usize = 3;

/// Closures and async blocks that run at the same time, and what they capture.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    parse::<Args>().demo.mixed(run)
}

async fn run(demo: Demo) -> Result {
    let in_a_task = {
        let demo = demo.clone(); // one for the task
        move |number| {
            say!("Anonymous goroutine: {number}");
            let demo = demo.clone();
            async move { demo.work("counting task", number, 100).await }
        }
    };
    in_tasks(COUNT, in_a_task, |message| say!("{message}")).await;

    say!("\n=== The same in threads ===");
    let in_a_thread = |number| {
        say!("Anonymous goroutine: {number}");
        demo.work_blocking("counting thread", number, 100);
    };
    in_threads(COUNT, in_a_thread, |message| say!("{message}"));
    Ok(())
}
