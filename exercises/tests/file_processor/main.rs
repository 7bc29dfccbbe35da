//! The program, as users run it.
#![allow(clippy::unwrap_used, reason = "a helper of tests is a test")]
#![cfg(feature = "file-processor")]

mod edges;
mod habits;
mod pictures;
mod prints;
mod survives;
mod walks;
mod wc;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_file-processor");

fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|err| panic!("cannot run {command:?}: {err}"))
}

/// Runs in `dir` and expects this status.
fn run(dir: &Path, args: &[&str], status: i32) -> (String, String) {
    let output = output(program().args(args).current_dir(dir));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{args:?}: {stdout}{stderr}");
    (stdout, stderr)
}

fn json(dir: &Path, args: &[&str], status: i32) -> Value {
    let args = [&["--format", "json"], args].concat();
    serde_json::from_str(&run(dir, &args, status).0).unwrap()
}

fn plant(files: &[(&str, &str)]) -> TempDir {
    let dir = tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Whether another program can be run here; says so if not.
fn has(name: &str) -> bool {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: there is no {name} here");
    }
    found
}

fn paths(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect()
}

fn with_input(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap().stdout
    })
}
