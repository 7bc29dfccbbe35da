//! Every fault that the three exercises must survive, as one table: each fault, how often it was
//! tried, what was lost and what came twice. A row is either a drill with the programs themselves,
//! or the tests of the exercise about that fault, run again and again.
//!
//! `faults [--tries 3] [--seed 1] [--only "kill -9"] [--drills] [--programs target/debug]`

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use attacks::{Programs, Result, head, number, row, text};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[path = "../faults/client.rs"]
mod client;
#[path = "../faults/disk.rs"]
mod disk;
#[path = "../faults/pipeline.rs"]
mod pipeline;
#[path = "../faults/rows.rs"]
mod rows;
#[path = "../faults/tests.rs"]
mod tests;

use rows::{How, ROWS};

/// What a drill has to work with.
struct Lab {
    programs: Programs,
    random: StdRng,
    /// Whether disks may be mounted.
    may_mount: bool,
}

/// The result of a fault.
#[derive(Default)]
struct Count {
    tries: u64,
    lost: usize,
    duplicated: usize,
    /// Other broken promises.
    wrong: Vec<String>,
    /// Why it was not tried.
    skipped: Option<String>,
}

impl Count {
    fn skipped(why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::default() }
    }

    fn add(&mut self, (lost, duplicated): (usize, usize)) {
        self.tries += 1;
        self.lost += lost;
        self.duplicated += duplicated;
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn verdict(&self) -> &'static str {
        match self {
            Self { skipped: Some(_), .. } => "skipped",
            Self { tries: 0, .. } => "FAILED",
            Self { lost: 0, duplicated: 0, wrong, .. } if wrong.is_empty() => "survived",
            _ => "FAILED",
        }
    }
}

/// Set once the process has mounts of its own.
const PRIVATE: &str = "ATTACKS_PRIVATE_MOUNTS";

fn main() -> Result<ExitCode> {
    let is_private = std::env::var_os(PRIVATE).is_some();
    if !is_private && may_mount() {
        return Err(in_private(&std::env::current_exe()?).into());
    }
    let (tries, seed) = (number("--tries", 3)?, number("--seed", 1)?);
    let random = StdRng::seed_from_u64(seed);
    let mut lab = Lab { programs: Programs::find()?, random, may_mount: is_private };
    let mut tests = tests::Tests::default();
    let only = text("--only");
    head(&["program", "fault", "by", "tries", "lost", "duplicated", "verdict"]);
    let mut survived = true;
    let drills = std::env::args().any(|arg| arg == "--drills");
    let wanted = |row: &str| only.as_ref().is_none_or(|only| row.contains(only));
    for (program, fault, how) in ROWS.iter().filter(|(program, fault, how)| {
        wanted(&format!("{program}: {fault}")) && (!drills || matches!(how, How::Drill(_)))
    }) {
        let (by, count) = match how {
            How::Drill(drill) => ("drill", drill(&mut lab)?),
            How::Tests(target, names) => ("tests", tests.run(target, names, tries)?),
        };
        let verdict = count.verdict();
        row(&[program, fault, &by, &count.tries, &count.lost, &count.duplicated, &verdict]);
        survived &= verdict != "FAILED";
        count
            .wrong
            .iter()
            .take(3)
            .chain(&count.skipped)
            .for_each(|why| eprintln!("{fault}: {why}"));
    }
    Ok(if survived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Only root may, and not in every container.
fn may_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/tmp"]);
    command.output().is_ok_and(|output| output.status.success())
}

/// Restarts the program in a mount namespace of its own, whose mounts end with it.
fn in_private(program: &std::path::Path) -> std::io::Error {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(program);
    command.args(std::env::args_os().skip(1)).env(PRIVATE, "1").exec()
}
