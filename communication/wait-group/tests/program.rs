//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wait-group");
const TRANSCRIPT: &str = include_str!("expected.txt");
const TASKS: &str = "=== The same with tasks ===";

/// The chapter's lines come from threads, and once more from tasks.
fn assert_transcript(run: &Run) {
    run.assert_transcript(TRANSCRIPT);
    for worker in 1..=5 {
        let [starting, done] = ["starting", "done"].map(|what| format!("Worker {worker} {what}"));
        let once = [&starting, &done, "All workers completed"];
        run.assert_order(&[&once[..], &[TASKS], &once].concat());
    }
    let waiting = ["Waiting for workers to complete...", "All workers completed"];
    run.assert_order(&[&waiting[..], &[TASKS], &waiting].concat());
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_transcript(&run);
    assert!(run.took >= Duration::from_secs(1), "the fifth takes 500 ms, twice: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    assert_transcript(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
}

#[test]
fn a_panic_is_reported_when_all_the_others_are_done() {
    for (piece, done) in [("2", 4), ("7", 5 + 4)] {
        let run = run(PROGRAM, &["--pace", "0", "--panic-at", piece]).expect_status(1);
        let lines = run.stdout.lines().filter(|line| line.ends_with(" done")).count();
        assert_eq!(lines, done, "{run:#?}");
        let report = format!(" panicked: planted panic in piece {piece}\n");
        assert!(run.stderr.ends_with(&report), "{run:#?}");
    }
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
