//! The four best practices, as programs.

use std::path::Path;

use testkit::{Run, run};

/// Runs an example, which `cargo test` has built beside the program.
fn example(name: &str, args: &[&str]) -> Run {
    let target = Path::new(env!("CARGO_BIN_EXE_leaks")).parent().expect("a program is in a folder");
    let path = target.join("examples").join(name);
    run(path.to_str().expect("the target folder has a UTF-8 name"), args)
}

#[test]
fn lifecycle_waits_for_all() {
    for pace in ["0", "1"] {
        let run = example("lifecycle", &["--pace", pace]).expect_status(0);
        let lines = "Worker 1 done\nWorker 2 done\nWorker 3 done\nAll 3 workers have ended\n";
        assert_eq!(run.stdout, lines);
    }
}

#[test]
fn cancellation_wakes_one_and_leaves_the_other() {
    for pace in ["0", "1"] {
        let run = example("cancellation", &["--pace", pace]).expect_status(0);
        let lines = "Cancelled half-way: context canceled\nThe other one has done its work\n";
        assert_eq!(run.stdout, lines);
    }
}

#[test]
fn limit_is_kept_and_used() {
    for pace in ["0", "1"] {
        let run = example("limit", &["--pace", pace]).expect_status(0);
        assert_eq!(run.stdout, "30 tasks done, 10 at once at most\n");
    }
}

#[test]
fn communicating_gives_the_exact_total() {
    let run = example("share-by-communicating", &[]).expect_status(0);
    assert_eq!(run.stdout, "10 tasks added up to 1000\n");
}

#[test]
fn a_panic_in_a_task_fails_the_example() {
    for name in ["lifecycle", "cancellation", "limit", "share-by-communicating"] {
        let stderr = example(name, &["--pace", "0", "--panic-at", "2"]).expect_status(1).stderr;
        assert!(stderr.contains("planted panic"), "{name}: {stderr}");
    }
}
