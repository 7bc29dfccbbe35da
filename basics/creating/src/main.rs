//! The chapter's program: hello, one after the other and at the same time.

use std::process::ExitCode;

use clap::Parser;
use common::{Demo, Result, parse, say};
use creating::{in_tasks, in_threads};

/// Says hello one after the other, in tasks, and in threads.
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
    say!("=== Synchronous execution ===");
    say_hello(&demo, "Alice"); // may block here: tasks run on other threads
    say_hello(&demo, "Bob");

    say!("\n=== Asynchronous execution ===");
    in_tasks(["Charlie", "Diana"].map(|name| say_hello_in_a_task(demo.clone(), name))).await;
    say!("Main function ending");

    say!("\n=== The same in threads ===");
    in_threads(["Charlie", "Diana"].map(|name| || say_hello(&demo, name)));
    Ok(())
}

/// For a thread: it blocks while it rests.
fn say_hello(demo: &Demo, name: &str) {
    for count in 1..=3 {
        say!("Hello, {name}! ({count})");
        demo.work_blocking(format!("thread {name}"), count, 100);
    }
}

/// For a task: while it rests, its thread runs others. It owns what it uses.
async fn say_hello_in_a_task(demo: Demo, name: &'static str) {
    for count in 1..=3 {
        say!("Hello, {name}! ({count})");
        demo.work(format!("task {name}"), count, 100).await;
    }
}
