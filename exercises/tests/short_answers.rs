//! The short answers to the exercises: each does what the chapter asks for.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs an example, which `cargo test` has built next to this test.
fn answer(name: &str, args: &[&Path]) -> Output {
    let this = env::current_exe().expect("a test knows its own path");
    let target = this.ancestors().nth(2).expect("it lies in deps");
    let program = target.join("examples").join(name);
    let run = Command::new(program).args(args).output();
    run.expect("it is built: by a whole `cargo test`, or by `cargo build --examples`")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is UTF-8")
}

#[test]
fn files_are_counted_and_errors_are_printed() {
    let folder = tempfile::tempdir().expect("there is room");
    let long = "word ".repeat(100_000) + "\n"; // several chunks
    for (name, content) in [("a", "one two\nthree\n"), ("b/c", "no line feed"), ("b/long", &long)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        fs::write(path, content).expect("there is room");
    }
    fs::write(folder.path().join("empty"), "").expect("there is room");

    let run = answer("file-processing", &[folder.path()]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let counted: Vec<Vec<_>> =
        text(&run.stdout).lines().map(|l| l.split_whitespace().collect()).collect();
    let at = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(counted[0], ["2", "3", &at("a")]);
    assert_eq!(counted[1], ["0", "3", &at("b/c")]);
    assert_eq!(counted[2], ["1", "100000", &at("b/long")]);
    assert_eq!(counted[3], ["0", "0", &at("empty")]);
    assert_eq!(counted[4], ["3", "100006", "total", "of", "4", "files"]);

    let missing = folder.path().join("missing");
    let run = answer("file-processing", &[&missing]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).starts_with(&missing.display().to_string()), "{}", text(&run.stderr));
}

#[test]
fn a_server_with_a_limit_answers_every_request_in_the_end() {
    let run = answer("rate-limited-client", &[]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let fetched: Vec<_> = text(&run.stdout).lines().collect();
    assert_eq!(fetched.iter().filter(|line| line.ends_with(": 5 bytes")).count(), 30);
    assert_eq!(*fetched.last().expect("it ends with a summary"), "30 fetched, 0 failed");
}

#[test]
fn every_line_is_rejected_filtered_or_delivered() {
    let run = answer("data-pipeline", &[]); // which asserts the sum itself
    assert!(run.status.success(), "{}", text(&run.stderr));
    let last = text(&run.stdout).lines().last().expect("it reports");
    // Every 50th line is broken, and of n * 7 % 300 for n in 0..2000 and 0..1000 two thirds pass.
    let kept = |lines: u64| (0..lines).filter(|n| n % 50 != 0 && n * 7 % 300 >= 100).count();
    let delivered = kept(2_000) + kept(1_000);
    let filtered = 3_000 - 60 - delivered;
    let expected = format!("read 3000: 60 rejected, {filtered} filtered, {delivered} delivered");
    assert!(last.starts_with(&expected), "{last} instead of {expected}");
}
