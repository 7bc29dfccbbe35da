//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, lanes, most_at_once, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fan-out-fan-in");
const TRANSCRIPT: &str = include_str!("expected.txt");

fn assert_transcript(run: &Run) {
    run.assert_transcript_alone(TRANSCRIPT);
    for number in 1..=10_u64 {
        let square = number * number;
        run.assert_order(&[
            "Final results:",
            &format!("Worker processed {number} -> {square}"),
            &format!("Final result: {square}"),
        ]);
    }
}

fn results(run: &Run) -> Vec<&str> {
    run.stdout.lines().filter_map(|line| line.strip_prefix("Final result: ")).collect()
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    assert_transcript(&run);
    assert!(run.took >= Duration::from_millis(900), "ten numbers, one every 100 ms: {run:?}");
}

#[test]
fn prints_the_same_without_waiting() {
    assert_transcript(&run(PROGRAM, &["--pace", "0"]).expect_status(0));
}

#[test]
fn keeps_the_order_on_request() {
    let ordered = run(PROGRAM, &["--pace", "0", "--seed", "1", "--ordered"]).expect_status(0);
    assert_transcript(&ordered);
    assert_eq!(results(&ordered), ["1", "4", "9", "16", "25", "36", "49", "64", "81", "100"]);
    let free = run(PROGRAM, &["--pace", "0", "--seed", "1"]).expect_status(0);
    assert_ne!(results(&free), results(&ordered), "the seed makes no difference: {free:#?}");
}

#[test]
fn a_panic_costs_one_result_and_the_exit_status() {
    for order in [&[][..], &["--ordered"]] {
        let args = [&["--pace", "0", "--panic-at", "4"], order].concat();
        let run = run(PROGRAM, &args).expect_status(1);
        assert_eq!(results(&run).len(), 9, "{run:#?}");
    }
}

#[test]
fn the_lanes_of_a_fan_out_end_together() {
    for seed in ["1", "2", "3"] {
        let bars = picture(PROGRAM, &["--pace", "0", "--seed", seed], 0);
        assert_eq!((bars.len(), most_at_once(&bars)), (10, 3), "{bars:#?}");
        let end = bars.iter().map(|bar| bar.end).max().unwrap();
        let longest = bars.iter().map(|bar| bar.end.saturating_sub(bar.start)).max().unwrap();
        // No worker has items left when the others are done: all end within one piece of work.
        for (_, items) in lanes(&bars) {
            assert!(end <= items.last().unwrap().end + longest, "{bars:#?}");
        }
    }
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
