//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, lanes, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_timeout");
const TRANSCRIPT: &str = include_str!("expected.txt");
const IN_TIME: &str = include_str!("expected-in-time.txt");

fn assert_stopped_in_order(run: &Run) {
    for task in 1..=3 {
        run.assert_order(&[
            &format!("Task {task}: Starting"),
            &format!("Task {task}: Step 1"),
            &format!("Task {task}: Step 7"),
            &format!("Task {task}: Cancelled due to context deadline exceeded"),
            &format!("Task {task} failed: context deadline exceeded"),
        ]);
        let reported = format!("Task {task}: stopped after 6 steps of 10");
        assert!(run.stderr.contains(&reported), "{run:?}");
    }
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    run.assert_transcript_alone(TRANSCRIPT);
    assert_stopped_in_order(&run);
    assert!(run.took >= Duration::from_secs(2), "{run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    let run = run(PROGRAM, &["--pace", "0"]).expect_status(0);
    run.assert_transcript_alone(TRANSCRIPT);
    assert_stopped_in_order(&run);
}

#[test]
fn with_enough_time_all_tasks_complete_without_waiting_for_the_deadline() {
    run(PROGRAM, &["--pace", "0", "--timeout", "4s"])
        .expect_status(0)
        .assert_transcript_alone(IN_TIME);
    // The clock is real here: were the deadline waited for, this would hang.
    run(PROGRAM, &["--pace", "0.01", "--timeout", "24h"])
        .expect_status(0)
        .assert_transcript_alone(IN_TIME);
}

#[test]
fn without_any_time_no_step_begins() {
    let run = run(PROGRAM, &["--timeout", "0s"]).expect_status(0);
    assert!(!run.stdout.contains("Step"), "{run:?}");
    run.assert_order(&["Task 3: Starting", "Task 3: Cancelled due to context deadline exceeded"]);
}

#[test]
fn nothing_runs_after_the_deadline() {
    for (timeout, deadline) in [("2s", 2000), ("700ms", 700), ("100ms", 100)] {
        let deadline = Duration::from_millis(deadline);
        let bars = picture(PROGRAM, &["--pace", "0", "--timeout", timeout], 0);
        assert!(bars.iter().all(|bar| bar.end <= deadline), "{bars:#?}");
        for (_, steps) in lanes(&bars) {
            let cut = steps.iter().filter(|step| step.ending == "cancelled").count();
            assert_eq!((cut, steps.last().unwrap().end), (1, deadline), "{bars:#?}");
        }
    }
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
