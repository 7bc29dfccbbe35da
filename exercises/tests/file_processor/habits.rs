//! What users of `wc`, `rg -c`, `tokei` and `cloc` expect.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{PROGRAM, has, json, output, paths, plant, program, run, with_input};

#[test]
fn the_long_options_of_wc_are_here_and_the_last_of_a_repeated_one_wins() {
    let dir = plant(&[("a", "one two\nthrée\n")]);
    let all = ["--lines", "--words", "--bytes", "--chars", "--max-line-length"];
    let short = json(dir.path(), &["-lwcmL", "a"], 0);
    assert_eq!(json(dir.path(), &[&all[..], &["a"]].concat(), 0), short);
    let (csv, _) = run(dir.path(), &["--format", "wc", "--format", "csv", "-l", "a"], 0);
    assert_eq!(csv, "path,lines\na,2\n");
    for moved in [&["--words", "unicode", "a"][..], &["--words=ascii", "a"]] {
        assert!(run(dir.path(), moved, 2).1.contains("--word-rule unicode"));
    }
    let words = json(dir.path(), &["--word-rule", "unicode", "--words", "a"], 0);
    assert_eq!(words["total"], json!({"files": 1, "words": 3}));
}

#[test]
fn stdin_is_counted_if_it_is_a_pipe_or_a_file_and_no_path_was_given() {
    let dir = plant(&[("a", "x\ny\n")]);
    let mut piped = program();
    let counts = with_input(piped.args(["--format", "csv", "-l"]).current_dir(&dir), b"1\n2\n3\n");
    assert_eq!(String::from_utf8(counts).unwrap(), "path,lines\n-,3\n");
    let mut file = program();
    file.args(["--format", "csv", "-l"]).current_dir(&dir);
    let counts = output(file.stdin(File::open(dir.path().join("a")).unwrap()));
    assert_eq!(String::from_utf8(counts.stdout).unwrap(), "path,lines\n-,2\n");
    // Neither: the current directory, as when stdin is a terminal.
    assert_eq!(run(dir.path(), &["--format", "csv", "-l"], 0).0, "path,lines\na,2\n");
    if has("script") {
        let mut script = Command::new("script");
        script.args(["-qc", &format!("{PROGRAM} -q --format csv -l"), "/dev/null"]);
        let seen = output(script.current_dir(&dir).stdin(Stdio::null()));
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), "path,lines\r\na,2\r\n");
    }
}

#[test]
fn binary_files_are_counted_or_left_out_with_a_note() {
    let far = format!("{}\0", "x\n".repeat(4096));
    let dir = plant(&[("a", "x x\n"), ("b", "y\0\n"), ("far", &far)]);
    let args = ["--format", "json", "-l"];
    let (stdout, stderr) = run(dir.path(), &[&args[..], &["--binary", "skip"]].concat(), 0);
    let result: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(paths(&result["files"]), ["a", "far"]);
    assert_eq!((&result["skipped_binary"], &result["total"]["files"]), (&json!(1), &json!(2)));
    assert_eq!(stderr, "note: 1 binary file left out; --binary count counts it\n");
    assert_eq!(json(dir.path(), &["-l"], 0)["total"]["files"], 3);
    assert_eq!(json(dir.path(), &["--top", "1"], 0)["total"]["files"], 2);
    assert_eq!(json(dir.path(), &["--top", "1", "--binary", "count"], 0)["total"]["files"], 3);
    assert_eq!(run(dir.path(), &["--binary", "skip", "-q", "b"], 0).1, "");
}

#[test]
fn rows_and_groups_can_be_sorted() {
    let dir =
        plant(&[("a.c", "1\n2\n"), ("b.rs", "a b c d\n"), ("c.rs", "1\n2\n3\n"), ("d.md", "")]);
    let sorted = |args: &[&str]| {
        let result = json(dir.path(), args, 0);
        paths(&result["files"]).join(" ")
    };
    assert_eq!(sorted(&["--sort", "lines"]), "c.rs a.c b.rs d.md");
    assert_eq!(sorted(&["--sort", "lines", "--reverse"]), "d.md b.rs a.c c.rs");
    assert_eq!(sorted(&["--sort", "words", "-l"]), "b.rs c.rs a.c d.md");
    assert_eq!(sorted(&["--sort", "bytes"]), "b.rs c.rs a.c d.md");
    assert_eq!(sorted(&["--sort", "path", "d.md", "a.c", "."]).split(' ').next(), Some("./a.c"));
    let (csv, _) = run(dir.path(), &["--format", "csv", "--by", "ext", "--sort", "lines", "-l"], 0);
    assert_eq!(csv, "ext,files,lines\nrs,2,4\nc,1,2\nmd,1,0\n");
    run(dir.path(), &["--reverse"], 2);
}

#[test]
fn types_and_globs_are_ripgreps() {
    let dir = plant(&[
        ("A.RS", "x\n"),
        ("b.rs", "x\n"),
        ("c.md", "x\n"),
        ("sub/deep/d.rs", "x\n"),
        (".rgignore", "c.md\n"),
    ]);
    let files = |args: &[&str]| json(dir.path(), args, 0)["files"].clone();
    assert_eq!(paths(&files(&["--iglob", "*.rs"])), ["A.RS", "b.rs", "sub/deep/d.rs"]);
    assert_eq!(paths(&files(&["--glob", "*.rs"])), ["b.rs", "sub/deep/d.rs"]);
    assert_eq!(paths(&files(&[])), ["A.RS", "b.rs", "sub/deep/d.rs"]);
    assert_eq!(paths(&files(&["--max-depth", "1"])), ["A.RS", "b.rs"]);
    assert_eq!(paths(&files(&["-d", "2", "."])), ["./A.RS", "./b.rs"]);
    assert_eq!(paths(&files(&["-d", "3"])), ["A.RS", "b.rs", "sub/deep/d.rs"]);
    let types = run(dir.path(), &["--type-list"], 0).0;
    assert!(types.lines().any(|line| line == "rust: *.rs"), "{types}");
    let (_, stderr) = run(dir.path(), &["--type", "rusr"], 2);
    assert!(stderr.contains("there is no type `rusr`; did you mean `rust`?"), "{stderr}");
}

#[test]
fn a_pattern_that_matches_nothing_gets_a_note() {
    let dir = plant(&[("a.rs", "x\n")]);
    let args =
        ["-l", "-g", "*.rs", "-g", "*.xyz", "--iglob", "*.ABC", "-g", "!*.zip", "-t", "rust"];
    let (_, stderr) = run(dir.path(), &[&args[..], &["."]].concat(), 0);
    assert_eq!(
        stderr,
        "note: no file matches --glob '*.xyz'\nnote: no file matches --iglob '*.ABC'\n"
    );
    assert_eq!(run(dir.path(), &["-l", "-t", "py", "."], 0).1, "note: no file matches --type py\n");
    assert_eq!(run(dir.path(), &["-q", "-t", "py", "."], 0).1, "");
}

#[test]
fn an_error_suggests_what_was_probably_meant() {
    let dir = plant(&[("a", "x\n"), ("docs/b", "y\n"), ("list", "a\ndocs/b\n")]);
    let reason = |args: &[&str]| {
        json(dir.path(), args, 1)["errors"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason(&["*.rs"]).ends_with("; a pattern is given with --glob"));
    assert!(reason(&["--files0-from", "list"]).ends_with("with a NUL, as find -print0 does"));
    assert_eq!(paths(&json(dir.path(), &["-g", "!docs", "-g", "!list"], 0)["files"]), ["a"]);
    for zero in [["-j", "0"], ["--top", "0"]] {
        assert!(run(dir.path(), &zero, 2).1.contains("expected a number of at least 1"));
    }
}

#[test]
fn groups_are_subtrees_to_a_depth_and_extensions_of_any_case() {
    let dir =
        plant(&[("t/a.RS", "1\n"), ("t/x/b.rs", "1\n2\n"), ("t/x/y/c", "1\n"), ("u/d", "1\n")]);
    let by = |by: &str, paths: &[&str]| {
        let args = [&["--format", "csv", "-l", "--by", by][..], paths].concat();
        run(dir.path(), &args, 0).0
    };
    assert_eq!(by("dir=1", &["t"]), "dir,files,lines\nt,3,4\nt/x,2,3\n");
    assert_eq!(by("dir=1", &[]), "dir,files,lines\n.,4,5\nt,3,4\nu,1,1\n");
    assert_eq!(by("dir=0", &["t", "u"]), "dir,files,lines\nt,3,4\nu,1,1\n");
    assert_eq!(by("dir", &["t"]), "dir,files,lines\nt,1,1\nt/x,1,2\nt/x/y,1,1\n");
    assert_eq!(by("ext", &["t"]), "ext,files,lines\n,1,1\nrs,2,3\n");
    assert!(run(dir.path(), &["--by", "dir=x"], 2).1.contains("expected ext, dir or dir=DEPTH"));
}

#[test]
fn bytes_alone_are_known_without_reading() {
    let dir = tempdir().unwrap();
    let huge = File::create(dir.path().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap(); // reading it would take minutes
    fs::write(dir.path().join("small"), "12345").unwrap();
    let result = json(dir.path(), &["-c"], 0);
    assert_eq!(result["total"]["bytes"], (1_u64 << 40) + 5);
    // If the size says nothing, the file is read.
    for file in ["/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(text) = fs::read(file) else { continue };
        let said = fs::metadata(file).unwrap().size();
        assert_ne!(said, text.len() as u64, "{file}");
        assert_eq!(json(Path::new("/"), &["-c", file], 0)["total"]["bytes"], text.len());
    }
}

#[test]
fn a_terminal_gets_grouped_digits_and_colours_unless_told_otherwise() {
    if !has("script") {
        return;
    }
    let dir = plant(&[("a", &"x\n".repeat(12_345)), ("b", "")]);
    let seen = |variables: &str| {
        let mut script = Command::new("script");
        let command = format!("{variables} {PROGRAM} -q -l a b gone");
        script.args(["-qc", &command, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
        let seen = output(script.current_dir(&dir).stdin(Stdio::null()));
        String::from_utf8(seen.stdout).unwrap()
    };
    let colored = seen("");
    assert!(colored.contains("12,345  a\r\n"), "{colored}");
    assert!(colored.contains("\u{1b}[1m12,345  total of 2 files\u{1b}[0m"), "{colored:?}");
    assert!(colored.contains("\u{1b}[31m1 error"), "{colored:?}");
    let plain = seen("NO_COLOR=1");
    assert!(plain.contains("12,345") && !plain.contains("\u{1b}["), "{plain:?}");
    assert!(run(dir.path(), &["-l", "a"], 0).0.contains("12345  a\n"));
}

#[test]
fn completions_and_the_man_page_stand_in_the_help_and_anywhere_on_the_line() {
    let dir = tempdir().unwrap();
    let (help, _) = run(dir.path(), &["--help"], 0);
    for flag in ["--man", "--completions", "--type-list", "Exit status:", "Examples:"] {
        assert!(help.contains(flag), "{flag}");
    }
    let (man, _) = run(dir.path(), &["-l", "src", "--man"], 0);
    for section in [".SH \"EXIT STATUS\"", ".SH \"EXAMPLES\"", "file\\-processor \\-\\-top 10 docs"]
    {
        assert!(man.contains(section), "{section}: {man}");
    }
    let (bash, _) = run(dir.path(), &["-l", "--completions", "bash"], 0);
    assert!(bash.contains("max-depth"));
    run(dir.path(), &["--man", "--completions=zsh"], 2);
}

#[test]
fn a_thread_that_cannot_be_started_says_how_many_were_asked_for() {
    if !has("prlimit") {
        return;
    }
    let dir = plant(&[("a", "x\n")]);
    // The stacks of all threads need more address space than there is.
    let script = format!("ulimit -n 100000; exec prlimit --as=700000000 {PROGRAM} -j 2000 a");
    let output = output(Command::new("bash").args(["-c", &script]).current_dir(&dir));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(" of 2000: ") && stderr.contains("try fewer with --jobs"), "{stderr}");
}

/// The two commands of each row of the page's table.
fn instead_of() -> Vec<(String, String)> {
    let page = include_str!("../../src/file_processor/README.md");
    let table = page.split("| instead of | write |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.replace("\\|", "\0");
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').replace('\0', "|"));
        (cells.nth(1).unwrap(), cells.next().unwrap())
    };
    rows.map(cells).collect()
}

/// All numbers in a text, sorted.
fn numbers(text: &str) -> Vec<u64> {
    let words = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let mut numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn each_line_of_the_pages_table_gives_the_same_numbers() {
    let dir = plant(&[
        ("notes.md", "one two one\nthree two one\n"),
        ("src/a.rs", "fn main() {\n    run();\n}\n"),
        ("src/b.rs", "// one\n\nfn run() {}\n// two\n"),
    ]);
    let shell = |command: &str| {
        let bin = Path::new(PROGRAM).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&dir).env("PATH", path).env("LC_ALL", "C.UTF-8");
        let output = output(shell.stdin(Stdio::null()));
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let rows = instead_of();
    assert!(rows.len() >= 10, "{rows:?}");
    for (theirs, ours) in rows {
        let tool = ["git", "rg", "tokei", "cloc"].into_iter().find(|tool| theirs.contains(tool));
        if tool.is_some_and(|tool| !has(tool)) {
            continue;
        }
        if tool == Some("git") {
            shell("git init --quiet && git add notes.md src");
        }
        let (their_text, our_text) = (shell(&theirs), shell(&ours));
        let (their_numbers, our_numbers) = (numbers(&their_text), numbers(&our_text));
        assert!(!our_numbers.is_empty(), "{ours}: {our_text}");
        match tool {
            // These print more than lines; the numbers that both print are the same.
            Some("tokei" | "cloc") => {
                let theirs_too = |number: &u64| their_numbers.contains(number);
                assert!(our_numbers.iter().all(theirs_too), "{their_text}\n{our_text}");
            }
            _ => assert_eq!(our_numbers, their_numbers, "{theirs}: {their_text}\n{our_text}"),
        }
        if tool == Some("git") {
            fs::remove_dir_all(dir.path().join(".git")).unwrap();
        }
    }
}
