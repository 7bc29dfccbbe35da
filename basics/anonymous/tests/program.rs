//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_anonymous");
const TRANSCRIPT: &str = include_str!("expected.txt");

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_transcript(&run);
    assert!(run.took >= Duration::from_millis(600), "three pauses, twice: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    assert_transcript(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
}

fn assert_transcript(run: &Run) {
    run.assert_transcript(TRANSCRIPT);
    let numbers = [0, 1, 2].map(|number| format!("Anonymous goroutine: {number}"));
    let [zero, one, two] = numbers.each_ref().map(String::as_str);
    run.assert_order(&[zero, one, two, "=== The same in threads ===", zero, one, two]);
    run.assert_order(&["=== The same in threads ===", "Hello from goroutine"]);
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
