//! `data-pipeline`: reads events from many sources, filters them, counts them in windows, and
//! passes them on. Without arguments it shows a demo.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::{Demo, Seed, duration, interrupted, say};
use exercises::data_pipeline::{self, Config, Failure, without_users};

/// Filters and aggregates streams of JSON lines, each exactly once
#[derive(Parser)]
#[command(name = "data-pipeline", version)]
#[command(mut_args(|arg| match arg.get_id().as_str() {
    "seed" | "pace" | "timeline" | "trace" => arg.global(true).hide_short_help(true),
    _ => arg,
}))]
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
    #[command(mut_args(|flag| flag.hide_short_help(true)))]
    #[command(after_help = SHORT_HELP, after_long_help = "")]
    Run(Pipeline),
    /// Check a pipeline, and print its effective settings as TOML
    #[command(mut_args(|flag| flag.hide_short_help(true)))]
    #[command(after_help = SHORT_HELP, after_long_help = "")]
    Check(Check),
}

/// `-h`: what most runs need, on one screen.
const SHORT_HELP: &str = "\
Sources   --file GLOB  --follow  --stdin  --listen HOST:PORT  --nats URL
Events    --where 'status>=500'  --derive 'seconds=millis/1000'
          --time FIELD (ts)  --time-format FORMAT  --unwrap docker|cri|FIELD
Windows   --window SPAN (1s)  --lateness SPAN (2s)  --by FIELD,FIELD
          --p FIELD  --q 0.5,0.99  --sum FIELD  --min FIELD  --max FIELD
Sinks     --out FILE|URL  --aggregates FILE  --dead-letters FILE  (-: stdout)
Run       --checkpoint FILE (exactly once)  --http PORT  --for SPAN
Sample    check --sample FILE -n 20: what becomes of its first lines, and why

Exit status: 0 done, 1 something failed, 2 wrong settings, 3 cut short
--help tells all of every flag.";

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
            None => data_pipeline::demo(&demo, span, &http, &interrupted()).await,
            Some(Command::Run(pipeline)) => run(pipeline, &demo).await,
            Some(Command::Check(pipeline)) => check(pipeline),
        };
        outcome.map_err(|failure| {
            let why = without_users(&failure.to_string());
            if let Failure::Settings(_) = failure {
                // Like any wrong argument: a supervisor need not try again.
                let _ = writeln!(io::stderr().lock(), "error: {why}"); // or it is closed
                process::exit(2)
            }
            why.into()
        })
    })
}

#[derive(clap::Args)]
struct Check {
    #[command(flatten)]
    pipeline: Pipeline,

    /// Show what happens to the first lines of this file; - is stdin
    #[arg(long, value_name = "FILE", help_heading = "Sample")]
    sample: Option<PathBuf>,

    /// Lines of the sample
    #[arg(short = 'n', value_name = "N", default_value_t = 20, requires = "sample")]
    #[arg(help_heading = "Sample")]
    lines: usize,
}

impl Pipeline {
    /// The complete settings.
    fn load(self) -> Result<Config, Failure> {
        let file = self.settings.as_deref();
        let config = self.config.load(file).and_then(|config| {
            data_pipeline::compile(&config).map_err(|err| data_pipeline::located(file, &err))?;
            Ok(config)
        });
        config.map_err(Failure::Settings)
    }
}

async fn run(pipeline: Pipeline, demo: &Demo<Seed>) -> Result<(), Failure> {
    let config = pipeline.load()?;
    let ended = data_pipeline::run(&config, demo, &interrupted()).await?;
    data_pipeline::report(&ended);
    if ended.cut_short {
        process::exit(3);
    }
    Ok(())
}

fn check(Check { mut pipeline, sample, lines }: Check) -> Result<(), Failure> {
    if let Some(sample) = &sample {
        pipeline.config.file = vec![sample.display().to_string()]; // there has to be a source
    }
    let config = pipeline.load()?;
    let report = if let Some(sample) = sample {
        data_pipeline::sample(&config, &sample, lines)?
    } else {
        data_pipeline::check(&config)?;
        config.explain()
    };
    say!("{}", without_users(&report));
    Ok(())
}
