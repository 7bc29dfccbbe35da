//! Endless words, a shared stdin, names that could harm a terminal, closed descriptors, and failing
//! side outputs.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::tempdir;

use super::survives::{as_nobody, assert_little_memory, spawn};
use super::{PROGRAM, has, json, output, plant, program, run};

#[test]
fn a_word_may_be_of_any_length() {
    let dir = plant(&[("text", &format!("one two {} one\n", "y".repeat(1_000_000)))]);
    let nul = File::create(dir.path().join("nul")).unwrap();
    nul.set_len(16 << 20).unwrap();
    let args = ["-w", "--top", "2", "--binary", "count", "text", "nul"];
    let result = json(dir.path(), &args, 0);
    let word = |word, count| json!({"word": word, "count": count});
    assert_eq!(result["top"], json!([word("one", 2), word("two", 1)]));
    assert_eq!((&result["long_words"], &result["total"]["words"]), (&json!(2), &json!(5)));
    let (stdout, _) = run(dir.path(), &args, 0);
    assert!(stdout.contains("\n2 words of more than 256 bytes have no rank\n"), "{stdout}");
    let (_, stderr) = run(dir.path(), &[&args[..], &["--format", "csv"]].concat(), 0);
    assert_eq!(stderr, "note: 2 words of more than 256 bytes have no rank\n");
}

#[test]
fn a_word_of_50_megabytes_costs_no_memory() {
    let mut child = spawn(&["--format", "json", "--top", "1", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'x'; 1_000_000];
    (0..50).for_each(|_| stdin.write_all(&block).unwrap());
    assert_little_memory(&child);
    drop(stdin);
    let result: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&result["long_words"], &result["total"]["words"]), (&json!(1), &json!(1)));
}

/// What the shell prints with `$P` for the program and the file `input` as its stdin.
fn shell(dir: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir).env("P", PROGRAM);
    if let Ok(input) = File::open(dir.join("input")) {
        command.stdin(input);
    }
    String::from_utf8(output(&mut command).stdout).unwrap()
}

#[test]
fn stdin_is_left_where_it_was_read_to() {
    if !has("bash") {
        return;
    }
    let dir = plant(&[("input", &"123456\n".repeat(900_000))]);
    for flags in ["-c", "-l", "-lc"] {
        let script = format!("for _ in 1 2; do $P {flags} --format csv -s -; done");
        let printed = shell(dir.path(), &script);
        let counts: Vec<_> = printed.lines().filter(|line| !line.contains("files")).collect();
        let first = match flags {
            "-c" => "1,6300000",
            "-l" => "1,900000",
            _ => "1,900000,6300000",
        };
        assert_eq!(counts[0], first, "{flags}");
        assert!(counts[1].trim_start_matches("1,").chars().all(|c| "0,".contains(c)), "{printed}");
    }
    // One process has read a part before it, and another one reads on after it.
    let script = "head -c 70 > /dev/null; $P -c --format csv -s -; printf more >> input; cat";
    let dir = plant(&[("input", &"123456\n".repeat(1_000))]);
    let printed = shell(dir.path(), &script.replace("head -c 70", "dd bs=70 count=1 2> /dev/null"));
    assert_eq!(printed, "files,bytes\n1,6930\nmore");
}

const EVIL: &str = "evil\u{1b}[2J\u{202e}\u{9b}\r\n\\";

/// Characters of a name that must not be printed: control characters, and those that turn the
/// direction of text.
fn is_raw(text: &str) -> bool {
    text.contains("\u{1b}[2J") || text.contains(['\u{202e}', '\u{9b}', '\u{2028}'])
}

#[test]
fn nothing_that_others_wrote_reaches_stderr_raw() {
    let gitignore = format!("{EVIL}[\n");
    let dir = plant(&[(".git/x", ""), (".gitignore", &gitignore), ("a", "x\n")]);
    let loops = dir.path().join(EVIL);
    fs::create_dir(&loops).unwrap();
    std::os::unix::fs::symlink("..", loops.join("up")).unwrap();
    let cases: [(&[&str], i32); 8] = [
        (&["--format", "csv", "."], 0),
        (&["--format", "csv", "--follow", "."], 1),
        (&["--format", "wc", EVIL, "gone\u{1b}[2J"], 1),
        (&["--glob", "[\u{1b}[2J", "a"], 2),
        (&["--type", "\u{1b}[2J", "a"], 2),
        (&["--no-such\u{1b}[2J"], 2),
        (&["--errors", "no/\u{1b}[2J", "a"], 2),
        (&["--glob", "*.\u{1b}", "."], 0),
    ];
    for (args, status) in cases {
        let (_, stderr) = run(dir.path(), args, status);
        assert!(!is_raw(&stderr), "{args:?}: {stderr:?}");
    }
    let (_, stderr) = run(dir.path(), &["--format", "wc", "gone\u{1b}\\u{1b}"], 1);
    let expected = "file-processor: gone\\u{1b}\\\\u{1b}: open: No such file or directory\n";
    assert_eq!(stderr, expected);
}

#[test]
fn a_terminal_gets_names_that_can_do_no_harm_and_a_pipe_gets_them_exactly() {
    if !has("script") {
        return;
    }
    let dir = plant(&[(EVIL, "x\u{1b}[2J y\n")]);
    for args in ["", "--format wc", "--format csv", "--format json", "--format ndjson", "--top 9"] {
        let command = format!("{PROGRAM} {args}; {PROGRAM} {args} gone-$'\\e[2J'");
        let mut script = Command::new("script");
        script.args(["-qc", &format!("bash -c {}", quote(&command)), "/dev/null"]);
        let seen = output(script.current_dir(&dir).env("TERM", "xterm").stdin(Stdio::null()));
        let seen = String::from_utf8(seen.stdout).unwrap();
        assert!(seen.contains("evil") || args == "--top 9", "{args}: {seen:?}");
        assert!(!is_raw(&seen), "{args}: {seen:?}");
    }
    let exact = json(dir.path(), &[], 0);
    assert_eq!(exact["files"][0]["path"], EVIL);
    assert!(!is_raw(&run(dir.path(), &["--format", "json"], 0).0));
    let (csv, _) = run(dir.path(), &["--format", "csv", "-l"], 0);
    assert_eq!(csv, format!("path,lines\n\"{EVIL}\",1\n"));
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn a_picture_is_well_formed_whatever_a_name_holds() {
    for (name, shown) in [(EVIL, "evil\\u{1b}[2J"), ("<&\u{1}\u{fffe}", "&lt;&amp;\\u{1}")] {
        let dir = plant(&[(name, "x\n")]);
        run(dir.path(), &["--timeline", "run.svg", name], 0);
        let svg = fs::read_to_string(dir.path().join("run.svg")).unwrap();
        let wrong = |c: char| (c.is_control() && c != '\n') || "\u{fffe}\u{ffff}".contains(c);
        assert!(svg.contains(shown) && !svg.contains(wrong), "{svg}");
    }
}

#[test]
fn errors_that_cannot_be_written_cost_nothing_else() {
    let dir = plant(&[("a", "x\n"), ("b", "y\n")]);
    let mut command = program();
    command.args(["--format", "json", "--errors", "/dev/full", "a", "gone", "b"]);
    // A missing temporary directory does no harm either.
    let output = output(command.current_dir(&dir).env("TMPDIR", "/nowhere"));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["total"]["files"], 2);
    assert_eq!(result["errors"][0]["path"], "gone");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("error: cannot write --errors /dev/full: "), "{stderr}");

    let (_, stderr) = run(dir.path(), &["--errors", "-", "--format", "wc", "a", "gone"], 1);
    let error = json!({"path": "gone", "operation": "open", "reason": "No such file or directory"});
    assert_eq!(serde_json::from_str::<Value>(&stderr).unwrap(), error);
}

#[test]
fn a_file_that_is_to_be_counted_is_not_emptied_for_errors() {
    let dir = plant(&[("a", "x\n"), ("list", "a\0")]);
    for args in [&["--errors", "./a", "a"][..], &["--errors", "list", "--files0-from", "list"]] {
        assert!(run(dir.path(), args, 2).1.contains("that file is to be counted"));
    }
    assert_eq!(json(dir.path(), &["--errors", "new", "a"], 0)["total"]["lines"], 1);
}

#[test]
fn many_errors_need_no_temporary_file() {
    let dir = tempdir().unwrap();
    let list: Vec<u8> =
        (0..40_000).flat_map(|n| format!("{n}-gone-{:040}\0", 0).into_bytes()).collect();
    fs::write(dir.path().join("list"), list).unwrap();
    let mut command = program();
    command.args(["--format", "json", "--files0-from", "list"]).env("TMPDIR", "/nowhere");
    let output = output(command.current_dir(&dir));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["errors"].as_array().unwrap().len(), 40_000);
    assert_eq!((output.status.code(), output.stderr), (Some(1), vec![]));
}

#[test]
fn an_empty_path_is_an_error_and_the_rest_is_counted() {
    let dir = plant(&[("a", "x\n")]);
    let result = json(dir.path(), &["", "a"], 1);
    let error = json!({"path": "", "operation": "open", "reason": "the path is empty"});
    assert_eq!((&result["errors"], &result["total"]["files"]), (&json!([error]), &json!(1)));
}

#[test]
fn a_closed_descriptor_is_an_error() {
    if !has("bash") {
        return;
    }
    let dir = plant(&[("a", "x\n")]);
    let closed = |script: &str, status: i32| {
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(&dir).env("P", PROGRAM);
        let output = output(&mut command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{script}: {text}{stderr}");
        (text, stderr)
    };
    let (stdout, _) = closed("$P --format json - a <&-", 1);
    let result: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(result["errors"][0]["reason"], "stdin is closed");
    assert_eq!(result["total"]["files"], 1);
    let (stdout, _) = closed("$P --format json --files0-from - <&-", 1);
    assert!(stdout.contains("stdin is closed"), "{stdout}");
    closed("$P a >&-", 2);
    closed("$P --format json - a < /dev/null", 0);
    closed("$P a > /dev/null", 0);
}

#[test]
fn an_unreadable_ignore_file_gets_a_note() {
    let dir = plant(&[(".gitignore", "a\n"), ("sub/.ignore", "b\n"), ("a", "x\n"), ("sub/b", "")]);
    for file in [".gitignore", "sub/.ignore"] {
        fs::set_permissions(dir.path().join(file), Permissions::from_mode(0o0)).unwrap();
    }
    let Some((mut command, _copy)) = as_nobody(dir.path()) else { return };
    let output = output(command.args(["-l", "--format", "csv"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "path,lines\na,1\nsub/b,0\n");
    let note = "cannot be read, so nothing is ignored by it: Permission denied";
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, format!("note: .gitignore: {note}\nnote: sub/.ignore: {note}\n"));
}

#[test]
fn each_name_of_a_list_is_answered_as_it_comes() {
    let dir = plant(&[("a", "x\n"), ("b", "y\ny\n")]);
    for (format, heading, answers) in [
        ("csv", Some("path,lines"), ["a,1", "b,2"]),
        ("ndjson", None, [r#"{"path":"a","lines":1}"#, r#"{"path":"b","lines":2}"#]),
        ("wc", None, ["1 a", "2 b"]),
    ] {
        let mut command = program();
        command.args(["--format", format, "-l", "--files0-from", "-"]).current_dir(&dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut names = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        for (name, answer) in [("a", answers[0]), ("b", answers[1])] {
            names.write_all(format!("{name}\0").as_bytes()).unwrap();
            if let (Some(heading), "a") = (heading, name) {
                assert_eq!(lines.next().unwrap(), heading);
            }
            assert_eq!(lines.next().unwrap(), answer);
        }
        drop(names);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_second_signal_of_a_timeout_loses_nothing() {
    let dir = plant(&[("a", "x\n")]);
    let mut command = program();
    command.args(["--format", "json", "-l", "-j", "1", "a", "-"]).current_dir(&dir);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&b"line\n".repeat(100_000)).unwrap(); // more than a pipe holds: it is at work
    let kill = format!("kill -TERM {0}; kill -INT {0}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["complete"], &result["files"][0]["path"]), (&json!(false), &json!("a")));
}

#[test]
fn a_name_that_is_not_text_is_shown_byte_by_byte() {
    let dir = tempdir().unwrap();
    let name = OsString::from_vec(b"\xFF\\".to_vec());
    fs::write(dir.path().join(&name), "x\n").unwrap();
    let (stdout, _) = run(dir.path(), &["-l"], 0);
    assert_eq!(stdout, "lines  file\n    1  \\xFF\\\\\n");
}
