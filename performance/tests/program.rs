//! The program, compared with the chapter's transcript.

use std::time::Duration;

use testkit::{Program, Run, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_performance");
const TRANSCRIPT: &str = include_str!("expected.txt");
const HEADINGS: &str = "design      tasks  workers  seconds    peak       memory";

/// The number behind the last `label` in the line that begins with `start`.
fn peak(run: &Run, start: &str) -> usize {
    let line = run.stdout.lines().find(|line| line.starts_with(start)).expect("it was printed");
    let (_, peak) = line.rsplit_once("Peak tasks: ").expect("the peak stands at the end");
    peak.parse().expect("a peak is a number")
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &[]).expect_status(0);
    run.assert_transcript(TRANSCRIPT);
    run.assert_order(&[
        "Initial tasks: 1",
        "Unlimited tasks: *s, Peak tasks: *",
        "Limited pool (10 workers): *s, Peak tasks: 10",
        "Final tasks: 1",
        "=== Each design in a process of its own ===",
        HEADINGS,
        "threads      1000        - *",
        "pool         1000       10 *",
        "tasks        1000        - *",
        "semaphore    1000       10 *",
    ]);
    // The chapter's program counts after the wait, and prints a peak of 1.
    assert!(peak(&run, "Unlimited") > peak(&run, "Limited"), "{run:?}");
    assert!(run.took >= Duration::from_millis(10 + 1000), "{run:?}");
}

#[test]
fn the_load_can_be_chosen() {
    let args = ["--tasks", "40", "--workers", "4", "--work", "20ms"];
    let run = run(PROGRAM, &args).expect_status(0);
    run.assert_order(&[
        "Limited pool (4 workers): *s, Peak tasks: 4",
        "threads        40        - *",
        "pool           40        4 *",
        "tasks          40        - *",
        "semaphore      40        4 *",
    ]);
}

#[test]
fn json_has_all_designs_and_nothing_else() {
    let args = ["--json", "--pace", "0", "--tasks", "40", "--workers", "4"];
    let run = run(PROGRAM, &args).expect_status(0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!((lines[0], lines[5], lines.len()), ("[", "]", 6), "{run:?}");
    run.assert_order(&[
        r#"  {"design": "threads", "tasks": 40, "workers": null, "seconds": *, "peak": *, "memory": *},"#,
        r#"  {"design": "pool", "tasks": 40, "workers": 4, "seconds": *, "peak": *, "memory": *},"#,
        r#"  {"design": "tasks", "tasks": 40, "workers": null, "seconds": *, "peak": *, "memory": *},"#,
        r#"  {"design": "semaphore", "tasks": 40, "workers": 4, "seconds": *, "peak": *, "memory": *}"#,
    ]);
}

#[test]
fn survives_all_faults() {
    // It measures each design in a process of its own: with fewer tasks that is quick.
    Program {
        args: &["--pace", "0", "--tasks", "50"],
        bad: &[
            &["--tasks", "0"],
            &["--workers", "-1"],
            &["--work", "10"],
            &["--pace", "inf"],
            &["--no-such-flag"],
        ],
        ..Program::section(PROGRAM)
    }
    .check_section();
}
