//! The program, as its users meet it.
#![allow(clippy::unwrap_used, reason = "a helper of tests is a test")]
#![cfg(feature = "file-processor")]

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_file-processor");

/// What counting may take, whatever the input.
const MEMORY_KIB: u64 = 32 * 1024;

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

// --- What it counts ---

#[test]
fn survives_the_fault_table() {
    common::testing::check_faults(PROGRAM);
}

#[test]
fn lines_and_bytes_are_those_of_wc_on_real_trees() {
    if !has("wc") {
        return;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let roots =
        [workspace.join("exercises"), "/etc".into(), "/usr/share".into(), "/usr/bin".into()];
    let mut files = Vec::new();
    for root in roots {
        find(&root, files.len() + 1500, &mut files);
    }
    assert!(files.len() > 10);
    let list: Vec<u8> = files.iter().flat_map(|file| [file.as_slice(), &[0]].concat()).collect();
    let ours = with_input(program().args(["--format", "wc", "-lc", "--files0-from", "-"]), &list);
    let theirs = with_input(Command::new("wc").args(["-lc", "--files0-from", "-"]), &list);
    assert_eq!(unaligned(&ours), unaligned(&theirs));
}

/// Adds readable regular files below `dir` until there are `limit`.
fn find(dir: &Path, limit: usize, files: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if files.len() >= limit {
            return;
        } else if kind.is_dir() {
            find(&path, limit, files);
        } else if kind.is_file() && File::open(&path).is_ok() {
            files.push(path.into_os_string().into_vec());
        }
    }
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

fn unaligned(listing: &[u8]) -> Vec<String> {
    let listing = String::from_utf8_lossy(listing);
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    listing.lines().map(line).collect()
}

#[test]
fn the_wc_format_is_that_of_wc_to_the_byte() {
    let dir = plant(&[
        ("a", "one two\nthree"),
        ("b\nc", "x\n"),
        ("its\n", ""),
        ("d", &"many words\n".repeat(12345)),
    ]);
    if !has("wc") {
        return;
    }
    let cases: [&[&str]; 8] = [
        &["a", "d"],
        &["a"],
        &["-l", "a"],
        &["-l", "a", "d"],
        &["-lw", "d"],
        &["b\nc", "its\n", "d"],
        &["-c", "a", "a"],
        &["-wL", "a", "d"],
    ];
    for args in cases {
        let theirs = output(Command::new("wc").args(args).current_dir(&dir).env("LC_ALL", "C"));
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let (ours, _) = run(dir.path(), &[&["--format", "wc"], args].concat(), 0);
        assert_eq!(ours, theirs, "{args:?}");
    }
}

#[test]
fn json_has_the_columns_that_were_asked_for() {
    let dir = plant(&[("a", "one two\r\nthrée\n"), ("b/c", "x")]);
    let all = json(dir.path(), &["-lwcmL", "a", "b"], 0);
    assert_eq!(
        all,
        json!({
            "files": [
                {"path": "a", "lines": 2, "words": 3, "chars": 15, "bytes": 16, "longest_line": 7},
                {"path": "b/c", "lines": 0, "words": 1, "chars": 1, "bytes": 1, "longest_line": 1},
            ],
            "total": {
                "files": 2, "lines": 2, "words": 4, "chars": 16, "bytes": 17, "longest_line": 7,
            },
            "errors": [],
            "complete": true,
        })
    );
    let lines = json(dir.path(), &["-l", "a"], 0);
    assert_eq!(lines["files"], json!([{"path": "a", "lines": 2}]));
    assert_eq!(lines["total"], json!({"files": 1, "lines": 2}));
}

#[test]
fn ndjson_has_a_file_a_line_and_the_total_last() {
    let dir = plant(&[("a", "x\n"), ("b", "y\n")]);
    let (stdout, _) = run(dir.path(), &["--format", "ndjson", "-l", "a", "gone", "b"], 1);
    let lines: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..2], [json!({"path": "a", "lines": 1}), json!({"path": "b", "lines": 1})]);
    let gone = json!({"path": "gone", "operation": "open", "reason": "No such file or directory"});
    assert_eq!(
        lines[2..],
        [json!({"total": {"files": 2, "lines": 2}, "errors": [gone], "complete": true})]
    );
}

#[test]
fn csv_quotes_where_it_must_and_names_errors_on_stderr() {
    let dir = plant(&[("a,\"b\"", "x\n"), ("c", "y z\n")]);
    let (stdout, stderr) = run(dir.path(), &["--format", "csv", "a,\"b\"", "c", "gone"], 1);
    assert_eq!(stdout, "path,lines,words,bytes\n\"a,\"\"b\"\"\",1,1,2\nc,1,2,4\n");
    assert_eq!(stderr, "file-processor: gone: open: No such file or directory\n");
    let (stdout, _) = run(dir.path(), &["--format", "csv", "--summary", "-l"], 0);
    assert_eq!(stdout, "files,lines\n2,2\n");
    run(dir.path(), &["--format", "csv", "--top", "1", "--by", "ext"], 2);
}

#[test]
fn a_table_is_aligned_and_has_the_errors_at_its_foot() {
    let dir = plant(&[("a", "one\n"), ("bad\x1b[2J", &"two three\n".repeat(1000))]);
    let (stdout, _) = run(dir.path(), &["a", "gone", "bad\x1b[2J"], 1);
    let expected = "\
lines  words  bytes  file
    1      1      4  a
 1000   2000  10000  bad\\u{1b}[2J
 1001   2001  10004  total of 2 files

1 error, not in the total:
  gone: open: No such file or directory
";
    assert_eq!(stdout, expected);
}

#[test]
fn a_long_table_is_written_as_it_comes() {
    let dir = tempdir().unwrap();
    (0..2500).for_each(|n| fs::write(dir.path().join(format!("{n:04}")), "line\n").unwrap());
    let (stdout, _) = run(dir.path(), &["-l"], 0);
    let rows: Vec<_> = stdout.lines().collect();
    assert_eq!(rows.len(), 2502);
    assert_eq!(rows[1], format!("{:>12}  0000", 1));
    assert_eq!(rows[2500], format!("{:>12}  2499", 1));
    assert_eq!(rows[2501], format!("{:>12}  total of 2500 files", 2500));
}

#[test]
fn the_most_frequent_words_are_the_same_in_every_run() {
    let dir = plant(&[("a", "b a c a"), ("b", "c b d"), ("e", &"c\u{a0}b ".repeat(2))]);
    for jobs in ["1", "3", "8"] {
        let top = json(dir.path(), &["--top", "4", "-j", jobs], 0)["top"].clone();
        let words = |words: &[(&str, u64)]| {
            words.iter().map(|(word, n)| json!({"word": word, "count": n})).collect::<Value>()
        };
        assert_eq!(top, words(&[("a", 2), ("b", 2), ("c", 2), ("c\u{a0}b", 2)]));
        let args = ["--top", "2", "--words", "unicode", "-j", jobs];
        assert_eq!(json(dir.path(), &args, 0)["top"], words(&[("b", 4), ("c", 4)]));
    }
    let (stdout, _) = run(dir.path(), &["--top", "1", "-w"], 0);
    assert_eq!(stdout, "count  word\n    2  a\n\nwords  file\n    9  total of 3 files\n");
}

#[test]
fn files_are_added_up_by_extension_or_directory() {
    let dir = plant(&[("a.rs", "x\n"), ("sub/b.rs", "x\n"), ("sub/LICENSE", "x\nx\n")]);
    let by = |by| json(dir.path(), &["--by", by, "-l"], 0)["groups"].clone();
    assert_eq!(
        by("ext"),
        json!([{"ext": "", "files": 1, "lines": 2}, {"ext": "rs", "files": 2, "lines": 2}])
    );
    assert_eq!(
        by("dir"),
        json!([{"dir": ".", "files": 1, "lines": 1}, {"dir": "sub", "files": 2, "lines": 3}])
    );
    let (stdout, _) = run(dir.path(), &["--by", "ext", "-l"], 0);
    assert!(stdout.starts_with("files  lines  ext\n    1      2  (none)\n"), "{stdout}");
}

// --- What it walks ---

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

// --- What it survives ---

#[test]
fn what_may_not_be_read_is_an_error_and_nothing_else_is_lost() {
    let dir = plant(&[("a", "x\n"), ("closed", "y\n"), ("locked/b", "z\n")]);
    let bin = tempdir().unwrap(); // another user need not be able to reach the target directory
    let copy = bin.path().join("file-processor");
    fs::copy(PROGRAM, &copy).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(bin.path(), 0o755);
    mode(dir.path(), 0o755);
    mode(&dir.path().join("closed"), 0o000);
    mode(&dir.path().join("locked"), 0o000);

    let root = File::open(dir.path().join("closed")).is_ok();
    if root && !has("setpriv") {
        return;
    }
    let mut command = if root {
        let mut command = Command::new("setpriv"); // root may read everything
        command.args(["--reuid=65534", "--clear-groups"]).arg(&copy);
        command
    } else {
        Command::new(&copy)
    };
    command.args(["--format", "json", "-l", "."]).current_dir(&dir).stdin(Stdio::null());
    let output = output(&mut command);
    mode(&dir.path().join("locked"), 0o755); // so that the directory can be removed
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = |path, operation| json!({"path": path, "operation": operation, "reason": "Permission denied"});
    assert_eq!(result["errors"], json!([error("./closed", "open"), error("./locked", "list")]));
    assert_eq!(result["total"], json!({"files": 1, "lines": 1}));
    assert_eq!(result["complete"], json!(true));
}

#[test]
fn a_file_is_read_to_its_end_whatever_its_size_says() {
    let status = Path::new("/proc/self/status");
    if !status.exists() {
        eprintln!("skipped: there is no /proc here");
        return;
    }
    let total = json(Path::new("/"), &["/proc/self/status", "/proc/cpuinfo"], 0)["total"].clone();
    assert!(total["lines"].as_u64().unwrap() > 20, "{total}");
}

#[test]
fn content_and_names_may_be_any_bytes() {
    let dir = tempdir().unwrap();
    let name = OsString::from_vec(b"bad\xFFname".to_vec());
    fs::write(dir.path().join(&name), b"\0\0 \xFF\xFE\n\xC3\n\0").unwrap();
    let result = json(dir.path(), &["-lwcm", "--top", "9"], 0);
    let row = json!({
        "path": "bad\u{fffd}name", "path_bytes": "YmFk/25hbWU=",
        "lines": 2, "words": 4, "chars": 9, "bytes": 9,
    });
    assert_eq!(result["files"], json!([row]));
    assert_eq!(
        result["top"][3],
        json!({"word": "\u{fffd}\u{fffd}", "word_bytes": "//4=", "count": 1})
    );
}

#[test]
fn a_line_of_50_megabytes_costs_no_memory() {
    let args = ["--format", "csv", "-lwmL", "-"];
    let mut child = spawn(&args);
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'x'; 1_000_000];
    (0..50).for_each(|_| stdin.write_all(&block).unwrap());
    assert_little_memory(&child);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, "path,lines,words,chars,longest_line\n-,0,1,50000000,50000000\n");
}

fn spawn(args: &[&str]) -> Child {
    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// The most memory that a running program has had so far.
fn assert_little_memory(child: &Child) {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) else {
        eprintln!("skipped: there is no /proc here");
        return;
    };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn fifos_and_devices_never_hang_it() {
    let dir = plant(&[("a", "x\n")]);
    let fifo = dir.path().join("fifo");
    if !Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no mkfifo here");
        return;
    }
    let (stdout, stderr) = run(dir.path(), &["--format", "csv", "-l"], 0);
    assert_eq!(stdout, "path,lines\na,1\n");
    assert_eq!(stderr, "note: fifo: skipped, a FIFO\n");
    assert_eq!(run(dir.path(), &["--quiet", "-l"], 0).1, "");

    let named = json(dir.path(), &["fifo", "/dev/zero", "/dev/null", "a"], 1);
    assert_eq!(paths(&named["errors"]), ["fifo", "/dev/zero"]);
    assert_eq!(named["errors"][0]["reason"], "nobody has this FIFO open for writing");
    assert_eq!(paths(&named["files"]), ["/dev/null", "a"]);
}

#[test]
fn a_fifo_with_a_writer_is_counted() {
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    if !Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no mkfifo here");
        return;
    }
    // Open for both, so that opening waits for nobody.
    let mut writer = File::options().read(true).write(true).open(&fifo).unwrap();
    writer.write_all(b"early\n").unwrap();
    let mut command = program();
    let mut child = command
        .args(["--format", "ndjson", "-l"])
        .args([Path::new("-"), &fifo])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It has the FIFO open once it has emptied it; more than a pipe holds shows that it goes on.
    writer.write_all(&b"late\n".repeat(100_000)).unwrap();
    drop(writer);
    drop(child.stdin.take());
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let rows: Vec<_> = stdout.lines().map(Result::unwrap).collect();
    assert!(rows[1].ends_with("fifo\",\"lines\":100001}"), "{rows:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_loop_of_symlinks_is_one_error() {
    let dir = plant(&[("d/a", "x\n")]);
    symlink("..", dir.path().join("d/up")).unwrap();
    symlink("a", dir.path().join("d/link")).unwrap();
    symlink("nowhere", dir.path().join("d/broken")).unwrap();
    assert_eq!(paths(&json(dir.path(), &["d"], 0)["files"]), ["d/a"]);
    let followed = json(dir.path(), &["--follow", "."], 1);
    assert_eq!(paths(&followed["files"]), ["./d/a", "./d/link"]);
    assert_eq!(paths(&followed["errors"]), ["./d/broken", "./d/up"]);
    assert_eq!(followed["errors"][1]["operation"], "list");
}

#[test]
fn a_file_with_two_names_counts_twice() {
    let dir = plant(&[("a", "x\n")]);
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    assert_eq!(json(dir.path(), &["-l"], 0)["total"], json!({"files": 2, "lines": 2}));
}

#[test]
fn fifty_thousand_files_need_few_descriptors_and_little_memory() {
    const FILES: usize = 50_000;
    let dir = tempdir().unwrap();
    let mut list = Vec::new();
    for n in 0..FILES {
        let path = dir.path().join(format!("a-file-with-a-name-of-some-length-{n:05}"));
        fs::write(&path, "one line\n").unwrap();
        list.extend(path.into_os_string().into_vec());
        list.push(0);
    }
    let script = format!("ulimit -n 64; exec {PROGRAM} --format json -j 100 -l .");
    let walked = output(Command::new("sh").args(["-c", &script]).current_dir(&dir));
    let walked: Value = serde_json::from_slice(&walked.stdout).unwrap();
    assert_eq!(walked["total"], json!({"files": FILES, "lines": FILES}));
    assert_eq!(walked["errors"], json!([]));

    // With every path read and the end of the list still to come, its memory can be looked at.
    let mut child = spawn(&["--format", "json", "--files0-from", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| std::io::read_to_string(stdout).unwrap());
        stdin.write_all(&list).unwrap();
        assert_little_memory(&child);
        drop(stdin);
        let total: Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
        assert_eq!(total["total"]["files"], FILES);
    });
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_empty_directory_has_no_files_and_is_no_error() {
    let dir = tempdir().unwrap();
    let empty = json!({
        "files": [], "total": {"files": 0, "lines": 0}, "errors": [], "complete": true,
    });
    assert_eq!(json(dir.path(), &["-l"], 0), empty);
    assert_eq!(run(dir.path(), &["-l"], 0).0, "lines  file\n    0  total of 0 files\n");
}

#[test]
fn errors_can_be_had_in_a_file_too() {
    let dir = plant(&[("a", "x\n")]);
    run(dir.path(), &["--errors", "errors", "gone", "a", "lost"], 1);
    let errors = fs::read_to_string(dir.path().join("errors")).unwrap();
    let errors: Vec<Value> =
        errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error =
        |path| json!({"path": path, "operation": "open", "reason": "No such file or directory"});
    assert_eq!(errors, [error("gone"), error("lost")]);
}

#[test]
fn an_interrupt_prints_the_partial_result() {
    let dir = plant(&[("a", "x\n"), ("b", "y\n")]);
    let mut child = program()
        .args(["--format", "json", "-l", "a", "-", "b"])
        .current_dir(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the program is at work.
    stdin.write_all(&b"line\n".repeat(100_000)).unwrap();
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(stdin); // it did not take the end of its input to end it
    assert_eq!(output.status.code(), Some(130));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["complete"], json!(false));
    assert_eq!(result["files"][0], json!({"path": "a", "lines": 1}));
    let stdin = json!({"path": "-", "operation": "read", "reason": "interrupted"});
    assert_eq!(result["errors"], json!([stdin]));
}

#[test]
fn a_reader_that_leaves_early_ends_it_quietly() {
    let dir = tempdir().unwrap();
    (0..3000).for_each(|n| fs::write(dir.path().join(format!("{n}")), "x\n").unwrap());
    for format in ["table", "wc", "json", "ndjson", "csv"] {
        let mut command = program();
        command.args(["--format", format]).current_dir(&dir);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{format}");
    }
}

#[test]
fn a_planted_panic_is_an_error_in_the_result() {
    let dir = plant(&[("a", "x\n"), ("b", "y\n")]);
    let result = json(dir.path(), &["--panic-at", "1", "-j", "1", "a", "b"], 1);
    let error = json!({
        "path": "a", "operation": "count", "reason": "panicked: planted panic in piece 1",
    });
    assert_eq!((&result["errors"], &result["total"]["files"]), (&json!([error]), &json!(1)));
}

#[test]
fn a_path_is_a_path_whatever_it_looks_like() {
    let dir = plant(&[("-l", "x\n"), (" ", "y\n")]);
    let files = json(dir.path(), &["--", "-l", " "], 0)["files"].clone();
    assert_eq!(paths(&files), ["-l", " "]);
    let everywhere: PathBuf = dir.path().join("-l");
    assert_eq!(json(Path::new("/"), &[everywhere.to_str().unwrap()], 0)["total"]["lines"], 1);
}
