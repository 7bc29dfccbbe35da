//! The analytic engines: `DuckDB`, `ClickHouse` (as `chDB`) and Polars, by their Python packages. A
//! time counts only if the windows equal ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Contender, PROGRAM, contender, words};

/// Two quantiles agree if their relative difference is less than this: ours are within 1 %, and
/// those of the others are exact.
const NEAR: f64 = 0.01;

/// Those that are installed for `PYTHON` (or `python3`), and ours for what they do.
pub(crate) fn contenders(
    folder: &Path,
    input: &str,
    lines: u64,
    matches: Option<usize>,
) -> Vec<Contender> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let only = ["--where", "status>=500", "--by", "service", "--p", "latency_ms", "--aggregates"];
    let ours = [&[PROGRAM, "run", "--file", input, "--workers", "2"], &only[..], &[&path("win")]];
    let ours = words(&ours.concat());
    let mut contenders = vec![windows_of(
        contender("windows only, 2 workers", lines, vec![ours], folder.join("win"), None),
        folder.join("win").as_path(),
    )];
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/data_pipeline/engines.py");
    for (name, package, job) in [
        ("DuckDB, windows only", "duckdb", "windows"),
        ("DuckDB, matching lines and windows", "duckdb", "whole"),
        ("ClickHouse (chDB), windows only", "chdb", "windows"),
        ("Polars, windows only", "polars", "windows"),
    ] {
        if !has(&python, package) {
            println!("{name}: {python} has no package {package}: not compared");
            continue;
        }
        let (windows, out) = (path("engine-win"), path("engine-out"));
        let script = script.to_str().unwrap();
        let command = words(&[&python, script, package, job, input, &windows, &out]);
        let is_whole = job == "whole";
        let out = folder.join(if is_whole { "engine-out" } else { "engine-win" });
        let matches = matches.filter(|_| is_whole);
        let contender = contender(name, lines, vec![command], out, matches);
        contenders.push(windows_of(contender, &folder.join("engine-win")));
    }
    contenders
}

fn windows_of(contender: Contender, windows: &Path) -> Contender {
    Contender { windows: Some(windows.to_owned()), ..contender }
}

fn has(python: &str, package: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {package}")]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// By start and key: how many events, p50 and p99.
type Windows = BTreeMap<(String, String), (u64, [f64; 2])>;

/// The windows that a contender has written, one object a line.
pub(crate) fn windows(path: &Path) -> Windows {
    let text = fs::read_to_string(path).unwrap();
    let window = |line: &str| {
        let window: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| window[name].as_str().unwrap().to_owned();
        let quantiles = ["p50", "p99"].map(|name| window[name].as_f64().unwrap());
        ((text("window_start"), text("key")), (window["count"].as_u64().unwrap(), quantiles))
    };
    text.lines().map(window).collect()
}

/// Asserts the same windows, the same counts, and quantiles that agree.
pub(crate) fn assert_same(name: &str, ours: &Windows, others: &Windows) {
    assert!(ours.keys().eq(others.keys()), "{name}: {} windows, {} here", others.len(), ours.len());
    for (window, (count, quantiles)) in ours {
        let (other_count, others) = &others[window];
        assert_eq!(count, other_count, "{name}: {window:?}");
        for (ours, other) in quantiles.iter().zip(others) {
            let is_near = (ours - other).abs() <= NEAR * other.abs();
            assert!(is_near, "{name}: {window:?} has {other}, {ours} here");
        }
    }
}
