//! One URL as curl fetches it, and other features that curl's users expect.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use testkit::{Run, run, run_with_input};

use crate::program::{PROGRAM, outcomes};
use crate::server::Server;

fn fetch(args: &[&str]) -> Run {
    run(PROGRAM, args)
}

#[test]
fn the_body_of_one_url_goes_to_stdout_and_an_error_to_stderr() {
    let server = Server::start();
    let fine = fetch(&[&server.url("/ok")]).expect_status(0);
    assert_eq!((&fine.stdout[..], &fine.stderr[..]), ("ok", ""));
    let missing = fetch(&[&server.url("/missing")]).expect_status(1);
    assert_eq!(missing.stdout, "");
    assert!(missing.stderr.contains("404 Not Found") && missing.stderr.lines().count() == 1);
    let kept = fetch(&["--fail-with-body", &server.url("/missing")]).expect_status(1);
    assert_eq!(kept.stdout, "ok");
    let silent = fetch(&["-s", &server.url("/missing")]).expect_status(1);
    assert_eq!(silent.stderr, "");
    let told = fetch(&["-sS", &server.url("/missing")]).expect_status(1);
    assert!(told.stderr.contains("404"), "{}", told.stderr);
    let several = fetch(&[&server.url("/ok"), &server.url("/ok")]).expect_status(0);
    assert!(several.stdout.starts_with("status  attempts"), "{}", several.stdout);
}

#[test]
fn a_body_that_breaks_off_is_printed_whole_or_not_at_all() {
    let server = Server::start();
    assert_eq!(fetch(&[&server.url("/reset-in-body")]).expect_status(0).stdout, "ok");
    let broken = fetch(&["--retry", "1", &server.url("/truncated")]).expect_status(1);
    assert_eq!(broken.stdout, "");
}

#[test]
fn one_file_is_replaced_once_the_body_is_whole() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    let (name, dir) = (file.display().to_string(), directory.path().display().to_string());
    fs::write(&file, "before").expect("a file");
    drop(fetch(&["-o", &name, &server.url("/missing")]).expect_status(1));
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "before");
    assert_eq!(fetch(&["-o", &name, &server.url("/ok")]).expect_status(0).stdout, "");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "ok");
    fs::write(directory.path().join(".others.part"), "of somebody else").expect("a file");
    drop(fetch(&["-O", "-o", &dir, &server.url("/files/photo.jpg")]).expect_status(0));
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .expect("it is there")
        .map(|entry| entry.expect("it is there").file_name())
        .collect();
    names.sort();
    assert_eq!(names, [".others.part", "file", "photo.jpg"]);
    drop(fetch(&["-o", "/dev/null", &server.url("/ok")]).expect_status(0));
    assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
}

#[test]
fn one_file_keeps_its_mode_and_is_written_through_links() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let [file, link, first] = ["file", "link", "first"].map(|name| directory.path().join(name));
    symlink("file", &link).expect("a link");
    symlink(&link, &first).expect("a link");
    let fetch_it =
        || drop(fetch(&["-o", &first.display().to_string(), &server.url("/ok")]).expect_status(0));
    fetch_it();
    assert_eq!(fs::read_to_string(&file).expect("it was made"), "ok");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    fs::write(&file, "before").expect("it is ours");
    fetch_it();
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "ok");
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!([link, first].iter().all(|link| link.is_symlink()));
}

#[test]
fn stdin_is_not_both_the_requests_and_the_body() {
    let told =
        run_with_input(PROGRAM, &["-d", "@-", "-i", "-"], "http://a.example").expect_status(2);
    assert!(told.stderr.contains("give one of them as a file"), "{}", told.stderr);
}

#[test]
fn a_file_that_is_stdout_is_written_to_and_not_replaced() {
    let server = Server::start();
    for stdout in ["/dev/stdout", "/dev/fd/1"] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut script = Command::new("sh");
        script.args(["-c", "echo before; \"$0\" -o \"$1\" \"$2\"; echo after"]);
        script.args([PROGRAM, stdout, &server.url("/ok")]);
        let appending = File::options().append(true).open(file.path()).expect("a file");
        assert!(script.stdout(appending).status().expect("a shell").success());
        let written = fs::read_to_string(file.path()).expect("a file");
        assert_eq!(written, "before\nokafter\n", "{stdout}");
    }
}

/// Runs the program with stderr at a terminal, and returns what that has shown and how it ended.
/// `meanwhile` is called again and again while it runs.
fn on_a_terminal(
    args: &[&str],
    urls: &[String],
    meanwhile: impl Fn(&Child),
) -> (String, ExitStatus) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("its other side");
    let path = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("a path");
    let stderr = File::options().read(true).write(true).open(path).expect("its other side");
    let mut program = Command::new(PROGRAM);
    program.args(args).args(urls).env("TERM", "xterm");
    let mut running = program.stdout(Stdio::null()).stderr(stderr).spawn().expect("the program");
    drop(program); // and with it this side's hold of the terminal
    let reader = thread::spawn(move || {
        let mut shown = Vec::new();
        // The last side that closes it is an error.
        drop(File::from(terminal).read_to_end(&mut shown));
        String::from_utf8_lossy(&shown).into_owned()
    });
    let ended = loop {
        if let Some(ended) = running.try_wait().expect("it was started") {
            break ended;
        }
        meanwhile(&running);
        thread::sleep(Duration::from_millis(20)); // another process: nothing to wait on
    };
    (reader.join().expect("no panic"), ended)
}

#[test]
fn the_bar_counts_even_while_outcomes_come_fast() {
    let server = Server::start();
    let urls: Vec<_> = (0..20).map(|n| server.url(&format!("/ok?{n}"))).collect();
    let (shown, ended) = on_a_terminal(&["--rate", "20/s", "--summary", "none"], &urls, |_| {});
    assert!(ended.success() && shown.contains("/20 done"), "{shown:?}");
}

#[test]
fn a_second_ctrl_c_takes_the_bar_away_and_says_so() {
    let server = Server::start();
    let urls = [server.url("/trickle"), server.url("/trickle")];
    let interrupt = |program: &Child| {
        if server.hits("/trickle") == 2 {
            let sent = Command::new("kill").args(["-INT", &program.id().to_string()]).status();
            assert!(sent.expect("kill").success());
        }
    };
    let (shown, ended) = on_a_terminal(&[], &urls, interrupt);
    assert_eq!(ended.code(), Some(130));
    assert!(shown.ends_with("\r\x1b[Kinterrupted twice: exits at once\r\n"), "{shown:?}");
}

#[test]
fn the_body_of_a_failed_request_is_kept_if_that_is_wanted() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path().display().to_string();
    let args = ["--fail-with-body", "--format", "ndjson", "-o", &dir];
    let urls = [&server.url("/missing")[..], &server.url("/half/1")];
    let run = fetch(&[&args[..], &urls].concat()).expect_status(1);
    let mut lines = outcomes(&run.stdout);
    lines.sort_by_key(|line| line["status"].as_u64());
    let [fetched, failed] = [0, 1].map(|n| lines[n]["file"].as_str().expect("a body").to_owned());
    assert!(failed.ends_with("_missing.error"), "{failed}");
    assert!(fetched.ends_with("_half_1"), "{fetched}");
    let left = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, 2, "the body of the attempt that was repeated is gone");
}

#[test]
fn an_outcome_says_what_the_answer_was_and_can_be_asked_for_again() {
    let server = Server::start();
    let args = ["--format", "ndjson", "--keep-header", "content-length"];
    let urls = [&server.url("/to/127.0.0.1:1")[..], &server.url("/see-other/ok?token=secret")];
    let args = [&args[..], &["--patience", "1s"], &urls].concat();
    let run = fetch(&args).expect_status(1);
    let lines = outcomes(&run.stdout);
    let fine = lines.iter().find(|line| line["error"].is_null()).expect("one was fetched");
    assert_eq!((&fine["http_version"], &fine["method"]), (&"1.1".into(), &"GET".into()));
    assert_eq!(fine["final_url"], server.url("/ok?token=***"));
    assert_eq!(fine["response_headers"]["content-length"], "2");
    let deleted = fetch(&["--format", "ndjson", "-X", "DELETE", "-d", "x", &server.url("/ok")]);
    let refused = run_with_input(PROGRAM, &["-i", "-", "--format", "ndjson"], &deleted.stdout);
    let refused = outcomes(&refused.expect_status(1).stdout).remove(0);
    assert_eq!((&refused["error"]["kind"], &refused["attempts"]), (&"invalid".into(), &0.into()));
    let failed: String =
        run.stdout.lines().filter(|line| !line.contains("\"error\":null")).collect();
    let again =
        run_with_input(PROGRAM, &["-i", "-", "--format", "ndjson", "--patience", "1s"], &failed);
    let again: Value = outcomes(&again.expect_status(1).stdout).remove(0);
    assert_eq!((&again["url"], &again["id"]), (&urls[0].into(), &1.into()));
}

#[test]
fn verbose_prints_a_line_for_each_attempt_without_secrets() {
    let server = Server::start();
    let url = format!("http://ada:secret@{}/half/1?api_key=secret", server.address);
    let run = fetch(&["-v", "-H", "Authorization: secret", &url]).expect_status(0);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!((lines.len(), &run.stdout[..]), (2, "ok"), "{}", run.stderr);
    assert!(lines[0].contains("try 1: 503 over HTTP/1.1") && lines[0].contains("another try"));
    assert!(lines[1].contains("try 2: 200 over HTTP/1.1, 2 bytes"), "{}", lines[1]);
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}

#[test]
fn a_dry_run_says_what_would_be_sent_and_does_nothing() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out").display().to_string();
    let url = server.url("/a.txt");
    let lines = format!("{url}\n{url}\n{{\"url\":\"{url}\",\"json\":1}}\nnot a url\n");
    let run = run_with_input(PROGRAM, &["--dry-run", "-o", &out, "-i", "-"], &lines);
    let run = run.expect_status(1);
    let stem = server.address.to_string().replace(':', "_");
    let address = server.address;
    let expected = [
        format!("GET  {address}  {url} -> {out}/{stem}_a.txt"),
        format!("GET  {address}  {url} -> {out}/{stem}_a-2.txt"),
        format!("POST  {address}  {url} -> {out}/{stem}_a-3.txt"),
    ];
    let printed: Vec<_> = run.stdout.lines().collect();
    assert_eq!(printed[..3], expected);
    assert!(printed[3].starts_with("invalid  not a url"), "{}", printed[3]);
    assert_eq!(server.connections(), 0);
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
}

#[test]
fn a_redirect_that_is_not_followed_is_the_answer() {
    let server = Server::start();
    let args = ["--no-location", "--format", "ndjson", &server.url("/signed")];
    let outcome = outcomes(&fetch(&args).expect_status(0).stdout).remove(0);
    assert_eq!((&outcome["status"], &outcome["attempts"]), (&302.into(), &1.into()));
    drop(fetch(&["--max-redirs", "2", &server.url("/loop")]).expect_status(1));
}

#[test]
fn a_flag_of_curl_that_is_missing_here_is_refused_with_a_hint() {
    for (args, told) in [
        (&["-b", "a=b", "http://a.example"][..], "-H 'Cookie:"),
        (&["--cookie=a=b", "http://a.example"], "-H 'Cookie:"),
        (&["-c", "jar", "http://a.example"], "cookie jar"),
        (&["-i", "http://a.example"], "--keep-header"),
        (&["-F", "a=b", "http://a.example"], "--data-binary"),
        (&["-u", "ada", "http://a.example"], "USER:PASSWORD"),
        (&["-x", "ftp://a.example", "http://a.example"], "socks5://"),
        (&["--cacert", "/no/such", "http://a.example"], "/no/such"),
        (&["--max-filesize", "9", "http://a.example"], "--max-body"),
        (&["--proxy-cacert", "ca.pem", "http://a.example"], "--noproxy"),
        (&["-H", "X-Empty;", "http://a.example"], "`Name:`"),
        (&["-H", "@head: ers", "http://a.example"], "its own -H"),
        (&["-I", "-o", "head", "http://a.example"], "> FILE"),
        (&["-I", "-O", "http://a.example"], "> FILE"),
        (&["-O", "-o", "-", "http://a.example"], "leave one of them out"),
    ] {
        let stderr = fetch(args).expect_status(2).stderr;
        assert!(stderr.contains(told), "{args:?}: {stderr}");
    }
}

/// Runs a script in which `$P` is the program, in a directory of its own, which stays empty.
fn nothing_is_made(script: &str, env: &[(&str, String)]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("P", PROGRAM).envs(env.iter().cloned());
    let output = shell.current_dir(directory.path()).output().expect("a shell");
    let made = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(made, 0, "{script}: {output:?}");
    output
}

#[test]
fn what_would_be_lost_silently_is_refused_before_anything_is_made() {
    let server = Server::start();
    let env = [("U", server.url("/ok"))];
    for (script, told) in [
        ("$P -o - $U $U", "such as -o bodies"),
        ("echo $U | $P -i - -o -", "such as -o bodies"),
        ("$P -o - --format ndjson $U", "such as -o bodies"),
        ("$P -o f1 $U -o f2 $U", "run it once for each file"),
        ("$P -i urls -i more", "cat FILE FILE"),
        ("$P $U >&-", "stdout is closed"),
        ("$P -o /dev/stdout $U >&-", "stdout is closed"),
        ("$P -I $U >&-", "stdout is closed"),
        ("$P -d a=1 $U >&-", "stdout is closed"),
        ("$P $U $U -o bodies >&-", "stdout is closed"),
        ("$P --dry-run $U >&-", "stdout is closed"),
        ("$P -i - <&-", "stdin is closed"),
        ("$P -d @- $U <&-", "stdin is closed"),
    ] {
        let output = nothing_is_made(script, &env);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{script}: {stderr}");
        assert!(stderr.contains(told), "{script}: {stderr}");
    }
    assert_eq!(server.connections(), 0);
    for fine in ["$P $U >/dev/null", "$P -o /dev/null $U >&-", "$P $U <&-", "$P $U <>/dev/null >&0"]
    {
        assert!(nothing_is_made(fine, &env).status.success(), "{fine}");
    }
}

#[test]
fn a_proxy_is_taken_from_the_environment_as_curl_does() {
    let (proxy, other, server) = (Server::start(), Server::start(), Server::start());
    let (url, through) = (server.url("/ok"), |to: &Server| to.url(""));
    for (flags, env, expected) in [
        ("", "", [0, 0, 1]),
        ("", "http_proxy=$A", [1, 0, 0]),
        ("", "all_proxy=$A", [1, 0, 0]),
        ("", "https_proxy=$A", [0, 0, 1]),
        ("", "http_proxy=$A HTTP_PROXY=$B", [1, 0, 0]),
        ("", "http_proxy= HTTP_PROXY=$B", [0, 1, 0]),
        ("", "HTTP_PROXY=$B REQUEST_METHOD=GET", [0, 0, 1]),
        ("", "http_proxy=$A NO_PROXY='*'", [0, 0, 1]),
        ("", "http_proxy=$A no_proxy=127.0.0.0/8 NO_PROXY=a.example", [0, 0, 1]),
        ("-x ''", "http_proxy=$A", [0, 0, 1]),
        ("-x $B", "http_proxy=$A", [0, 1, 0]),
        ("--noproxy '*' -x $B", "http_proxy=$A", [0, 0, 1]),
        ("--noproxy a.example,127.0.0.1", "http_proxy=$A", [0, 0, 1]),
        ("--noproxy ''", "http_proxy=$A NO_PROXY='*'", [1, 0, 0]),
    ] {
        let hits = || [&proxy, &other, &server].map(|it| it.hits(&url) + it.hits("/ok"));
        let before = hits();
        let names = "http_proxy HTTP_PROXY https_proxy all_proxy ALL_PROXY no_proxy NO_PROXY";
        let script = format!("unset {names}; {env} \"$P\" {flags} $U");
        let env = [("A", through(&proxy)), ("B", through(&other)), ("U", url.clone())];
        let output = nothing_is_made(&script, &env);
        assert_eq!(output.stdout, b"ok", "{script}: {output:?}");
        let after = hits();
        assert_eq!([0, 1, 2].map(|n| after[n] - before[n]), expected, "{script}");
    }
}

#[test]
fn a_redirect_that_leads_nowhere_is_the_answer() {
    let server = Server::start();
    for path in ["/nowhere/empty", "/nowhere/at-all"] {
        let run = fetch(&[&server.url(path)]).expect_status(0);
        assert_eq!((&run.stdout[..], server.hits(path)), ("ok", 1));
    }
}

#[test]
fn silent_and_verbose_go_together() {
    let server = Server::start();
    let run = fetch(&["-sv", &server.url("/missing")]).expect_status(1);
    assert!(run.stderr.contains("try 1: 404") && run.stderr.lines().count() == 1, "{run:?}");
}

/// One connection through SOCKS 5 (RFC 1928), to wherever it is asked.
fn socks5(listener: &TcpListener) -> std::io::Result<()> {
    let (mut near, _) = listener.accept()?;
    near.read_exact(&mut [0; 3])?; // version, one method: none
    near.write_all(&[5, 0])?;
    let mut request = [0; 10]; // version, connect, 0, IPv4, address, port
    near.read_exact(&mut request)?;
    let address = [request[4], request[5], request[6], request[7]];
    let port = u16::from_be_bytes([request[8], request[9]]);
    let mut far = std::net::TcpStream::connect((std::net::Ipv4Addr::from(address), port))?;
    near.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let (mut from_near, mut to_far) = (near.try_clone()?, far.try_clone()?);
    let forth = thread::spawn(move || std::io::copy(&mut from_near, &mut to_far));
    std::io::copy(&mut far, &mut near)?;
    forth.join().expect("no panic").map(drop)
}

#[test]
fn a_socks_proxy_is_used() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("socks5://{}", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || drop(socks5(&listener)));
    let run = fetch(&["-x", &proxy, &server.url("/hang-up")]).expect_status(0);
    assert_eq!((&run.stdout[..], server.hits("/hang-up")), ("ok", 1));
    thread.join().expect("no panic");
}
