//! The program, compared with the chapter's transcript.

use std::time::Duration;

use clap::Parser;
use common::{Demo, Seed};
use errors::draw;
use testkit::{Program, Run, most_at_once, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_errors");
const TRANSCRIPT: &str = include_str!("expected.txt");
const WORKERS: u32 = 3;

/// How many tasks ended in this way, by the lines that were printed for them.
fn count(run: &Run, ending: &str) -> usize {
    run.stdout.lines().filter(|line| line.starts_with("Task ") && line.contains(ending)).count()
}

/// Fails unless stdout has a line for each task, and a summary that fits.
fn assert_transcript(run: &Run) {
    run.assert_transcript(TRANSCRIPT);
    let (successful, failed) = (
        count(run, " succeeded: Processed: task-"),
        count(run, " failed: random processing error"),
    );
    assert_eq!(successful + failed, 10, "{run:?}");
    let summary = format!("\n\nSummary: {successful} successful, {failed} failed\n");
    assert!(run.stdout.ends_with(&summary), "{run:?}");
    assert_eq!(
        run.stderr.matches(": drew 0.").count(),
        failed,
        "each failure has a cause: {run:?}"
    );
}

/// The work that a seed brings, from the random numbers that the program draws too.
fn work(seed: &str) -> Vec<(Duration, bool)> {
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        demo: Demo<Seed>,
    }
    let Args { demo } = Args::parse_from(["errors", "--seed", seed]);
    let draws = (1..=10).map(|task| draw(&mut demo.rng(task)));
    draws.map(|(time, outcome)| (time, outcome.is_ok())).collect()
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &["--seed", "1"]).expect_status(0);
    assert_transcript(&run);
    let work: Duration = work("1").into_iter().map(|(time, _)| time).sum();
    assert!(run.took >= work / WORKERS, "{work:?} of work on three workers: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    for _ in 0..10 {
        assert_transcript(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
    }
}

#[test]
fn the_seed_alone_decides_which_tasks_fail() {
    let once = run(PROGRAM, &["--pace", "0", "--seed", "7"]).expect_status(0);
    for (task, (_, succeeds)) in (1..).zip(work("7")) {
        let ending = if succeeds { "succeeded" } else { "failed" };
        once.assert_order(&[&format!("Task {task} {ending}: *")]);
    }
    let again = run(PROGRAM, &["--pace", "0", "--seed", "7"]);
    assert_eq!(once.stdout, again.stdout);
}

#[test]
fn the_first_error_cancels_the_rest_and_is_the_exits_cause() {
    for pace in ["0", "1"] {
        let args = ["--pace", pace, "--seed", "1", "--first-error"];
        let run = run(PROGRAM, &args).expect_status(1);
        let first = run.stdout.lines().find(|line| line.contains("failed")).expect("one fails");
        let error = format!("error: {}: drew 0.", first.replace("Task", "task"));
        assert!(run.stderr.contains(&error), "{run:?}");

        let (successful, failed) = (count(&run, "succeeded"), count(&run, "failed"));
        let cancelled = count(&run, " cancelled: context canceled");
        assert_eq!(successful + failed + cancelled, 10, "{run:?}");
        assert!(cancelled > 0, "{run:?}");
        let summary = format!("{successful} successful, {failed} failed, {cancelled} cancelled\n");
        assert!(run.stdout.ends_with(&summary), "{run:?}");
    }
}

#[test]
fn a_panic_counts_as_a_failure_with_its_message() {
    let args = ["--pace", "0", "--seed", "1", "--panic-at", "3"];
    let run = run(PROGRAM, &args).expect_status(1);
    assert_eq!(count(&run, " failed: panicked: planted panic in piece 3"), 1, "{run:?}");
    assert_eq!(count(&run, ""), 10, "nothing else is lost: {run:?}");
    assert!(run.stderr.contains("error: task 3 failed: panicked: planted panic"), "{run:?}");
}

#[test]
fn the_picture_shows_three_workers_and_how_long_each_failure_took() {
    let bars = picture(PROGRAM, &["--pace", "0", "--seed", "2"], 0);
    assert_eq!((bars.len(), most_at_once(&bars)), (10, 3), "tasks, and workers at once");
    let failed: Vec<_> = bars.iter().filter(|bar| bar.ending == "failed").collect();
    assert_eq!(failed.len(), 3, "{bars:?}");
    assert!(failed.iter().all(|bar| bar.start < bar.end), "{failed:?}");
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
