//! What may go wrong, and that the rest is counted.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use testkit::Program;

use super::{PROGRAM, has, json, output, paths, plant, program, run};

/// The most memory that counting may take, whatever the input.
const MEMORY_KIB: u64 = 16 * 1024;

#[test]
fn survives_all_faults() {
    Program {
        path: PROGRAM,
        args: &["--jobs", "1", "--jobs", "2", "src", "Cargo.toml"],
        bad: &[
            &["--top", "0"],
            &["--jobs", "0"],
            &["--glob", "["],
            &["--type", "no-such-type"],
            &["--format", "yaml"],
            &["--files0-from", "-", "src"],
            &["--errors", "no/such/directory/errors", "src"],
            &["--no-such-flag"],
        ],
        panics: &[&["--panic-at", "1", "src"], &["--panic-at", "2", "--top", "3", "src"]],
    }
    .check_faults();
}

#[test]
fn an_unreadable_file_is_an_error_and_nothing_else_is_lost() {
    let dir = plant(&[("a", "x\n"), ("closed", "y\n"), ("locked/b", "z\n")]);
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&dir.path().join("closed"), 0o000);
    mode(&dir.path().join("locked"), 0o000);
    let Some((mut command, _copy)) = as_nobody(dir.path()) else { return };
    command.args(["--format", "json", "-l", "."]);
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
    let result = json(dir.path(), &["-lwcm", "--top", "9", "--binary", "count"], 0);
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

/// The program as a user who may not read everything, in this directory; `None`, with a message, if
/// the test cannot become one. The program's copy lives as long as the value beside the command.
pub(super) fn as_nobody(dir: &Path) -> Option<(Command, TempDir)> {
    let bin = tempdir().unwrap(); // another user need not be able to reach the target directory
    let copy = bin.path().join("file-processor");
    fs::copy(PROGRAM, &copy).unwrap();
    for path in [bin.path(), dir] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    if is_root && !has("setpriv") {
        return None;
    }
    let mut command = if is_root {
        let mut command = Command::new("setpriv"); // root may read everything
        command.args(["--reuid=65534", "--clear-groups"]).arg(&copy);
        command
    } else {
        Command::new(&copy)
    };
    command.current_dir(dir).stdin(Stdio::null());
    Some((command, bin))
}

pub(super) fn spawn(args: &[&str]) -> Child {
    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// The most memory that a running program has had so far.
pub(super) fn assert_little_memory(child: &Child) {
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
    // Opened for reading and writing, so that the open does not wait.
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
    // The program has opened the FIFO once it has emptied it; writing more than a pipe holds shows
    // that it reads on.
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

    // When every path is read, but the list has not ended, its memory can be measured.
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
fn errors_can_also_go_to_a_file() {
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
        .args(["--format", "json", "-l", "-j", "1", "a", "-", "b"])
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
    drop(stdin); // the signal ended it, not the end of its input
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
