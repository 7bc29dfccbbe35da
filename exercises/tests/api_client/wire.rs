//! What goes over the wire and onto the disk: addresses, heads, redirects, ranges, names.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Context;
use exercises::api_client::{Client, Config, ErrorKind, Outcome, Request, Web};
use futures_util::{StreamExt, stream};
use testkit::run;

use crate::program::{PROGRAM, outcomes};
use crate::server::{LARGE, ODD, Server, large};
use crate::{fetch, fetch_one, quick};

fn kind(outcome: &Outcome) -> Option<ErrorKind> {
    outcome.error.as_ref().map(|error| error.kind)
}

async fn fetch_requests(config: Config, web: Web, requests: Vec<Request>) -> Vec<Outcome> {
    let client = Client::with_transport(config, web).expect("a client");
    client.fetch_all(&Context::background(), stream::iter(requests)).collect().await
}

fn post(url: &str) -> Request {
    let mut request = Request::get(url);
    (request.method, request.body) = (http::Method::POST, "once".into());
    request
}

/// An address at which connections hang: its backlog is full.
fn dead(address: SocketAddr) -> (tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(address).expect("a loopback address");
    let listener = socket.listen(1).expect("a free port");
    let wait = Duration::from_millis(100);
    let filling = (0..8).map_while(|_| TcpStream::connect_timeout(&address, wait).ok()).collect();
    (listener, filling)
}

#[tokio::test]
async fn a_dead_first_address_leaves_time_for_the_second() {
    let server = Server::start();
    let port = server.address.port();
    let (_dead, _filling) = dead(([127, 0, 0, 2], port).into());
    let addresses: [SocketAddr; 2] = [([127, 0, 0, 2], port).into(), ([127, 0, 0, 1], port).into()];
    let mut config = quick();
    config.limits.connect = Duration::from_secs(4); // two for each
    let web = Web::with(config.limits.connect, 1, move |builder| {
        builder.resolve_to_addrs("two.test", &addresses)
    });
    let url = format!("http://two.test:{port}/ok");
    let outcomes = fetch_requests(config, web.expect("a client"), vec![Request::get(&url)]).await;
    assert_eq!((kind(&outcomes[0]), outcomes[0].attempts), (None, 1), "{outcomes:?}");
}

#[tokio::test]
async fn many_headers_folded_ones_and_a_raw_location_are_accepted() {
    let server = Server::start();
    for path in ["/many-headers", "/folded", "/raw-location"] {
        let outcome = fetch_one(quick(), &server.url(path)).await;
        assert_eq!((kind(&outcome), outcome.status), (None, Some(200)), "{path}: {outcome:?}");
    }
    assert_eq!(server.hits("/ziel/%C3%BC"), 1);
}

#[tokio::test]
async fn a_connection_that_the_host_closes_while_idle_costs_no_try() {
    let server = Server::start();
    let mut config = quick();
    config.policy.retries = 0;
    config.policy.concurrency = 1;
    let requests = (0..20).map(|n| Request::get(&server.url(&format!("/hang-up/{n}"))));
    let web = Web::new(config.limits.connect, 1).expect("a client");
    let outcomes = fetch_requests(config, web, requests.collect()).await;
    assert!(outcomes.iter().all(|outcome| kind(outcome).is_none()), "{outcomes:#?}");
}

#[tokio::test]
async fn a_post_on_a_connection_that_ends_is_never_doubled_and_never_silently_lost() {
    let server = Server::start();
    let mut config = quick();
    config.policy.concurrency = 1;
    let requests = (0..20).map(|n| post(&server.url(&format!("/hang-up/{n}"))));
    let web = Web::new(config.limits.connect, 1).expect("a client");
    for outcome in fetch_requests(config, web, requests.collect()).await {
        let path = &outcome.url[outcome.url.find("/hang-up").expect("its path")..];
        let hits = server.hits(path);
        match &outcome.error {
            None => assert_eq!(hits, 1, "{outcome:?}"),
            Some(error) => {
                assert!(error.detail.contains("may have been processed"), "{outcome:?}");
                assert!(hits <= 1, "{outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_misdirected_request_goes_once_more_on_a_new_connection() {
    let server = Server::start();
    let mut config = quick();
    config.policy.concurrency = 1;
    config.policy.retries = 0;
    let web = Web::new(config.limits.connect, 1).expect("a client");
    let requests = ["/ok", "/misdirected"].map(|path| Request::get(&server.url(path)));
    let outcomes = fetch_requests(config, web, requests.into()).await;
    let got: Vec<_> = outcomes.iter().map(|outcome| (outcome.status, outcome.attempts)).collect();
    assert_eq!(got, [(Some(200), 1), (Some(200), 2)]);
    assert_eq!(server.connections(), 2, "the first connection is still open, and not used");
}

#[tokio::test]
async fn a_post_that_a_303_turned_into_a_get_is_tried_again() {
    let server = Server::start();
    let request = post(&server.url("/see-other/post/x"));
    let web = Web::new(Duration::from_secs(5), 1).expect("a client");
    let outcomes = fetch_requests(quick(), web, vec![request]).await;
    assert_eq!((outcomes[0].status, outcomes[0].attempts), (Some(200), 3), "{outcomes:?}");
}

#[tokio::test]
async fn a_file_has_the_name_that_was_asked_for_and_a_second_one_a_number() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let photo = server.url("/signed/photo.jpg");
    let outcomes = fetch(config, &[photo.clone(), photo]).await;
    let stem = server.address.to_string().replace(':', "_");
    let mut names: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.file.as_ref().expect("a body").file_name().expect("a name"))
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = [format!("{stem}_signed_photo-2.jpg"), format!("{stem}_signed_photo.jpg")];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_continued_and_each_byte_comes_once() {
    let server = Server::start();
    for path in ["/breaks/large", "/snaps/large"] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = quick();
        config.policy.retries = 0;
        config.output = Some(directory.path().to_owned());
        let outcome = fetch_one(config, &server.url(path)).await;
        assert_eq!((kind(&outcome), outcome.bytes), (None, LARGE as u64), "{outcome:?}");
        let body = fs::read(outcome.file.expect("a body")).expect("it is there");
        assert!(body == large(0..LARGE), "the bytes are those of the server");
        let sent = server.sent_of(path);
        assert!(sent < LARGE + LARGE / 4, "{sent} bytes for {LARGE}");
        let left = fs::read_dir(directory.path()).expect("it is there").count();
        assert_eq!(left, 1, "no part is left");
    }
}

/// Bytes of a body that are written together.
const TOGETHER: usize = 128 * 1024;

#[tokio::test]
async fn a_body_of_any_length_is_stored_as_it_came() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let lengths = [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER, 1 << 20, 3_000_001];
    let urls = lengths.map(|length| server.url(&format!("/cut/{length}/{length}")));
    let mut outcomes = fetch(config, &urls).await;
    outcomes.sort_by_key(|outcome| outcome.bytes);
    for (outcome, length) in outcomes.iter().zip(lengths) {
        assert_eq!((kind(outcome), outcome.bytes), (None, length as u64), "{outcome:?}");
        let body = fs::read(outcome.file.as_ref().expect("a body")).expect("it is there");
        assert!(body == large(0..length), "{length}");
    }
    let left = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, lengths.len(), "no part is left");
}

#[tokio::test]
async fn a_short_body_that_breaks_off_leaves_nothing_behind() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    for (length, sent) in [(100, 0), (100, 50), (400_000, 100_000), (400_000, 300_000)] {
        let mut config = quick();
        config.output = Some(directory.path().to_owned());
        let outcome = fetch_one(config, &server.url(&format!("/cut/{length}/{sent}"))).await;
        assert_eq!((kind(&outcome), outcome.bytes), (Some(ErrorKind::Body), sent), "{outcome:?}");
        let left = fs::read_dir(directory.path()).expect("it is there").count();
        assert_eq!(left, 0, "{sent} of {length}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_and_starts_over_each_time_is_given_up() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let outcome = fetch_one(config, &server.url("/restarts/large")).await;
    assert_eq!(kind(&outcome), Some(ErrorKind::Body), "{outcome:?}");
    let hits = server.hits("/restarts/large");
    assert_eq!(hits, 4, "only the first has brought something new, and two are retries");
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_is_started_over() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let outcome = fetch_one(config, &server.url("/changes/large")).await;
    assert_eq!((kind(&outcome), outcome.bytes), (None, LARGE as u64), "{outcome:?}");
    let body = fs::read(outcome.file.expect("a body")).expect("it is there");
    assert!(body == large(0..LARGE), "the bytes are those of the second version");
}

/// How a server may answer a request for the rest of a body.
const ODD_RESTS: [&str; 8] =
    ["as asked", "less", "earlier", "unnamed", "several", "longer", "changed", "shorter"];

#[test]
fn whatever_answers_a_request_for_the_rest_each_byte_comes_once() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    for how in ODD_RESTS.into_iter().chain(["pieces"]) {
        for file in ["-", "file", "bodies/"] {
            let url = server.url(&format!("/odd/{how}/{file}"));
            let mut program = Command::new(PROGRAM);
            program
                .args(["--retries", "2", "--rate", "1000/s", "-o", file, &url])
                .current_dir(&directory);
            let output = program.output().expect("it runs");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{how} into {file}: {stderr}");
            let body = match file {
                "-" => output.stdout,
                "file" => fs::read(directory.path().join(file)).expect("it is there"),
                _ => only_file(&directory.path().join(file)),
            };
            assert!(body == large(0..ODD), "{how} into {file}: {} bytes", body.len());
        }
    }
}

/// The content of the only file in a directory, which is removed.
fn only_file(directory: &Path) -> Vec<u8> {
    let mut files = fs::read_dir(directory).expect("it is there").map(|file| file.expect("a file"));
    let (file, next) = (files.next().expect("a file"), files.next());
    assert!(next.is_none(), "no part is left: {next:?}");
    let body = fs::read(file.path()).expect("it is there");
    fs::remove_dir_all(directory).expect("it is there");
    body
}

#[test]
fn the_same_holds_for_the_part_that_a_killed_run_has_left() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    for how in ODD_RESTS {
        let (out, url) = (directory.path().join(how), server.url(&format!("/odd/{how}/stalls")));
        killed_within_the_body(&url, &out);
        let output =
            Command::new(PROGRAM).args(["--rate", "1000/s", &url, "-o"]).arg(&out).output();
        let output = output.expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{how}: {stderr}");
        let body = only_file(&out);
        assert!(body == large(0..ODD), "{how}: {} bytes", body.len());
    }
}

#[test]
fn a_range_that_the_user_asks_for_is_the_answer_and_is_not_continued() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let of_user = |url: &str, out: &Path| {
        let args = ["-H", "Range: bytes=100-", url, "-o"];
        let status = Command::new(PROGRAM).args(args).arg(out).status();
        assert!(status.expect("it runs").success());
    };
    let file = directory.path().join("file");
    of_user(&server.url("/odd/of the user"), &file);
    assert!(fs::read(&file).expect("it is there") == large(100..ODD), "it broke off once");
    let (out, url) = (directory.path().join("out"), server.url("/odd/of the user/stalls"));
    killed_within_the_body(&url, &out);
    of_user(&url, &out);
    // The part stays, for a run without a range. Its name begins with a point.
    let mut files: Vec<_> =
        fs::read_dir(&out).expect("it is there").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let whole = files.pop().expect("a file");
    assert!(fs::read(whole).expect("it is there") == large(100..ODD), "the part was not used");
}

/// Fetches a body into a directory, and kills that run once the body stalls.
fn killed_within_the_body(url: &str, out: &Path) {
    let mut child = Command::new(PROGRAM)
        .args([url, "-o"])
        .arg(out.join("")) // a directory, also if it is not there yet
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let long = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|file| file.len() > 1_200_000);
    while !fs::read_dir(out).is_ok_and(|files| files.flatten().any(|entry| long(&entry))) {
        std::thread::sleep(Duration::from_millis(10)); // another process: nothing to wait on
    }
    child.kill().expect("it runs");
    child.wait().expect("it was started");
}

#[test]
fn a_download_of_a_run_that_was_killed_goes_on_in_the_next_one() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let (out, url) = (directory.path().join("out"), server.url("/stalls/large"));
    fs::create_dir(&out).expect("a directory");
    fs::write(out.join(".0123456789abcdef.part"), "of nobody").expect("a file");
    killed_within_the_body(&url, &out);
    let out_arg = out.display().to_string();
    let args = ["--format", "ndjson", "-o", &out_arg, &url];
    let outcome = outcomes(&run(PROGRAM, &args).expect_status(0).stdout).remove(0);
    let file = outcome["file"].as_str().expect("a body");
    assert!(fs::read(file).expect("it is there") == large(0..LARGE));
    assert_eq!(fs::read_dir(&out).expect("it is there").count(), 1, "no part is left");
    assert!(server.ranges() > 0, "the second run has asked for the rest");
}

#[test]
fn a_run_ended_by_a_closed_stdout_is_incomplete() {
    let server = Server::start();
    let urls: Vec<_> = (0..40).map(|n| server.url(&format!("/slow/{n}"))).collect();
    let mut child = Command::new(PROGRAM)
        .args(["-c", "2", "--summary", "none"])
        .args(&urls)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line"); // and nobody reads on
    let output = child.wait_with_output().expect("it was started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("incomplete"), "{stderr}");
}

#[test]
fn a_run_that_is_cut_short_leaves_no_file_that_its_journal_does_not_know() {
    let server = Server::start();
    let urls: String = (0..200).map(|n| server.url(&format!("/ok?{n}")) + "\n").collect();
    for _ in 0..16 {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("urls"), &urls).expect("a file");
        let script =
            "\"$0\" -i urls --rate 1000/s --journal journal -o bodies 2>/dev/null | head -1";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, PROGRAM]).current_dir(&directory).stdout(Stdio::null());
        assert!(shell.status().expect("a shell").success());
        let journal = fs::read_to_string(directory.path().join("journal")).expect("a journal");
        let bodies = fs::read_dir(directory.path().join("bodies")).expect("it is there");
        let names = bodies.map(|body| body.expect("a name").file_name().display().to_string());
        // A hidden file was cut off in mid-body: the next run uses or removes it.
        let whole: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        assert_eq!(whole.len(), journal.lines().count(), "{whole:?} {journal}");
    }
}

#[test]
fn a_deadline_after_an_answer_keeps_that_answers_status() {
    let server = Server::start();
    let args = ["--deadline", "1s", "--format", "ndjson", &server.url("/storm")];
    let outcome = outcomes(&run(PROGRAM, &args).expect_status(124).stdout).remove(0);
    assert_eq!((&outcome["status"], &outcome["error"]["kind"]), (&429.into(), &"timeout".into()));
}

#[test]
fn a_body_that_the_end_of_the_run_cuts_off_is_not_fetched() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let journal = directory.path().join("journal").display().to_string();
    let args = ["--deadline", "1s", "--format", "ndjson", "--journal", &journal];
    let run = run(PROGRAM, &[&args[..], &[&server.url("/trickle")]].concat()).expect_status(124);
    let outcome = outcomes(&run.stdout).remove(0);
    assert_eq!((&outcome["status"], &outcome["error"]["kind"]), (&200.into(), &"timeout".into()));
    assert_eq!(fs::read_to_string(journal).expect("a journal"), "");
}

#[test]
fn a_single_download_ends_at_the_first_ctrl_c() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    let mut child = Command::new(PROGRAM)
        .args([&server.url("/trickle"), "-o", &file.display().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    while server.hits("/trickle") == 0 {
        std::thread::sleep(Duration::from_millis(10)); // another process: nothing to wait on
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    assert_eq!(child.wait().expect("it was started").code(), Some(130));
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
}

#[test]
fn a_content_length_that_is_not_the_bodys_is_refused() {
    let server = Server::start();
    let args = ["--format", "ndjson", "-H", "Content-Length: 5", "-d", "four", &server.url("/ok")];
    let outcome = outcomes(&run(PROGRAM, &args).expect_status(1).stdout).remove(0);
    assert_eq!(outcome["error"]["kind"], "invalid");
    assert_eq!((outcome["attempts"].as_u64(), server.hits("/ok")), (Some(0), 0));
}

#[test]
fn nothing_that_is_printed_moves_the_cursor() {
    let url = "http://127.0.0.1:1/\u{1b}[2Jx\u{202e}";
    let invalid = "nonsense\u{1b}[2J\u{7}";
    let run = run(PROGRAM, &["--patience", "1s", url, invalid]).expect_status(1);
    for text in [&run.stdout, &run.stderr] {
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
    }
}

#[test]
fn a_proxy_that_makes_no_sense_is_an_error() {
    let output = Command::new(PROGRAM)
        .args(["http://127.0.0.1:1/x"])
        .env("http_proxy", "no such:proxy")
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("http_proxy"), "{stderr}");
}
