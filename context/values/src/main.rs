//! The chapter's program: one request, with its values and its deadline.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Context, Demo, Result, duration, moment, parse, say};
use values::{Request, RequestId, UserId};

/// A request carries its values in its context.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long the request has; it takes 1s
    #[arg(long, value_name = "D", value_parser = duration, default_value = "2s")]
    timeout: Duration,

    #[command(flatten)]
    demo: Demo,
}

fn main() -> ExitCode {
    let Args { demo, timeout } = parse();
    demo.tasks(|demo| run(demo, timeout))
}

async fn run(demo: Demo, timeout: Duration) -> Result {
    let ctx = Context::background()
        .with_value(UserId("user123".to_owned()))
        .with_value(RequestId("req456".to_owned()))
        .with_timeout(demo.time(timeout));
    tokio::spawn(process(ctx, demo)).await?
}

async fn process(ctx: Context, demo: Demo) -> Result {
    let request = Request::of(&ctx)?;
    say!("Processing request {} for user {}", request.id, request.user);
    match ctx.run(demo.work("request", &request.id.0, 1000)).await {
        Ok(()) => say!("Request {} completed", request.id),
        Err(cause) => {
            moment("deadline");
            say!("Request {} cancelled: {cause}", request.id);
        }
    }
    Ok(())
}
