//! The chapter's program: a thousand tasks, all at once and ten at a time; then as a table.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Demo, Result, Work, bar, duration, parse, say};
use performance::{Design, Load, apart, json, measure, table};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Threads, a pool, tasks, and tasks with a permit, side by side.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How many pieces of work there are
    #[arg(long, value_name = "N", value_parser = positive, default_value = "1000")]
    tasks: usize,

    /// How many may run at once, in the designs with a limit
    #[arg(long, value_name = "N", value_parser = positive, default_value = "10")]
    workers: usize,

    /// How long each piece of work waits
    #[arg(long, value_name = "D", value_parser = duration, default_value = "10ms")]
    work: Duration,

    /// Print the table as JSON and nothing else
    #[arg(long)]
    json: bool,

    /// Measure this design only, here, and print the plain figures
    #[arg(long, value_name = "DESIGN", hide = true)]
    measure: Option<Design>,

    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    let Args { demo, tasks, workers, work, json, measure } = parse();
    demo.mixed(async move |demo| {
        let load = Load { tasks, workers, work: demo.time(work) };
        // A task, so that the count begins with 1, as Go's does.
        tokio::spawn(async move {
            match measure {
                Some(design) => measure_here(design, load, demo).await,
                None => run(load, demo, json).await,
            }
        })
        .await?
    })
}

async fn measure_here(design: Design, load: Load, demo: Demo) -> Result {
    say!("{}", measure(design, load, begin(design, demo)).await?);
    Ok(())
}

/// A bar for each piece of work.
fn begin(design: Design, demo: Demo) -> impl Fn() -> Work + Clone {
    move || {
        let bar = bar(format_args!("{} #", design.name()), "work");
        demo.piece();
        bar
    }
}

async fn run(load: Load, demo: Demo, as_json: bool) -> Result {
    if !as_json {
        show_chapter(load, demo).await?;
        say!("\n=== Each design in a process of its own ===");
    }
    let program = env::current_exe()?;
    let program = program.to_str().ok_or("the path of this program is not UTF-8")?.to_owned();
    let measured = spawn_blocking(move || Design::ALL.map(|design| apart(&program, design, load)));
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for (design, measured) in Design::ALL.into_iter().zip(measured.await?) {
        let measured = measured.map_err(|err| failures.push(err.to_string()));
        rows.push((design, measured.ok()));
    }
    say!("{}", if as_json { json(load, &rows) } else { table(load, &rows) });
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

async fn show_chapter(load: Load, demo: Demo) -> Result {
    let start = live_tasks();
    say!("Initial tasks: {start}");
    let all = measure(Design::Tasks, load, begin(Design::Tasks, demo.clone())).await?;
    say!("Unlimited tasks: {:?}, Peak tasks: {}", all.time, all.peak);
    let some = measure(Design::Pool, load, begin(Design::Pool, demo)).await?;
    let (time, peak) = (some.time, some.peak);
    say!("Limited pool ({} workers): {time:?}, Peak tasks: {peak}", load.workers);
    say!("Final tasks: {}", live_tasks_down_to(start).await);
    Ok(())
}

fn live_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Their number once it is down to `expected`, or after a second: a join returns shortly before the
/// runtime counts the task out.
async fn live_tasks_down_to(expected: usize) -> usize {
    let counted_out = async {
        while live_tasks() > expected {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = timeout(Duration::from_secs(1), counted_out).await;
    live_tasks()
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 upwards is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}
