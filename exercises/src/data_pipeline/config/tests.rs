use std::fs;
use std::path::PathBuf;

use bytesize::ByteSize;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn flags_overrule_the_file() {
    let (_dir, path) = file("file = ['a']\nwindow = '5s'\nby = 'service'\nwhere = ['a>1']\n");
    let flags = Config { window: Some(Duration::from_secs(1)), ..Config::default() };
    let config = flags.load(Some(&path)).unwrap();
    assert_eq!(config.window, Some(Duration::from_secs(1)));
    assert_eq!(
        (config.by, &config.conditions[..]),
        (vec!["service".to_owned()], &["a>1".to_owned()][..])
    );
    assert_eq!(config.aggregates.as_deref(), Some("-"));
}

#[test]
fn the_effective_settings_are_a_file_that_means_the_same() {
    let flags = Config { stdin: true, policy: vec![WhenFull::Drop], ..Config::default() };
    let config = flags.load(None).unwrap();
    let (_dir, path) = file(&config.explain());
    assert_eq!(Config::default().load(Some(&path)).unwrap(), config);
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let (_dir, path) = file("stdin = true\nwindow = 'soon'\n");
    let err = Config::default().load(Some(&path)).unwrap_err();
    assert!(err.contains("p.toml") && err.contains("line 2") && err.contains("soon"), "{err}");
    let (_dir, path) = file("fiel = ['a']\n");
    let err = Config::default().load(Some(&path)).unwrap_err();
    assert!(err.contains("fiel") && err.contains("line 1"), "{err}");
}

#[test]
fn a_list_of_one_may_be_written_without_brackets() {
    let (_dir, path) = file(
        "file = 'a'\nwhere = 'a>1'\npolicy = 'drop'\nout = ['b', 'c']\nq = 0.5\np = 'n'\naggregates = 'w'\n",
    );
    let config = Config::default().load(Some(&path)).unwrap();
    assert_eq!((config.file, config.conditions), (vec!["a".into()], vec!["a>1".into()]));
    assert_eq!((config.policy, config.out.len(), config.q), (vec![WhenFull::Drop], 2, vec![0.5]));
    // A text is what the flag takes.
    let (_dir, path) = file(
        "file = 'a'\nby = ['k', '\"b,c\"']\nq = '0.5,.9'\np = 'n'\nworkers = '3'\naggregates = 'w'\n",
    );
    let config = Config::default().load(Some(&path)).unwrap();
    assert_eq!((config.keys(), &config.q[..]), (vec!["k", "\"b,c\""], &[0.5, 0.9][..]));
    assert_eq!(config.workers, Some(3));
}

#[test]
fn an_error_in_a_file_has_its_line_a_caret_and_the_right_form() {
    for (text, message) in [
        (
            "file = 'a'\nmax_line = '1MiB'\n",
            "line 2: unknown setting `max_line`; the nearest is `max-line`\n  max_line = '1MiB'\n  ^",
        ),
        (
            "workers = 'two'\n",
            "line 1: invalid digit found in string; expected workers = N: Threads that parse",
        ),
        (
            "\n follow = 'yes'",
            "line 2: expected true or false; expected follow = true: Go on reading",
        ),
        ("file = ['a'", "line 1: "),
        ("window = 5\n", "\n  window = 5\n           ^"),
        ("window = 5\n", "line 1: a duration is a number with a unit, such as 5s or 200ms: "),
        ("idle = '5'\n", "a unit, such as 5s or 200ms: "),
        ("q = '0.5,x'\n", "invalid float literal; expected q = SHARE[,SHARE]: Which quantiles"),
        ("p = ['a', 'b']\n", "expected one value; expected p = FIELD: The field to compute"),
        ("policy = ['drop', 'x']\n", "[possible values: block, drop]; expected policy = "),
        ("out = 5\n", "expected a text; expected out = SINK: "),
        ("stdin = [true]\n", "expected true or false"),
    ] {
        let (_dir, path) = file(text);
        let err = Config::default().load(Some(&path)).unwrap_err();
        assert!(err.contains(&format!("p.toml, {}", "line ")) && err.contains(message), "{err}");
    }
    let (_dir, path) = file("stdin = true\nwhere = [\n  'a>x',\n]\n");
    let refusal = located(Some(&path), "invalid condition: why\n  a>x\n    ^");
    assert!(refusal.ends_with("p.toml, line 3: invalid condition: why\n  a>x\n    ^"), "{refusal}");
    assert_eq!(located(None, "why\n  a>x"), "why\n  a>x");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let with = |change: fn(&mut Config)| {
        let mut config = Config { stdin: true, ..Config::default() };
        change(&mut config);
        config.load(None)
    };
    assert!(with(|_| ()).is_ok());
    assert!(with(|config| config.stdin = false).is_err());
    assert!(with(|config| config.follow = true).is_err());
    assert!(with(|config| config.workers = Some(0)).is_err());
    assert!(with(|config| config.policy = vec![WhenFull::Block; 2]).is_err());
    assert!(with(|config| config.window = Some(Duration::ZERO)).is_err());
    let short = with(|config| {
        (config.unwrap, config.max_line) = (Some("docker".into()), Some(ByteSize::kib(127)));
    });
    assert!(short.unwrap_err().contains("--unwrap docker needs a --max-line"));
    assert!(with(|config| config.id_field = Some("a.b".into())).is_err());
    let by = with(|config| (config.by, config.out) = (vec!["k".into()], vec!["o".into()]));
    assert_eq!(by.unwrap_err(), "--by has no effect without windows; add --aggregates FILE");
    let q = |shares: &'static [f64]| {
        let config = Config { stdin: true, p: Some("v".into()), ..Config::default() };
        Config { q: shares.to_vec(), ..config }.load(None)
    };
    assert!(q(&[0.0, 1.0]).is_ok() && q(&[1.5]).is_err() && q(&[f64::NAN]).is_err());
    assert!(q(&[0.5, 0.5]).unwrap_err().contains("two columns are called p50"));
    assert!(with(|config| config.q = vec![0.5]).unwrap_err().contains("--p"));
    assert!(with(|config| config.out = vec!["same".into(), "same".into()]).is_err());
}
