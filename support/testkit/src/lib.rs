//! For the integration tests of all crates: runs a program, compares its output with a transcript,
//! and puts it through the faults that every program must survive.
//!
//! Each crate's `tests/program.rs` has a [`Program`]: its own arguments, good and bad.

mod picture;

use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::panic::Location;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use picture::{Drawn, lanes, most_at_once, picture};

/// The longest time that a program may run. Then it is killed, and its test fails.
const HANG: Duration = Duration::from_mins(1);

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Run {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Everything it printed to stdout.
    pub stdout: String,
    /// Everything it printed to stderr.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

/// Runs a program to its end, with an empty stdin.
pub fn run(program: &str, args: &[&str]) -> Run {
    run_with_input(program, args, "")
}

/// Runs a program to its end and feeds it `input`.
pub fn run_with_input(program: &str, args: &[&str], input: &str) -> Run {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let started = Instant::now();
    let mut child = spawn(&mut command);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // A program may end without reading all of it: then the write fails.
    let feeder = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
    let run = finish(child, Some(&stdout), started);
    feeder.join().expect("writing to a pipe does not panic");
    run
}

impl Run {
    /// Fails the test, with all that was said, unless the exit status is `status`.
    #[must_use]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    /// The lines of stdout up to the first heading (`=== … ===`) that the transcript lacks: what a
    /// program shows beyond the chapter.
    fn chapter_lines(&self, transcript: &str) -> Vec<&str> {
        let beyond = |line: &&str| line.starts_with("=== ") && !transcript.contains(line);
        let mut lines: Vec<_> = self.stdout.lines().take_while(|line| !beyond(line)).collect();
        while lines.len() > transcript.lines().count() && lines.last() == Some(&"") {
            lines.pop(); // the blank line before that heading
        }
        lines
    }

    /// Fails unless stdout holds exactly the lines of `transcript`, in any order. A `*` in the
    /// transcript stands for any text. What follows under a heading of its own does not count.
    ///
    /// The transcript of a section is the `expected.txt` beside its test; a failure names it.
    #[track_caller]
    pub fn assert_transcript(&self, transcript: &str) {
        let mut left = self.chapter_lines(transcript);
        let mut missing = Vec::new();
        // The lines without a `*` first: a pattern must not take another line's place.
        let (patterns, plain): (Vec<_>, Vec<_>) =
            transcript.lines().partition(|line| line.contains('*'));
        for wanted in plain.into_iter().chain(patterns) {
            match left.iter().position(|line| matches(wanted, line)) {
                Some(at) => drop(left.swap_remove(at)),
                None => missing.push(wanted),
            }
        }
        self.assert_as_expected(&missing, &left);
    }

    /// As [`assert_transcript`](Run::assert_transcript), and nothing may follow.
    #[track_caller]
    pub fn assert_transcript_alone(&self, transcript: &str) {
        self.assert_transcript(transcript);
        let after = self.stdout.lines().skip(transcript.lines().count());
        self.assert_as_expected(&[], &after.collect::<Vec<_>>());
    }

    /// Fails unless stdout is the transcript, line for line.
    #[track_caller]
    pub fn assert_stdout(&self, transcript: &str) {
        let (mut printed, mut wanted) = (self.stdout.lines(), transcript.lines());
        loop {
            match (wanted.next(), printed.next()) {
                (None, None) => return,
                (wanted, printed) if wanted == printed => {}
                (wanted, printed) => self.assert_as_expected(wanted.as_slice(), printed.as_slice()),
            }
        }
    }

    /// Fails with one line that names the file with the expected output, if lines are missing from
    /// it or are too many. The whole run is printed before.
    #[track_caller]
    fn assert_as_expected(&self, missing: &[&str], too_many: &[&str]) {
        let list = |what: &str, lines: &[&str]| match lines {
            [] => String::new(),
            [line] => format!(", {what} `{line}`"),
            [line, rest @ ..] => format!(", {what} `{line}` and {} more lines", rest.len()),
        };
        let lines = list("it lacks", missing) + &list("it has", too_many);
        if !lines.is_empty() {
            eprintln!("{self:#?}");
            let file = Path::new(Location::caller().file()).with_file_name("expected.txt");
            panic!("stdout is not what {} holds{lines}", file.display());
        }
    }

    /// Fails unless `lines` (with `*` for any text) stand in stdout in this order; others may
    /// stand between them.
    pub fn assert_order(&self, lines: &[&str]) {
        let mut printed = self.stdout.lines();
        for wanted in lines {
            assert!(
                printed.any(|line| matches(wanted, line)),
                "`{wanted}` is missing after those before it: {lines:#?}\nin {self:#?}"
            );
        }
    }
}

/// Whether `line` is `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == line };
    let Some(line) = line.strip_prefix(head) else { return false };
    (0..=line.len()).any(|at| line.is_char_boundary(at) && matches(rest, &line[at..]))
}

/// A program, and the arguments that put it through the faults which every program must survive.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is: `env!("CARGO_BIN_EXE_…")`.
    pub path: &'static str,
    /// Arguments of a quick run that prints something and ends by itself with status 0.
    pub args: &'static [&'static str],
    /// Arguments that are each a usage error: status 2.
    pub bad: &'static [&'static [&'static str]],
    /// Arguments that plant a panic in a piece of work: status 1.
    pub panics: &'static [&'static [&'static str]],
}

impl Program {
    /// A program with the flags of `Demo` and at least two pieces of work.
    pub const fn section(path: &'static str) -> Self {
        Self {
            path,
            args: &["--pace", "9", "--pace", "0"], // the last one wins
            bad: &[
                &["--pace", "-1"],
                &["--pace", "inf"],
                &["--seed", "x"],
                &["--panic-at", "1.5"],
                &["--timeline", "run.png"],
                &["--trace", "run.svg"],
                &["--no-such-flag"],
            ],
            panics: &[&["--pace", "0", "--panic-at", "1"], &["--pace", "0", "--panic-at", "2"]],
        }
    }

    /// [`check_faults`](Program::check_faults), for the program of a section: its own options also
    /// stand first in `--help`, and those of all sections last.
    ///
    /// # Panics
    ///
    /// If something of this does not hold.
    pub fn check_section(&self) {
        self.check_faults();
        let help = run(self.path, &["--help"]).expect_status(0).stdout;
        let shared = ["--seed", "--pace", "--timeline", "--trace", "--help", "--version"];
        let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let options =
            options.filter_map(|line| line.split(' ').find(|word| word.starts_with("--")));
        let options: Vec<_> = options.collect();
        let first = options.iter().position(|option| shared.contains(option)).unwrap_or_default();
        let last = shared.into_iter().filter(|option| options.contains(option));
        assert_eq!(options[first..], last.collect::<Vec<_>>(), "{help}");
    }

    /// Puts the program through all faults: a closed stdout, a full disk, bad arguments, panics.
    ///
    /// # Panics
    ///
    /// If it does not survive one of them.
    pub fn check_faults(&self) {
        drop(run(self.path, self.args).expect_status(0));
        survives_a_closed_stdout(self.path, self.args);
        survives_a_full_disk(self.path, self.args);
        drop(run(self.path, &["--help"]).expect_status(0));
        for args in self.bad {
            let stderr = run(self.path, args).expect_status(2).stderr;
            assert!(stderr.starts_with("error: "), "{args:?} gives {stderr}");
        }
        for args in self.panics {
            let stderr = run(self.path, args).expect_status(1).stderr;
            assert!(stderr.contains("planted panic"), "{args:?} gives {stderr}");
        }
    }
}

/// `| head -1`: quietly, whether the reader is gone at once or after the first line.
fn survives_a_closed_stdout(path: &str, args: &[&str]) {
    for lines in [0, 1] {
        let (reader, writer) = pipe().expect("a pipe can be made");
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null()).stdout(writer);
        let started = Instant::now();
        let child = spawn(&mut command);
        drop(command); // which closes this process's writing end of the pipe
        for line in BufReader::new(reader).lines().take(lines) {
            line.expect("a program prints UTF-8");
        }
        let run = finish(child, None, started);
        let quiet = !run.stderr.contains("panicked") && !run.stderr.contains("error");
        assert!(quiet && matches!(run.status, Some(0 | 141)), "after {lines} lines: {run:#?}");
    }
}

/// `> /dev/full`: one clear line, and a status that says so without being a panic's.
fn survives_a_full_disk(path: &str, args: &[&str]) {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full here");
        return;
    };
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null()).stdout(full);
    let started = Instant::now();
    let run = finish(spawn(&mut command), None, started);
    let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    let failed = !matches!(run.status, None | Some(0 | 101));
    assert!(failed && errors == 1 && !run.stderr.contains("panicked"), "{run:#?}");
}

fn spawn(command: &mut Command) -> Child {
    command
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|err| panic!("cannot start {command:?}: {err}"))
}

/// Waits until the program has closed its ends of the pipes and has ended.
fn finish(mut child: Child, stdout: Option<&Receiver<String>>, started: Instant) -> Run {
    let stderr = read_in_background(child.stderr.take().expect("stderr is piped"));
    let texts = (|| {
        let stderr = stderr.recv_timeout(HANG)?;
        let stdout = stdout.map_or(Ok(String::new()), |stdout| stdout.recv_timeout(HANG))?;
        Ok::<_, std::sync::mpsc::RecvTimeoutError>((stdout, stderr))
    })();
    let Ok((stdout, stderr)) = texts else {
        child.kill().expect("the program is still there");
        panic!("the program hangs");
    };
    let status = child.wait().expect("the program was started here").code();
    Run { status, stdout, stderr, took: started.elapsed() }
}

fn read_in_background(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("a pipe can be read");
        // The send fails if the program has been given up as hanging.
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("Worker * processing job 3", "Worker 12 processing job 3"));
        assert!(matches("*", ""));
        assert!(matches("a*c*", "abcéd"));
        assert!(!matches("Worker * processing job 3", "Worker 1 processing job 30"));
        assert!(!matches("a*c", "ab"));
    }
}
