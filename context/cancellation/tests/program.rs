//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, lanes, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cancellation");
const TRANSCRIPT: &str = include_str!("expected.txt");

fn assert_cancelled_in_order(run: &Run) {
    for worker in 1..=3 {
        run.assert_order(&[
            &format!("Worker {worker}: Working..."),
            "Cancelling workers...",
            &format!("Worker {worker}: Received cancellation signal"),
            "Main function ending",
        ]);
    }
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_cancelled_in_order(&run);
    assert!(run.took >= Duration::from_secs(2), "{run:?}");

    // After two seconds the fifth piece of work is due as well: each worker may just reach it.
    let mut transcript = TRANSCRIPT.to_owned();
    for worker in 1..=3 {
        let work = format!("Worker {worker}: Working...");
        if run.stdout.lines().filter(|line| *line == work).count() == 5 {
            transcript.push_str(&work);
            transcript.push('\n');
        }
    }
    run.assert_transcript_alone(&transcript);
}

#[test]
fn works_exactly_four_times_without_waiting() {
    let run = run(PROGRAM, &["--pace", "0"]).expect_status(0);
    assert_cancelled_in_order(&run);
    run.assert_transcript_alone(TRANSCRIPT);
}

#[test]
fn the_cancel_cuts_the_step_of_every_worker_in_the_same_moment() {
    let bars = picture(PROGRAM, &["--pace", "0"], 0);
    let mut lanes = lanes(&bars);
    let cancel = lanes.remove("main").expect("main has a lane")[0].end;
    assert_eq!((lanes.len(), cancel), (3, Duration::from_secs(2)), "{bars:#?}");
    for (_, steps) in lanes {
        let endings: Vec<_> = steps.iter().map(|step| step.ending.as_str()).collect();
        assert_eq!(endings, ["done", "done", "done", "cancelled"], "{bars:#?}");
        assert_eq!(steps[3].end, cancel, "{bars:#?}");
    }
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
