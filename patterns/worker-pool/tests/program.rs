//! The program, compared with the chapter's transcript.

use std::time::Duration;

use clap::Parser;
use common::{Demo, Seed};
use rand::RngExt;
use testkit::{Program, lanes, most_at_once, picture, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_worker-pool");
const TRANSCRIPT: &str = include_str!("expected.txt");
const WORKERS: u32 = 3;
const JOBS: u64 = 10;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    demo: Demo<Seed>,
}

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let run = run(PROGRAM, &["--seed", "7"]).expect_status(0);
    run.assert_transcript_alone(TRANSCRIPT);
    for job in 1..=JOBS {
        let lines = [format!("Worker * processing job {job}"), format!("Result for job {job}: *")];
        run.assert_order(&[&lines[0], &lines[1], "All jobs completed"]);
    }
    let demo = Args::parse_from(["worker-pool", "--seed", "7"]).demo;
    let work: u64 = (1..=JOBS).map(|job| demo.rng(job).random_range(0..500)).sum();
    assert!(run.took >= Duration::from_millis(work) / WORKERS, "{work} ms of work: {run:?}");
}

#[test]
fn gives_all_ten_results_in_each_of_200_runs() {
    for _ in 0..200 {
        run(PROGRAM, &["--pace", "0"]).expect_status(0).assert_transcript_alone(TRANSCRIPT);
    }
}

#[test]
fn a_panic_costs_one_result_and_the_exit_status() {
    let run = run(PROGRAM, &["--pace", "0", "--panic-at", "4"]).expect_status(1);
    let results = run.stdout.lines().filter(|line| line.starts_with("Result for job ")).count();
    assert_eq!(results, 9, "{run:#?}");
    assert!(run.stderr.contains("panicked: planted panic in piece 4"), "{run:#?}");
}

#[test]
fn three_workers_overlap_and_never_a_fourth() {
    let bars = picture(PROGRAM, &["--seed", "7"], 0);
    assert_eq!((bars.len(), most_at_once(&bars)), (10, 3), "{bars:#?}");
    for (_, jobs) in lanes(&bars) {
        assert!(jobs.windows(2).all(|pair| pair[0].end <= pair[1].start), "{jobs:#?}");
    }
}

#[test]
fn a_panic_is_drawn_as_one() {
    let bars = picture(PROGRAM, &["--pace", "0", "--panic-at", "4"], 1);
    assert_eq!(bars.iter().filter(|bar| bar.ending == "panicked").count(), 1, "{bars:#?}");
}

#[test]
fn survives_all_faults() {
    Program::section(PROGRAM).check_section();
}
