//! `data-pipeline`: reads events from many sources, filters them, counts them in windows, and
//! passes them on. Without arguments it shows a demo.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::{Demo, Result, Seed, duration, interrupted, say};
use exercises::data_pipeline::{self, Config, without_users};

/// A pipeline that is real-time, exact and observable
#[derive(Parser)]
#[command(name = "data-pipeline", version)]
#[command(mut_arg("seed", |arg| arg.global(true)), mut_arg("pace", |arg| arg.global(true)))]
#[command(mut_arg("timeline", |arg| arg.global(true)), mut_arg("trace", |arg| arg.global(true)))]
struct Args {
    #[command(flatten)]
    demo: Demo<Seed>,

    /// How long the demo runs
    #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = duration)]
    span: Duration,

    /// Where the demo's live page is: a port of the loopback interface, or HOST:PORT
    #[arg(long, value_name = "ADDR", default_value = "0")]
    http: String,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline, from a file, from flags, or from both
    Run(Pipeline),
    /// Check a pipeline, and print its effective settings as TOML
    Check(Pipeline),
}

#[derive(clap::Args)]
struct Pipeline {
    /// Settings in TOML; a key is a flag without its dashes, and flags win
    #[arg(value_name = "PIPELINE.toml")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    config: Box<Config>,
}

fn main() -> ExitCode {
    let Args { demo, span, http, command } = exercises::installed::parse();
    demo.mixed(async |demo| {
        let outcome = match command {
            None => Ok(data_pipeline::demo(&demo, span, &http, &interrupted()).await?),
            Some(Command::Run(pipeline)) => run(pipeline, &demo).await,
            Some(Command::Check(pipeline)) => check(pipeline),
        };
        outcome.map_err(|err| without_users(&err.to_string()).into())
    })
}

impl Pipeline {
    /// The complete settings. Those that cannot be right end the program as any wrong argument does.
    fn load(self) -> Config {
        let config = self.config.load(self.settings.as_deref());
        let config = config.and_then(|config| data_pipeline::compile(&config).map(|()| config));
        config.unwrap_or_else(|err| {
            let _ = writeln!(io::stderr().lock(), "error: {}", without_users(&err)); // or it is closed
            process::exit(2)
        })
    }
}

async fn run(pipeline: Pipeline, demo: &Demo<Seed>) -> Result {
    let config = pipeline.load();
    let ended = data_pipeline::run(&config, demo, &interrupted()).await?;
    data_pipeline::report(&ended);
    if ended.cut_short {
        process::exit(3);
    }
    Ok(())
}

fn check(pipeline: Pipeline) -> Result {
    let config = pipeline.load();
    data_pipeline::check(&config)?;
    say!("{}", without_users(&config.explain()));
    Ok(())
}
