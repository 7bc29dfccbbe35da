//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_values");
const TRANSCRIPT: &str = include_str!("expected.txt");

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    run.assert_stdout(TRANSCRIPT);
    assert!(run.took >= Duration::from_secs(1), "{run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    run(PROGRAM, &["--pace", "0"]).expect_status(0).assert_stdout(TRANSCRIPT);
}

#[test]
fn ends_with_the_request_and_not_with_its_deadline() {
    // The clock is real here: were the deadline waited for, this would hang.
    let run = run(PROGRAM, &["--pace", "0.01", "--timeout", "24h"]).expect_status(0);
    run.assert_stdout(TRANSCRIPT);
}

#[test]
fn a_short_timeout_cancels_the_request() {
    for pace in ["0", "1"] {
        let run = run(PROGRAM, &["--pace", pace, "--timeout", "500ms"]).expect_status(0);
        run.assert_transcript(
            "Processing request req456 for user user123\n\
             Request req456 cancelled: context deadline exceeded\n",
        );
    }
}

#[test]
fn survives_all_faults() {
    // One request is one piece of work: there is no second one to panic in.
    let panics: &[&[&str]] = &[&["--pace", "0", "--panic-at", "1"]];
    Program { panics, ..Program::section(PROGRAM) }.check_section();
}
