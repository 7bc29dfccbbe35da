//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, most_at_once, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_channels");
const TRANSCRIPT: &str = include_str!("expected.txt");

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    run.assert_transcript_alone(TRANSCRIPT);
    run.assert_order(&["Worker * processing job 1", "Result: 2"]);
    assert!(run.took >= Duration::from_millis(200), "five jobs on three workers: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    run(PROGRAM, &["--pace", "0"]).expect_status(0).assert_transcript_alone(TRANSCRIPT);
}

#[test]
fn three_workers_overlap_and_never_a_fourth() {
    let bars = picture(PROGRAM, &[], 0);
    assert_eq!((bars.len(), most_at_once(&bars)), (5, 3), "jobs, and workers at once");
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
