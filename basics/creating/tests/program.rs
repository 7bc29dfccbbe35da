//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_creating");
const TRANSCRIPT: &str = include_str!("expected.txt");

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_transcript(&run);
    assert!(run.took >= Duration::from_millis(900), "Alice, Bob, and the other two: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    assert_transcript(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
}

fn assert_transcript(run: &Run) {
    run.assert_transcript(TRANSCRIPT);
    let synchronous: Vec<_> = TRANSCRIPT.lines().take(9).collect();
    run.assert_order(&synchronous);
    for name in ["Charlie", "Diana"] {
        let hellos = [1, 2, 3].map(|count| format!("Hello, {name}! ({count})"));
        let [first, second, third] = hellos.each_ref().map(String::as_str);
        run.assert_order(&[
            "=== Asynchronous execution ===",
            first,
            second,
            third,
            "Main function ending",
            "=== The same in threads ===",
            first,
            second,
            third,
        ]);
    }
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
