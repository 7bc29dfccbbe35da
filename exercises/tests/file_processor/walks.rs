//! What it reads.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{PROGRAM, has, json, output, paths, plant, program, with_input};

#[test]
fn arguments_keep_their_order_and_walks_are_sorted() {
    let dir = plant(&[("z", ""), ("d/b", ""), ("d/a/x", ""), ("d/a.b", ""), ("y", "")]);
    let files = json(dir.path(), &["z", "d", "y", "z"], 0)["files"].clone();
    assert_eq!(paths(&files), ["z", "d/a/x", "d/a.b", "d/b", "y", "z"]);
    assert_eq!(paths(&json(dir.path(), &[], 0)["files"]), ["d/a/x", "d/a.b", "d/b", "y", "z"]);
}

#[test]
fn a_walk_leaves_out_what_ripgrep_leaves_out() {
    let dir = plant(&[
        (".git/config", ""),
        (".gitignore", "*.log\n"),
        (".hidden", ""),
        ("a.rs", ""),
        ("b.py", ""),
        ("c.log", ""),
    ]);
    let files = |args: &[&str]| json(dir.path(), args, 0)["files"].clone();
    assert_eq!(paths(&files(&[])), ["a.rs", "b.py"]);
    assert_eq!(paths(&files(&["--type", "rust"])), ["a.rs"]);
    assert_eq!(paths(&files(&["--glob", "!*.rs"])), ["b.py"]);
    assert_eq!(paths(&files(&["--no-ignore"])), ["a.rs", "b.py", "c.log"]);
    assert_eq!(paths(&files(&["--hidden", "-g", ".h*"])), [".hidden"]);
    assert_eq!(paths(&files(&["c.log"])), ["c.log"]); // a file that is named always counts
}

#[test]
fn a_list_of_paths_may_come_from_a_file_or_from_stdin() {
    let dir = plant(&[("a", "x\n"), ("d/b", "y\n"), ("list", "a\0d\0gone\0\0a")]);
    let from_file = json(dir.path(), &["--files0-from", "list"], 1);
    assert_eq!(paths(&from_file["files"]), ["a", "d/b", "a"]);
    assert_eq!(paths(&from_file["errors"]), ["gone", "list"]);

    let args = ["--format", "json", "--files0-from", "-"];
    let from_stdin = with_input(program().args(args).current_dir(&dir), b"a\0-\0d\0");
    let from_stdin: Value = serde_json::from_slice(&from_stdin).unwrap();
    assert_eq!(paths(&from_stdin["files"]), ["a", "d/b"]);
    assert_eq!(from_stdin["errors"][0]["reason"], "stdin is the list of paths");
    assert_eq!(paths(&json(dir.path(), &["--files0-from", "none"], 1)["errors"]), ["none"]);
}

#[test]
fn stdin_is_a_path_and_is_read_once() {
    let stdout = with_input(program().args(["--format", "csv", "-l", "-", "-"]), b"a\nb\n");
    assert_eq!(String::from_utf8(stdout).unwrap(), "path,lines\n-,2\n-,0\n");

    let dir = plant(&[("large", &"line\n".repeat(2_000_000))]);
    let stdin = File::open(dir.path().join("large")).unwrap(); // a file, shared by all workers
    let shared = output(program().args(["--format", "csv", "-lc", "-"]).stdin(stdin));
    let shared = String::from_utf8(shared.stdout).unwrap();
    assert_eq!(shared, "path,lines,bytes\n-,2000000,10000000\n");
}

#[test]
fn a_pipe_from_the_shell_is_a_path() {
    if !has("bash") {
        return;
    }
    let script = format!("{PROGRAM} --format csv -l <(printf 'a\\nb\\n') <(true)");
    let output = output(Command::new("bash").args(["-c", &script]).stdin(Stdio::null()));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let counts: Vec<_> = stdout.lines().filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(counts, ["lines", "2", "0"], "{stdout}");
    assert!(output.status.success());
}

#[test]
fn a_named_path_is_never_taken_for_a_flag_or_pattern() {
    let dir = plant(&[("-l", "x\n"), (" ", "y\n")]);
    let files = json(dir.path(), &["--", "-l", " "], 0)["files"].clone();
    assert_eq!(paths(&files), ["-l", " "]);
    let everywhere: PathBuf = dir.path().join("-l");
    assert_eq!(json(Path::new("/"), &[everywhere.to_str().unwrap()], 0)["total"]["lines"], 1);
}
