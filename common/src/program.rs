use std::env;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;

use crate::output::complain;

/// What a program's body returns: an error becomes one line on stderr and exit status 1.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Parses the command line, as `clap`'s `parse` does. If a flag is given twice, the last one wins.
/// `--help` and `--version` go through [`say!`](crate::say), so that they too survive a closed
/// stdout.
pub fn parse<A: Parser>() -> A {
    let mut command = A::command().args_override_self(true);
    let matches = command.try_get_matches_from_mut(env::args_os());
    let parsed = matches.and_then(|mut matches| A::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|err| {
        let err = err.format(&mut command);
        if err.use_stderr() {
            err.exit();
        }
        crate::say!("{}", err.render().to_string().trim_end());
        process::exit(0)
    })
}

/// Runs `body`: an error is printed with its causes, and it or a panic gives exit status 1.
pub fn run(body: impl FnOnce() -> Result) -> ExitCode {
    let outcome = catch_unwind(AssertUnwindSafe(body));
    if let Ok(Err(err)) = &outcome {
        let mut message = err.to_string();
        let mut source = err.source();
        while let Some(cause) = source {
            message += &format!(": {cause}");
            source = cause.source();
        }
        complain(format_args!("{message}"));
    }
    if matches!(outcome, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A duration on the command line, such as `5s`, `200ms` or `1m 30s`: for clap's `value_parser`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|err| format!("a duration is a number with a unit, such as 5s or 200ms: {err}"))
}
