//! The chapter's program: three tickers under a server, until a signal comes.

use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, value_parser};
use common::{Cause, Context, Demo, Result, bar, duration, interrupted, moment, parse, say};
use shutdown::{Server, every};

const WORKERS: u8 = 3;

const PACE: &str = "Scale all time, `--deadline` and `--for` too: 2 takes twice as long, 0.1 a tenth; \
                    not 0, because a signal comes in real time [default: 1]";

/// A server that stops gracefully at Ctrl-C; press it twice to stop at once.
#[derive(Parser)]
#[command(version, mut_arg("pace", |pace| pace.help(PACE)))]
struct Args {
    /// How long the workers have to stop
    #[arg(long, value_name = "D", value_parser = duration, default_value = "5s")]
    deadline: Duration,

    /// Let N of the three workers ignore the signal
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = value_parser!(u8).range(0..=i64::from(WORKERS)))]
    stubborn: u8,

    /// Stop without a signal, after this time
    #[arg(long = "for", value_name = "D", value_parser = duration)]
    time: Option<Duration>,

    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    let args: Args = parse();
    if args.demo.pace() == 0.0 {
        let message = "a virtual clock cannot wait for a signal: give a pace above 0";
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }
    args.demo.clone().mixed(|demo| run(demo, args))
}

async fn run(demo: Demo, args: Args) -> Result {
    let stop = interrupted();
    let mut server = start(&demo, args.stubborn);
    let stop = match args.time {
        Some(time) => stop.with_timeout(demo.time(time)),
        None => stop,
    };
    tokio::select! {
        biased; // a requested stop wins over a worker that fails at the same moment
        cause = stop.done() => match (cause, args.time) {
            (Cause::DeadlineExceeded, Some(time)) => {
                moment("stop");
                say!("\nStopping after {time:?}");
            }
            _ => say!("\nReceived signal"),
        },
        name = server.panicked() => say!("\nWorker {name} panicked"),
    }
    say!("Server shutting down...");
    let stopped = server.shutdown(demo.time(args.deadline)).await;
    match &stopped {
        Err(unclean) if !unclean.late.is_empty() => {
            moment("deadline");
            say!("Shutdown timeout, forcing exit");
        }
        _ => say!("All workers stopped gracefully"),
    }
    say!("Server stopped");
    Ok(stopped?)
}

fn start(demo: &Demo, stubborn: u8) -> Server {
    say!("Server starting...");
    let mut server = Server::new(&Context::background());
    for id in 1..=WORKERS {
        let (name, demo) = (format!("worker-{id}"), demo.clone());
        server.start(name.clone(), |ctx| worker(ctx, name, demo, id <= stubborn));
    }
    say!("All workers started");
    server
}

async fn worker(ctx: Context, name: String, demo: Demo, stubborn: bool) {
    say!("Worker {name} starting");
    // A context of its own that never ends: this worker does not listen.
    let ctx = if stubborn { Context::background() } else { ctx };
    let tick = || {
        say!("Worker {name}: tick");
        demo.piece();
        std::future::ready(())
    };
    bar(&name, "ticking").of(every(&ctx, demo.millis(500), tick)).await;
    say!("Worker {name} shutting down gracefully");
}
