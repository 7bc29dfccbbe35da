//! The program, compared with the chapter's transcript, and as a tool for numbers of your own.

use std::time::Duration;

use testkit::{Program, lanes, most_at_once, picture, run, run_with_input};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pipeline");
const TRANSCRIPT: &str = include_str!("expected.txt");

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    run.assert_stdout(TRANSCRIPT);
    assert!(run.took >= Duration::from_secs(1), "ten numbers, 100 ms each: {run:?}");
}

#[test]
fn prints_the_same_without_waiting_whatever_the_bound() {
    for bound in [["--buffer", "1"], ["--buffer", "1024"], ["--buffer", "18446744073709551615"]] {
        let run = run(PROGRAM, &[&["--pace", "0"], &bound[..]].concat()).expect_status(0);
        run.assert_stdout(TRANSCRIPT);
    }
}

#[test]
fn takes_numbers_from_the_command_line() {
    let run = run(PROGRAM, &["4", "-8", "5"]).expect_status(0);
    assert_eq!(run.stdout, "Pipeline results:\nResult: 26\nResult: 74\n");
}

#[test]
fn takes_a_range() {
    let run = run(PROGRAM, &["--range", "-2..=100000", "--summary"]).expect_status(0);
    assert_eq!(run.stdout.lines().count(), 1 + 50_002);
    assert_eq!(run.stdout.lines().last(), Some("Result: 10000000010"));
    assert!(run.stderr.starts_with("100003 items, "), "{run:?}");
}

#[test]
fn reports_a_line_that_is_not_a_number_and_loses_nothing_else() {
    let run = run_with_input(PROGRAM, &["-"], "2\nthree\r\n4\r\n\n3037000500\n6").expect_status(1);
    assert_eq!(run.stdout, "Pipeline results:\nResult: 14\nResult: 26\nResult: 46\n");
    let errors = [
        "error: line 2: `three` is not a 64-bit integer",
        "error: line 4: `` is not a 64-bit integer",
        "error: 3037000500 * 3037000500 does not fit into 64 bits",
        "error: 3 of 6 items gave no result",
    ];
    assert_eq!(run.stderr.lines().collect::<Vec<_>>(), errors);
}

#[test]
fn the_stages_overlap_and_each_works_on_one_item_at_a_time() {
    let bars = picture(PROGRAM, &["--pace", "0"], 0);
    assert_eq!(most_at_once(&bars), 2, "{bars:#?}");
    let stages = lanes(&bars);
    assert_eq!(stages.len(), 2, "{bars:#?}");
    for (_, items) in stages {
        assert!(items.windows(2).all(|pair| pair[0].end <= pair[1].start), "{items:#?}");
    }
}

#[test]
fn survives_all_faults() {
    Program {
        args: &["--range", "1..=2", "--range", "1..=100000"],
        bad: &[
            &["--pace", "-1"],
            &["--seed", "x"],
            &["--no-such-flag"],
            &["--buffer", "0"],
            &["--chunk", "0"],
            &["--range", "1..5"],
            &["--range", "1..=x"],
            &["1.5"],
            &["9223372036854775808"],
            &["1", "-"],
            &["1", "--range", "1..=2"],
        ],
        ..Program::section(PROGRAM)
    }
    .check_section();
}
