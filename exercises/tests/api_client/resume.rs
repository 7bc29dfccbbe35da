//! Interrupted, killed, torn: no request is lost, and none that was fetched is fetched again.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Run, run};

use crate::program::{PROGRAM, outcomes};
use crate::server::Server;

const REQUESTS: usize = 60;

struct Job {
    server: Server,
    directory: TempDir,
}

impl Job {
    fn new() -> Self {
        let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
        let urls: Vec<_> = (0..REQUESTS).map(|n| server.url(&format!("/slow/{n}"))).collect();
        fs::write(directory.path().join("urls"), urls.join("\n")).expect("a file");
        Self { server, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn args(&self, resume: bool) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let mut args = vec!["-i".to_owned(), path("urls"), "--journal".into(), path("journal")];
        args.extend(["--format", "ndjson", "-c", "4"].map(str::to_owned));
        args.extend(resume.then(|| "--resume".to_owned()));
        args
    }

    /// Starts the run and waits until `lines` requests are done.
    fn start(&self, lines: usize) -> (Child, Vec<Value>, BufReader<std::process::ChildStdout>) {
        let mut command = Command::new(PROGRAM);
        command.args(self.args(false)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut seen = Vec::new();
        for _ in 0..lines {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            seen.push(serde_json::from_str(&line).expect("JSON"));
        }
        (child, seen, stdout)
    }

    fn resume(&self) -> Run {
        let args = self.args(true);
        run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Fails unless the resumed run has an outcome for each request, and fetched nothing again that
    /// was in the journal.
    fn check_resumed(&self, run: Run, journaled: &HashSet<String>) {
        let outcomes = outcomes(&run.expect_status(0).stdout);
        let urls: HashSet<_> = outcomes.iter().map(|o| o["url"].to_string()).collect();
        assert_eq!((outcomes.len(), urls.len()), (REQUESTS, REQUESTS));
        for n in 0..REQUESTS {
            let path = format!("/slow/{n}");
            if journaled.contains(&path) {
                assert_eq!(self.server.hits(&path), 1, "{path} is in the journal");
            }
        }
    }

    /// The paths of all complete lines of the journal.
    fn journaled(&self) -> HashSet<String> {
        let text = fs::read_to_string(self.path("journal")).expect("a journal");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let path = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let url = line["url"].as_str().expect("a URL").to_owned();
            url[url.find("/slow").expect("a path")..].to_owned()
        };
        whole.lines().map(path).collect()
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn the_first_ctrl_c_ends_what_is_in_flight_and_the_rest_is_resumed() {
    let job = Job::new();
    let (mut child, mut seen, stdout) = job.start(10);
    signal(&child, "-INT");
    let rest = stdout.lines().map(|line| line.expect("a line"));
    seen.extend(rest.map(|line| serde_json::from_str::<Value>(&line).expect("JSON")));
    assert_eq!(child.wait().expect("it was started").code(), Some(130));
    assert_eq!(seen.len(), REQUESTS, "one outcome for each");
    let canceled = seen.iter().filter(|o| o["error"]["kind"] == "canceled").count();
    let fetched = seen.iter().filter(|o| o["error"].is_null()).count();
    assert_eq!(canceled + fetched, REQUESTS, "what was in flight has ended by itself");
    let journaled = job.journaled();
    assert_eq!(journaled.len(), fetched);
    let hits: u32 = (0..REQUESTS).map(|n| job.server.hits(&format!("/slow/{n}"))).sum();
    assert_eq!(hits as usize, fetched, "nothing was sent in vain");
    job.check_resumed(job.resume(), &journaled);
}

#[test]
fn an_input_that_still_waits_is_left_at_the_deadline_and_at_ctrl_c() {
    let server = Server::start();
    for (deadline, status) in [("1s", 124), ("60s", 130)] {
        let mut child = Command::new(PROGRAM)
            .args(["-i", "-", "--format", "ndjson", "--deadline", deadline, &server.url("/ok")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let (_open, stdout) = (child.stdin.take(), child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.contains("\"error\":null"), "{line}");
        if status == 130 {
            signal(&child, "-INT");
        }
        assert_eq!(child.wait().expect("it was started").code(), Some(status));
    }
}

#[test]
fn a_killed_run_is_resumed() {
    let job = Job::new();
    let (mut child, seen, _stdout) = job.start(10);
    signal(&child, "-KILL");
    child.wait().expect("it was started");
    let journaled = job.journaled();
    assert!(journaled.len() >= seen.len(), "the journal comes before the outcome");
    job.check_resumed(job.resume(), &journaled);
}

#[test]
fn a_killed_run_leaves_at_most_one_file_that_its_journal_does_not_know() {
    let server = Server::start();
    let urls: String = (0..300).map(|n| server.url(&format!("/ok?{n}")) + "\n").collect();
    for round in 1..=8 {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("urls"), &urls).expect("a file");
        let mut command = Command::new(PROGRAM);
        command.args(["-i", "urls", "--rate", "5000/s", "--journal", "journal", "-o", "bodies"]);
        command.current_dir(&directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        assert_eq!(stdout.lines().take(20 * round).count(), 20 * round);
        child.kill().expect("it was started");
        child.wait().expect("it was started");
        let journal = fs::read_to_string(directory.path().join("journal")).expect("a journal");
        let lines = journal.matches('\n').count();
        let names = fs::read_dir(directory.path().join("bodies")).expect("it is there");
        let names = names.map(|body| body.expect("a name").file_name().display().to_string());
        let whole = names.filter(|name| !name.starts_with('.')).count();
        assert!(whole <= lines + 1, "{whole} files, {lines} lines");
    }
}

#[test]
fn a_torn_last_line_is_fetched_again_and_nothing_else() {
    let job = Job::new();
    let first = run(PROGRAM, &job.args(false).iter().map(String::as_str).collect::<Vec<_>>());
    drop(first.expect_status(0));
    let journal = job.path("journal");
    let text = fs::read(&journal).expect("a journal");
    fs::write(&journal, &text[..text.len() - 20]).expect("it is writable");
    let journaled = job.journaled();
    assert_eq!(journaled.len(), REQUESTS - 1);
    job.check_resumed(job.resume(), &journaled);
    let hits: u32 = (0..REQUESTS).map(|n| job.server.hits(&format!("/slow/{n}"))).sum();
    assert_eq!(hits as usize, REQUESTS + 1);
    assert_eq!(job.journaled().len(), REQUESTS, "the torn line is gone");
}

#[test]
fn the_same_request_twice_is_answered_twice() {
    let job = Job::new();
    let urls = format!("{0}\n{0}\n{0}\n", job.server.url("/slow/0"));
    fs::write(job.path("urls"), urls).expect("a file");
    let args = job.args(false);
    drop(run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>()).expect_status(0));
    let journal = job.path("journal");
    let text = fs::read_to_string(&journal).expect("a journal");
    let two: String = text.split_inclusive('\n').take(2).collect();
    fs::write(&journal, two).expect("it is writable");
    assert_eq!(outcomes(&job.resume().expect_status(0).stdout).len(), 3);
    assert_eq!(job.server.hits("/slow/0"), 4);
}

#[test]
fn a_journal_is_neither_mixed_up_nor_destroyed() {
    let job = Job::new();
    let refused = |content: &str, resume: bool, said: &str| {
        fs::write(job.path("journal"), content).expect("a file");
        let args = job.args(resume);
        let run = run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let stderr = run.expect_status(2).stderr;
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(fs::read_to_string(job.path("journal")).expect("a file"), content);
    };
    refused("a letter\n", false, "add --resume");
    refused("a letter\nto somebody\n", true, "line 1 of");
    assert!(!Path::new(&job.path("out")).exists());
}

/// Runs the program with these further arguments, and returns how many requests the server got.
fn asked(job: &Job, more: &[&str], input: &str, status: i32) -> u32 {
    let journal = job.path("journal").display().to_string();
    let args = ["-i", "-", "--journal", &journal, "--resume", "--format", "ndjson"];
    let before = job.server.hits("/ok");
    let run = testkit::run_with_input(PROGRAM, &[&args[..], more].concat(), input);
    drop(run.expect_status(status));
    job.server.hits("/ok") - before
}

#[test]
fn a_url_is_done_only_if_what_the_run_promises_is_there() {
    let job = Job::new();
    let url = job.server.url("/ok");
    let [out, other] = ["out", "other"].map(|name| job.path(name).display().to_string());
    assert_eq!(asked(&job, &[], &url, 0), 1, "nothing is stored");
    assert_eq!(asked(&job, &[], &url, 0), 0);
    assert_eq!(asked(&job, &["-o", &out], &url, 0), 1, "now it is");
    assert_eq!(asked(&job, &["-o", &out], &url, 0), 0);
    assert_eq!(asked(&job, &[], &url, 0), 0);
    let file = fs::read_dir(&out).expect("it is there").next().expect("a body").expect("a body");
    fs::write(file.path(), "longer than it was").expect("it is writable");
    assert_eq!(asked(&job, &["-o", &out], &url, 0), 1, "its length is another one");
    fs::remove_dir_all(&out).expect("it is there");
    assert_eq!(asked(&job, &["-o", &out], &url, 0), 1, "it is gone");
    assert_eq!(asked(&job, &["-o", &other], &url, 0), 1, "another directory");
}

#[test]
fn a_request_is_known_by_its_line_and_not_by_the_runs_flags() {
    let job = Job::new();
    let url = job.server.url("/ok");
    let own = format!("{{\"url\":\"{url}\",\"headers\":{{\"Accept\":\"a/b\"}}}}");
    assert_eq!(asked(&job, &["-H", "Authorization: Bearer 1"], &url, 0), 1);
    assert_eq!(asked(&job, &["-H", "Authorization: Bearer 2"], &url, 0), 0, "a renewed token");
    assert_eq!(asked(&job, &["-H", "Authorization: Bearer 2"], &own, 0), 1, "another request");
    assert_eq!(asked(&job, &[], &own, 0), 0);
}

#[test]
fn every_accepted_input_can_be_journaled() {
    let job = Job::new();
    let id = "x".repeat(2_000_000);
    let line = format!("{{\"url\":\"{}\",\"id\":\"{id}\"}}", job.server.url("/ok"));
    assert_eq!(asked(&job, &[], &line, 0), 1);
    assert_eq!(asked(&job, &[], &line, 0), 0);
}

#[test]
fn a_journal_of_version_1_is_read() {
    let job = Job::new();
    let (url, token) = (job.server.url("/ok"), "Authorization: Bearer 1");
    let mut request = exercises::api_client::Request::get(&url);
    request.headers.insert("authorization", "Bearer 1".parse().expect("a value"));
    let line = format!(
        "{{\"key\":\"{:032x}\",\"id\":1,\"url\":\"{url}\",\"status\":200,\"attempts\":1,\
         \"rejected\":0,\"waited_ms\":0,\"took_ms\":1,\"bytes\":2,\"file\":null,\"error\":null}}\n",
        request.key()
    );
    fs::write(job.path("journal"), line).expect("a file");
    assert_eq!(asked(&job, &["-H", token], &url, 0), 0);
}
