//! What it counts, and how it prints that.

use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{has, json, plant, program, run, with_input};

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

fn unaligned(listing: &[u8]) -> Vec<String> {
    let listing = String::from_utf8_lossy(listing);
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    listing.lines().map(line).collect()
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
        let args = ["--top", "2", "--word-rule", "unicode", "-j", jobs];
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
