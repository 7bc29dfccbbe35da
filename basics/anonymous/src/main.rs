//! The chapter's program: two anonymous goroutines, as tasks and then as threads.

use std::process::ExitCode;

use anonymous::{in_tasks, in_threads};
use clap::Parser;
use common::{Demo, Outcome, parse, say};

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

async fn run(demo: Demo) -> Outcome {
    let pause = demo.millis(100);
    let say = move |line: String| {
        say!("{line}");
        demo.piece();
    };
    in_tasks(COUNT, pause, say.clone()).await;

    say!("\n=== The same in threads ===");
    in_threads(COUNT, pause, say);
    Ok(())
}
