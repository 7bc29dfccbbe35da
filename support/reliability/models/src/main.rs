//! Checks what must hold in every schedule. Each model runs in a process of its own, because a
//! failure may abort it. A model with a known bug must fail.
//!
//! `models [--short] [NAME...]` runs those whose names contain one of the words, or all.

use std::env;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Instant;

use model::Effort;

#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod shuttle;

#[cfg(loom)]
use loom as checker;
#[cfg(not(loom))]
use shuttle as checker;

/// The flag of the process that runs one model.
const ONE: &str = "--one";

/// A named check.
#[derive(Clone, Copy)]
pub struct Model {
    /// The section and what holds, as `pipeline: items arrive in order`.
    pub name: &'static str,
    /// Whether it has a bug in it, which must be found.
    pub bad: bool,
    /// What runs in every schedule.
    pub run: fn(),
}

fn main() -> ExitCode {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let short = args.iter().any(|arg| arg == "--short");
    args.retain(|arg| arg != "--short");
    let effort = if short { Effort::Short } else { Effort::Full };
    if args.first().is_some_and(|arg| arg == ONE) {
        let model = find(&args[1]);
        say(format_args!("{}", model::check(effort, model.run)));
        return ExitCode::SUCCESS;
    }
    if all(effort, &args) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find(name: &str) -> Model {
    let mut models = checker::MODELS.iter();
    *models
        .find(|model| model.name == name)
        .expect("a process is started for a model that is there")
}

/// Runs the models whose names contain one of `words`, and says whether all is as it must be.
fn all(effort: Effort, words: &[String]) -> bool {
    let wanted = |model: &&Model| {
        words.is_empty() || words.iter().any(|word| model.name.contains(word.as_str()))
    };
    say(format_args!(
        "{:>9}  {:>7}  {:<7}  model ({})",
        "schedules",
        "seconds",
        "verdict",
        model::NAME
    ));
    let (mut total, mut good) = (0, true);
    let started = Instant::now();
    for model in checker::MODELS.iter().filter(wanted) {
        let (schedules, as_expected) = one(effort, model);
        total += schedules;
        good &= as_expected;
    }
    let seconds = started.elapsed().as_secs_f64();
    let verdict = if good { "good" } else { "BAD" };
    say(format_args!("{total:>9}  {seconds:>7.1}  {verdict:<7}  all"));
    good
}

/// Runs one model in a process of its own. Returns the number of schedules, and whether the result
/// is as it must be.
fn one(effort: Effort, model: &Model) -> (u64, bool) {
    let program = env::current_exe().expect("a program that runs is somewhere");
    let mut command = Command::new(program);
    command.args([ONE, model.name]).env("RUST_BACKTRACE", "0");
    if effort == Effort::Short {
        command.arg("--short");
    }
    let started = Instant::now();
    let output = command.output().expect("this program can be started once more");
    let seconds = started.elapsed().as_secs_f64();
    let schedules = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    let passed = output.status.success() && schedules > 0;
    let verdict = match (model.bad, passed) {
        (false, true) => "holds",
        (true, false) => "found",
        (true, true) => "MISSED",
        (false, false) => "FAILS",
    };
    say(format_args!("{schedules:>9}  {seconds:>7.1}  {verdict:<7}  {}", model.name));
    if passed == model.bad {
        let _ = io::stderr().write_all(&output.stderr);
    }
    (schedules, passed != model.bad)
}

fn say(line: std::fmt::Arguments<'_>) {
    // If stdout is closed, the exit status still says the result.
    let _ = writeln!(io::stdout(), "{line}");
}
