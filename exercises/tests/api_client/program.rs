//! The program: its flags, its output, its exit status.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Program, run, run_with_input};

use crate::server::Server;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_api-client");

/// The outcomes of a run with `--format ndjson`.
pub(crate) fn outcomes(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn survives_all_faults() {
    Program {
        path: PROGRAM,
        // Without any request, the table's heading is still printed.
        args: &["-c", "1", "-c", "2", "-i", "/dev/null"],
        bad: &[
            &[],
            &["--no-such-flag", "http://localhost/"],
            &["--rate", "fast", "http://localhost/"],
            &["--rate", "0/s", "http://localhost/"],
            &["-c", "0", "http://localhost/"],
            &["-H", "no colon", "http://localhost/"],
            &["-i", "/no/such/file"],
            &["--resume", "http://localhost/"],
            &["--max-time", "0", "http://localhost/"],
            &["-d", "@/no/such/file", "http://localhost/"],
        ],
        // The panic comes before anything is sent; port 9 is that of `discard`.
        panics: &[
            &["--panic-at", "1", "http://127.0.0.1:9/"],
            &["--panic-at", "2", "http://127.0.0.1:9/1", "http://127.0.0.1:9/2"],
        ],
    }
    .check_faults();
}

#[test]
fn an_outcome_has_the_fields_of_the_contract() {
    let server = Server::start();
    let run = run(PROGRAM, &["--format", "ndjson", &server.url("/x")]).expect_status(0);
    let line = &outcomes(&run.stdout)[0];
    let fields: Vec<_> = line.as_object().expect("an object").keys().cloned().collect();
    let contract = [
        "attempts",
        "bytes",
        "content_type",
        "error",
        "etag",
        "file",
        "final_url",
        "http_version",
        "id",
        "method",
        "rejected",
        "status",
        "took_ms",
        "url",
        "waited_ms",
    ];
    assert_eq!(fields, contract, "{line}");
    assert_eq!((&line["id"], &line["status"], &line["bytes"]), (&1.into(), &200.into(), &2.into()));
}

#[test]
fn a_bad_line_is_an_outcome_with_its_number_and_the_rest_goes_on() {
    let server = Server::start();
    let good = server.url("/x");
    let lines = [
        "# a comment",
        &good,
        "not a url",
        "{\"url\": 5}",
        "",
        &format!("{{\"url\":\"{good}\",\"id\":\"mine\",\"method\":\"PUT\",\"body\":\"b\"}}"),
        "{\"url\":\"http://x/\",\"methud\":\"GET\"}",
    ];
    let run = run_with_input(PROGRAM, &["-i", "-", "--format", "ndjson"], &lines.join("\r\n"));
    let outcomes = outcomes(&run.expect_status(1).stdout);
    assert_eq!(outcomes.len(), 5);
    let details: Vec<_> =
        outcomes.iter().filter_map(|outcome| outcome["error"]["detail"].as_str()).collect();
    for number in [3, 4, 7] {
        let line = format!("line {number}: ");
        assert!(details.iter().any(|detail| detail.starts_with(&line)), "{line} in {details:?}");
    }
    assert!(outcomes.iter().any(|outcome| outcome["id"] == "mine" && outcome["status"] == 200));
}

#[test]
fn the_summary_for_programs_goes_to_stderr() {
    let server = Server::start();
    let (fine, missing) = (server.url("/x"), server.url("/missing"));
    let args = ["--summary", "json", "--format", "ndjson", &fine, &missing];
    let run = run(PROGRAM, &args).expect_status(1);
    let summary: Value = serde_json::from_str(&run.stderr).expect("JSON");
    assert_eq!((&summary["fetched"], &summary["failed"]), (&1.into(), &1.into()));
    assert_eq!(summary["errors"]["status"], 1);
    assert_eq!(summary["hosts"][0]["accepted"], 2);
}

#[test]
fn headers_method_and_body_go_with_every_request() {
    let server = Server::start();
    let url = server.url("/authorized");
    drop(run(PROGRAM, &[&url]).expect_status(1));
    drop(run(PROGRAM, &["-H", "Authorization: Bearer x", "-d", "body", &url]).expect_status(0));
}

#[test]
fn the_deadline_exits_with_124_and_every_request_has_an_outcome() {
    let server = Server::start();
    let urls: Vec<_> = (0..20).map(|n| server.url(&format!("/silent/{n}"))).collect();
    let input = urls.join("\n");
    let args = ["-i", "-", "-c", "3", "--deadline", "1s", "--format", "ndjson"];
    let run = run_with_input(PROGRAM, &args, &input).expect_status(124);
    let outcomes = outcomes(&run.stdout);
    assert_eq!(outcomes.len(), 20);
    assert!(outcomes.iter().all(|outcome| outcome["error"]["kind"] == "timeout"));
    assert!(run.took >= Duration::from_secs(1));
}

#[test]
fn few_open_files_slow_the_run_down_and_lose_nothing() {
    let server = Server::start();
    let urls: Vec<_> = (0..200).map(|n| server.url(&format!("/slow/{n}"))).collect();
    fetch_with_few_files(&urls);
}

#[test]
fn connections_that_are_not_in_use_take_no_files_from_other_hosts() {
    let servers: Vec<_> = (0..40).map(|_| Server::start()).collect();
    let urls: Vec<_> = servers.iter().map(|server| server.url("/ok")).collect();
    fetch_with_few_files(&urls);
}

/// All are fetched and stored with 24 files open at most.
fn fetch_with_few_files(urls: &[String]) {
    let directory = tempfile::tempdir().expect("a directory");
    let list = directory.path().join("urls");
    std::fs::write(&list, urls.join("\n")).expect("a file");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 24; exec \"$0\" \"$@\"", PROGRAM, "--format", "ndjson"]);
    command.arg("-i").arg(&list).arg("-o").arg(directory.path().join("out"));
    let output = command.output().expect("a shell");
    let outcomes = outcomes(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(outcomes.len(), urls.len());
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome["error"].is_null()).collect();
    assert!(failed.is_empty() && output.status.success(), "{failed:#?}");
}

#[test]
fn a_run_that_lacks_open_files_for_any_request_says_so_once() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let mut told = 0;
    // With the first ones not even the program can start, with the last ones it does its work.
    for limit in 6..16 {
        let limited = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, PROGRAM, "--retries", "4", "--summary", "none"]);
        command.args(["-o", "out", "--journal", &format!("journal-{limit}")]);
        command.args([server.url("/ok/1"), server.url("/ok/2")]).current_dir(&directory);
        let output = command.output().expect("a shell");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || output.stdout.is_empty() {
            assert_eq!(output.status.success(), stderr.is_empty(), "{limit}: {stderr}");
            continue;
        }
        assert_eq!(stderr.lines().count(), 1, "{limit}: {stderr}");
        assert!(stderr.contains("ulimit -n"), "{limit}: {stderr}");
        told += 1;
    }
    assert!(told > 0, "no limit is between the two");
}

#[test]
fn a_directory_that_is_not_utf8_is_shown_lossily() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(PROGRAM)
        .args(["--format", "ndjson", &server.url("/ok"), "-o"])
        .arg(directory.path().join(OsStr::from_bytes(b"out\xff")))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let outcomes = outcomes(&String::from_utf8_lossy(&output.stdout));
    let file = outcomes[0]["file"].as_str().expect("a path");
    assert!(file.contains("out\u{fffd}"), "{file}");
}

#[test]
fn a_head_may_announce_a_body_longer_than_max_body() {
    let server = Server::start();
    let args = ["-X", "HEAD", "--max-body", "100", "--format", "table", &server.url("/big")];
    let run = run(PROGRAM, &args).expect_status(0);
    assert!(run.stdout.contains("\n200 "), "{}", run.stdout);
}

#[test]
fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let (full, urls) = (directory.path().join("full"), directory.path().join("urls"));
    std::fs::create_dir(&full).expect("a directory");
    // Twice as long as what is written together, and shorter.
    let bodies = (0..4).flat_map(|n| [format!("/big/{n}"), format!("/cut/100000/100000?{n}")]);
    let lines: Vec<_> = bodies.map(|path| server.url(&path)).collect();
    std::fs::write(&urls, lines.join("\n")).expect("a file");
    // A disk of one megabyte, which only this program and its shell see.
    let script = "mount -t tmpfs -o size=1M none \"$1\" || exit 77; \
                  exec \"$0\" --format ndjson -c 1 -o \"$1\" -i \"$2\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, PROGRAM]);
    let Ok(output) = command.arg(&full).arg(&urls).output() else {
        eprintln!("skipped: there is no `unshare` here");
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || stderr.contains("unshare failed") {
        eprintln!("skipped: no disk may be mounted here: {stderr}");
        return;
    }
    let outcomes = outcomes(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((outcomes.len(), output.status.code()), (8, Some(1)), "{stderr}");
    let failed: Vec<_> = outcomes.iter().filter_map(|o| o["error"]["detail"].as_str()).collect();
    assert!(!failed.is_empty() && failed.len() < 8, "{outcomes:#?}");
    let said = format!("{}: No space left", full.display());
    assert!(failed.iter().all(|detail| detail.contains(&said)), "{failed:?}");
}

#[test]
fn a_proxy_in_the_environment_is_used() {
    let server = Server::start();
    let output = Command::new(PROGRAM)
        .args(["--format", "ndjson", "http://no-such-host.invalid/x"])
        .env("http_proxy", server.url(""))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.hits("http://no-such-host.invalid/x"), 1);
}
