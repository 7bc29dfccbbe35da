//! `--format wc`, compared with the installed `wc`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::tempdir;

use super::{PROGRAM, has, output, plant, run};

/// Whether GNU's `wc` is here; says so if not.
fn has_gnu_wc() -> bool {
    has("wc") && {
        let version = output(Command::new("wc").arg("--version")).stdout;
        let gnu = String::from_utf8_lossy(&version).contains("GNU");
        if !gnu {
            eprintln!("skipped: this wc is not GNU's");
        }
        gnu
    }
}

fn stdout(program: &str, before: &[&str], args: &[OsString], dir: &Path, stdin: Stdio) -> Vec<u8> {
    let mut command = Command::new(program);
    // A locale in which characters are those of UTF-8, and which every GNU system has.
    command.env("LC_ALL", "C.UTF-8").args(before).args(args).current_dir(dir).stdin(stdin);
    output(&mut command).stdout
}

fn assert_same(args: &[OsString], dir: &Path, stdin: impl Fn() -> Stdio) {
    let ours = stdout(PROGRAM, &["--format", "wc"], args, dir, stdin());
    let theirs = stdout("wc", &[], args, dir, stdin());
    let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    assert_eq!(text(&ours), text(&theirs), "{args:?}");
}

/// Names in which characters that `wc` quotes are common, and others too.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => prop::sample::select(b"ab \\\"$~#".to_vec()).prop_map(|byte| vec![byte]),
        3 => prop::sample::select(b"\n\t\r\x1b'\x07\x7f".to_vec()).prop_map(|byte| vec![byte]),
        1 => prop::sample::select(vec!["é", "漢"]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec![0xC3, 0xFF, 0x80]).prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(part, 1..6).prop_map(|parts| [b"n".to_vec(), parts.concat()].concat())
}

/// Words that every version of `wc` counts: each has a printable character.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::sample::select(vec!["a", "bc", " ", "\n", "é", "漢字", "e\u{301}"]),
        2 => prop::sample::select(vec!["\t", "\r", "\x0c", "\r\n", "    ", "\x0b"]),
        2 => prop::sample::select(vec!["\u{a0}", "\u{1680}", "\u{2003}", "\u{2007}", "\u{202f}"]),
        1 => prop::sample::select(vec!["\u{205f}", "\u{2060}", "\u{3000}", "a\u{85}", "a\u{2028}b", "a\u{2029}"]),
    ];
    let parts =
        (prop::collection::vec(part, 0..40), prop_oneof![9 => Just(1_usize), 1 => Just(300)]);
    parts.prop_map(|(parts, times)| parts.concat().repeat(times).into_bytes())
}

#[test]
fn five_hundred_random_lists_give_what_wc_gives() {
    if !has_gnu_wc() {
        return;
    }
    let dir = tempdir().unwrap();
    let files = prop::collection::vec((name(), text()), 1..6);
    let others =
        prop::sample::subsequence(vec!["-", "gone", "/dev/null", "/proc/self/limits"], 0..3);
    let flags = prop::sample::subsequence(vec!["-l", "-w", "-m", "-c", "-L"], 0..=5);
    let lists = (files, others, flags, any::<bool>());
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let tested = runner.run(&lists, |(files, others, flags, listed)| {
        let mut names: Vec<OsString> = Vec::new();
        for (name, text) in files {
            let name = OsString::from_vec(name);
            fs::write(dir.path().join(&name), text).unwrap();
            names.push(name);
        }
        names.extend(others.iter().map(OsString::from));
        let mut args: Vec<OsString> = flags.iter().map(OsString::from).collect();
        if listed {
            names.retain(|name| name != "-");
            let list: Vec<u8> =
                names.iter().flat_map(|it| [it.as_encoded_bytes(), &[0]].concat()).collect();
            fs::write(dir.path().join("list"), list).unwrap();
            args.push("--files0-from=list".into());
        } else {
            args.extend(names);
        }
        let stdin = dir.path().join("stdin");
        fs::write(&stdin, "from stdin\n").unwrap();
        assert_same(&args, dir.path(), || File::open(&stdin).unwrap().into());
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn rows_and_widths_are_those_of_wc() {
    if !has_gnu_wc() {
        return;
    }
    let dir = plant(&[
        ("a", "one two\nthree"),
        ("d", &"many words\n".repeat(12345)),
        ("none", ""),
        ("one", "a\0"),
        ("two", "a\0gone\0d"),
        ("same", "a\0a\0"),
    ]);
    let cases: [&[&str]; 18] = [
        &["a"],
        &["-l", "a"],
        &["a", "d"],
        &["-l", "a", "d"],
        &["-lw", "d"],
        &["a", "gone"],
        &["gone"],
        &["-c", "gone", "a"],
        &["/dev/null"],
        &["-l", "/dev/null"],
        &["a", "/dev/null"],
        &["-"],
        &["-l", "-"],
        &["a", "-"],
        &["--files0-from=none"],
        &["--files0-from=one"],
        &["--files0-from=two"],
        &["-l", "--files0-from=same"],
    ];
    for args in cases {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        assert_same(&args, dir.path(), Stdio::null);
        assert_same(&args, dir.path(), || File::open(dir.path().join("d")).unwrap().into());
    }
    // No path: stdin, which then has no name.
    for args in [&[][..], &["-l"], &["-lc"]] {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        assert_same(&args, dir.path(), || File::open(dir.path().join("d")).unwrap().into());
    }
}

#[test]
fn a_pipe_has_the_width_of_an_unknown_size() {
    if !has_gnu_wc() {
        return;
    }
    let script = |program: &str, args: &str| {
        let script = format!("export LC_ALL=C.UTF-8; printf 'a b\\nc' | {program} {args}");
        output(Command::new("sh").args(["-c", &script]).stdin(Stdio::null())).stdout
    };
    for args in ["", "-l", "-", "-lw -"] {
        let ours = script(&format!("{PROGRAM} --format wc"), args);
        assert_eq!(ours, script("wc", args), "{args}");
    }
    // `wc` does not know a list from a pipe beforehand either.
    let list = |program: &str| {
        let script = format!("printf '/dev/null\\0/etc/passwd\\0' | {program} --files0-from=-");
        output(Command::new("sh").args(["-c", &script])).stdout
    };
    assert_eq!(list(&format!("{PROGRAM} --format wc")), list("wc"));
}

#[test]
fn the_total_comes_when_wc_prints_it() {
    let dir = plant(&[("a", "x\n"), ("b", "y z\n")]);
    let total = |when: &str, args: &[&str]| {
        let when = format!("--total={when}");
        run(dir.path(), &[&["--format", "wc", "-l", &when][..], args].concat(), 0).0
    };
    assert_eq!(total("auto", &["a"]), "1 a\n");
    assert_eq!(total("always", &["a"]), "1 a\n1 total\n");
    assert_eq!(total("never", &["a", "b"]), "1 a\n1 b\n");
    assert_eq!(total("only", &["a", "b"]), "2\n");
    assert_eq!(run(dir.path(), &["--format", "wc", "-s", "a", "b"], 0).0, "2 3 6\n");
}

#[test]
fn a_format_that_cannot_show_something_refuses_it_before_anything_is_opened() {
    let dir = plant(&[("a", "x\n")]);
    let cases: [&[&str]; 6] = [
        &["--format", "wc", "--by", "ext"],
        &["--format", "wc", "--top", "3"],
        &["--format", "csv", "--top", "1", "--by", "dir"],
        &["--format", "csv", "--total=always"],
        &["--format", "json", "--total=never"],
        &["--glob", "a["],
    ];
    for args in cases {
        let files = ["--errors", "errors", "--timeline", "run.svg", "--trace", "run.json", "a"];
        let (stdout, stderr) = run(dir.path(), &[args, &files].concat(), 2);
        assert!(stdout.is_empty() && stderr.starts_with("error: "), "{args:?}: {stderr}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{args:?}");
    }
}
