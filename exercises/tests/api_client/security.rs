//! What must never get out: secrets of the input, and bodies of the output directory.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::run_with_input;

use crate::program::{PROGRAM, outcomes};
use crate::server::Server;

const SECRET: &str = "s3cr3t";

/// Checks every kind of failure and one success, in every place that the program writes to.
#[test]
fn no_secret_of_a_url_or_a_header_is_written_anywhere() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let user = |path: &str| format!("http://ada:{SECRET}@{}{path}", server.address);
    let line = |rest: &str| format!("{{\"url\":\"{}\",{rest}}}", user("/x"));
    let lines = [
        user("/authorized"),
        user("/missing"),
        user("/truncated"),
        user("/loop"),
        format!("http://ada:{SECRET}@no-such-host.invalid/"),
        format!("https://ada:{SECRET}@{}/", server.address),
        format!("http://ada:{SECRET}@127.0.0.1:99999/"),
        format!("ftp://ada:{SECRET}@127.0.0.1/"),
        format!("ada:{SECRET}@127.0.0.1"),
        line(&format!("\"headers\":{{\"X-Key\":\"{SECRET}\"}}")),
        line(&format!("\"headers\":{{\"X-Key\":\"{SECRET}\\u0000\"}}")),
        line(&format!("\"headers\":\"{SECRET}\"")),
        line(&format!("\"header\":{{\"X-Key\":\"{SECRET}\"}}")),
        line(&format!("\"headers\":{{\"X-Key\":\"{SECRET}\"")),
    ];
    for format in ["table", "ndjson"] {
        let (journal, out) = (path(&format!("journal-{format}")), path("out"));
        let header = format!("Authorization: Bearer {SECRET}");
        let args = ["-i", "-", "--format", format, "--journal", &journal, "-o", &out];
        let args = [&args[..], &["-H", &header, "--retries", "1", "--patience", "1s"]].concat();
        let run = run_with_input(PROGRAM, &args, &lines.join("\n")).expect_status(1);
        let journal = fs::read_to_string(journal).expect("a journal");
        assert_eq!(journal.lines().count(), 2, "{journal}");
        for (place, text) in
            [("stdout", &run.stdout), ("stderr", &run.stderr), ("journal", &journal)]
        {
            assert!(!text.contains(SECRET), "in {place}: {text}");
        }
        for file in fs::read_dir(out).expect("it is there") {
            let name = file.expect("it is there").file_name();
            assert!(!name.to_string_lossy().contains(SECRET), "{}", name.display());
        }
    }
}

#[test]
fn a_bad_header_on_the_command_line_is_refused_without_its_value() {
    for header in [format!("Authorization Bearer {SECRET}"), format!("A: {SECRET}\u{1}")] {
        let args = ["-H", header.as_str(), "http://127.0.0.1:1/"];
        let run = run_with_input(PROGRAM, &args, "").expect_status(2);
        assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
        assert!(run.stderr.contains("header"), "{}", run.stderr);
    }
}

#[test]
fn the_user_part_of_a_url_is_sent_as_credentials_unless_a_header_replaces_it() {
    let server = Server::start();
    let url = format!("http://ada:{SECRET}@{}/authorized", server.address);
    let run = run_with_input(PROGRAM, &["--format", "ndjson", &url], "").expect_status(0);
    assert_eq!(outcomes(&run.stdout)[0]["url"], server.url("/authorized"));
}

/// Other users may write to the directory: links planted there are neither followed nor touched.
#[test]
fn bodies_stay_in_their_directory_and_follow_no_symlink() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let (out, victim) = (directory.path().join("out"), directory.path().join("victim"));
    fs::create_dir(&out).expect("a directory");
    fs::write(&victim, "untouched").expect("a file");
    let stem = server.address.to_string().replace(':', "_");
    symlink(&victim, out.join(format!("{stem}_a"))).expect("a link");
    symlink(directory.path().join("nowhere"), out.join(format!("{stem}_b"))).expect("a link");
    let paths =
        ["/a", "/b", "/../../c", "/%2e%2e/%2e%2e/d", "/..%2f..%2fe", "/..\\..\\f", "//g/.."];
    let urls: Vec<_> = paths.iter().map(|path| server.url(path)).collect();
    let out_arg = out.display().to_string();
    let args = ["-i", "-", "--format", "ndjson", "-o", &out_arg];
    let run = run_with_input(PROGRAM, &args, &urls.join("\n")).expect_status(0);
    for outcome in outcomes(&run.stdout) {
        let file = outcome["file"].as_str().expect("it is stored");
        assert_eq!(std::path::Path::new(file).parent(), Some(out.as_path()), "{outcome}");
        assert!(fs::symlink_metadata(file).expect("it is there").is_file(), "{outcome}");
    }
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "untouched");
    let outside = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(outside, 2, "only the directory and the victim");
}
