//! What the page says about keeping the program running: the unit for systemd and the lines for
//! logrotate.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::kit::{Kit, PROGRAM, lines};

/// The block of the page that begins with this line.
fn block(first: &str) -> String {
    let page = include_str!("../../src/data_pipeline/README.md");
    let (_, rest) = page.split_once(&format!("\n```text\n{first}")).unwrap();
    first.to_owned() + rest.split_once("```").unwrap().0
}

/// The output of a tool; `None` if it is not installed.
fn tool(path: &str, args: &[&str]) -> Option<Output> {
    if !Path::new(path).exists() {
        eprintln!("skipped: there is no {path} here");
        return None;
    }
    Some(Command::new(path).args(args).output().unwrap())
}

#[test]
fn systemd_accepts_the_pages_unit() {
    let kit = Kit::new();
    let unit = block("[Unit]");
    assert!(unit.contains("ExecStart=/usr/bin/data-pipeline run /etc/data-pipeline.toml"));
    kit.write("data-pipeline.service", &unit.replace("/usr/bin/data-pipeline", PROGRAM));
    let path = kit.path("data-pipeline.service");
    let Some(said) = tool("/usr/bin/systemd-analyze", &["verify", path.to_str().unwrap()]) else {
        return;
    };
    let stderr = String::from_utf8_lossy(&said.stderr);
    // Errors of other units on this machine do not matter.
    let about_ours = stderr.lines().filter(|line| line.contains("data-pipeline"));
    assert_eq!(about_ours.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(said.status.success(), "{stderr}");
}

/// Without a signal: the output is reopened at the next checkpoint, and each line is in one file.
#[test]
fn the_lines_for_logrotate_rotate_an_output_and_lose_nothing() {
    let (kit, logrotate) = (Kit::new(), "/usr/sbin/logrotate");
    let directory = kit.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    let rules = block("/var/log/data-pipeline/*.ndjson {");
    let rules = rules.replace("/var/log/data-pipeline", directory).replace("daily", "size 1");
    kit.write("rules", &rules);
    kit.write("in.log", &lines(0..100));
    let args = ["--file", "in.log", "--follow", "--out", "out.ndjson", "--checkpoint", "ck"];
    let running = kit.start(&args);
    kit.wait_until("the first lines", || kit.read("out.ndjson") == lines(0..100));
    let (rules, state) = (kit.path("rules"), kit.path("state"));
    fs::set_permissions(&rules, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let args = ["-f", "-s", state.to_str().unwrap(), rules.to_str().unwrap()];
    let Some(said) = tool(logrotate, &args) else { return };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    kit.wait_until("the new file", || kit.path("out.ndjson").exists());
    kit.append("in.log", &lines(100..200));
    let both = || kit.read("out.ndjson.1") + &kit.read("out.ndjson");
    kit.wait_until("all lines", || both() == lines(0..200));
    assert_eq!(running.stop(), Some(0));
}
