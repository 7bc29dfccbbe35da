//! The command lines of the page, given to the program and to curl: the same bytes come out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::nginx::Nginx;

const PROGRAM: &str = env!("CARGO_BIN_EXE_api-client");
const PAGE: &str = include_str!("../../src/api_client/README.md");
/// The head of the page's table.
const HEAD: &str = "| `api-client` or `curl` with | ";

/// What a command line has printed, and what files it has left.
type Written = (String, BTreeMap<String, Vec<u8>>);

/// The command lines of the page's table.
fn lines() -> Vec<&'static str> {
    let (_, table) = PAGE.split_once(HEAD).expect("the page has the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).expect("a command line").trim()).collect()
}

fn start() -> Option<Nginx> {
    let nginx = Nginx::start("curl.conf", 0)?;
    let files = nginx.directory.path().join("files");
    fs::create_dir(&files).expect("a directory");
    let photo: Vec<u8> = (0..300_000_u32).map(|n| (n * 31 % 251) as u8).collect();
    fs::write(files.join("photo.jpg"), photo).expect("a file");
    fs::write(files.join("words.txt"), "one two three\n".repeat(1000)).expect("a file");
    if Command::new("curl").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no curl on the PATH");
        return None;
    }
    Some(nginx)
}

/// Runs a program with arguments as the shell reads them, in a directory of its own.
fn written(nginx: &Nginx, program: &str, args: &str) -> Written {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("form"), "a=1&\r\nb=2\n").expect("a file");
    fs::copy(nginx.directory.path().join("certificate.pem"), directory.path().join("ca.pem"))
        .expect("a file");
    let script = format!("printf 'c=3\\n' | {program} {args}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory.path())
        .env("H", format!("http://127.0.0.1:{}", nginx.port))
        .env("B", format!("127.0.0.1:{}", nginx.port))
        .env("S", format!("https://localhost:{}", nginx.tls_port))
        .output()
        .expect("a shell");
    println!("{args}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8_lossy(&output.stdout).into_owned(), files(directory.path()))
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("it is there").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("it is readable"))
    };
    fs::read_dir(directory).expect("it is there").map(read).collect()
}

#[test]
fn the_command_lines_of_the_page_write_what_curl_writes() {
    let Some(nginx) = start() else { return };
    let lines = lines();
    assert!(lines.len() >= 20, "{lines:?}");
    for line in lines {
        let (ours, curls) = (written(&nginx, PROGRAM, line), written(&nginx, "curl -s", line));
        assert!(!curls.0.is_empty() || curls.1.len() > 2 || line.starts_with("-f "), "{line}");
        assert_eq!(ours.0, curls.0, "{line}");
        let body = [("-d a=1", "\na=1&b=2\n"), ("-d @form", "\na=1&b=2\n"), ("-d @-", "\nc=3\n")];
        for (_, body) in body.iter().filter(|(start, _)| line.starts_with(start)) {
            assert!(ours.0.ends_with(body), "nginx says what was sent: {}", ours.0);
        }
        assert!(ours.1 == curls.1, "{line}: {:?} and {:?}", ours.1.keys(), curls.1.keys());
    }
}

#[test]
fn a_head_is_that_of_curl_with_names_in_lower_case() {
    let Some(nginx) = start() else { return };
    for line in ["-I $H/files/photo.jpg", "-I -k $S/files/photo.jpg"] {
        let head = |program| {
            let (head, _) = written(&nginx, program, line);
            let lines = head.to_lowercase().replace("http/2 200 \r", "http/2 200\r");
            let same = |line: &&str| !line.starts_with("date: ");
            lines.split("\r\n").filter(same).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(head(PROGRAM), head("curl -s"), "{line}");
    }
}
