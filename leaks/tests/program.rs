//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_leaks");
const TRANSCRIPT: &str = include_str!("expected.txt");

fn assert_tells_the_story(run: &Run) {
    run.assert_transcript(TRANSCRIPT);
    run.assert_order(&[
        "Start: 1 tasks",
        "After bad example: 2 tasks",
        "Received: 42",
        "After good example: 2 tasks",
        "Received: 42",
        "After best example: 2 tasks",
        "After clean-up: 1 tasks",
        "Leaked: bad example's sender, spawned at *chapter.rs:*",
        "The send fails: channel closed",
        "After it: 1 tasks",
    ]);
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_tells_the_story(&run);
    assert!(run.took >= Duration::from_millis(400), "four pauses before a count: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    assert_tells_the_story(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
}

#[test]
fn no_time_at_all_shows_both_timeouts() {
    for pace in ["0", "1"] {
        let run = run(PROGRAM, &["--timeout", "0s", "--pace", pace]).expect_status(0);
        run.assert_order(&[
            "Timeout",
            "After good example: 2 tasks",
            "Task cancelled",
            "Context cancelled: context deadline exceeded",
            "After best example: 2 tasks",
            "After clean-up: 1 tasks",
        ]);
    }
}

#[test]
fn a_timeout_needs_a_unit() {
    let stderr = run(PROGRAM, &["--timeout", "5"]).expect_status(2).stderr;
    assert!(stderr.contains("a duration is a number with a unit, such as 5s"), "{stderr}");
}

#[test]
fn the_picture_shows_the_leak_from_its_start_to_the_clean_up() {
    let bars = picture(PROGRAM, &["--pace", "0"], 0);
    let end = bars.iter().map(|bar| bar.end).max().unwrap();
    let leaked: Vec<_> = bars.iter().filter(|bar| bar.ending == "cancelled").collect();
    assert_eq!(leaked.len(), 1, "{bars:#?}");
    assert_eq!((leaked[0].start, leaked[0].end), (Duration::ZERO, end), "{bars:#?}");
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
