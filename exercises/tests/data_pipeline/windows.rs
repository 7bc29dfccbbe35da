//! The columns of windows.

use crate::kit::{Kit, lines, sorted};

const EVENTS: &str = r#"{"ts":1772323200000,"s":"a","st":200,"v":1,"f":0.1,"n":9007199254740993}
{"ts":1772323200100,"s":"a","st":200,"v":5,"f":0.2,"n":2}
{"ts":1772323200200,"s":"a","v":2,"f":0.3}
{"ts":1772323200300,"s":"b","st":"x","v":-7}
"#;

#[test]
fn keys_of_several_fields_and_the_columns_that_were_asked_for() {
    let kit = Kit::new();
    kit.write("in", EVENTS);
    let args = ["--file", "in", "--by", "s,st", "--p", "v", "--q", "0.5,0.9,0.999", "--sum", "f"];
    let more = ["--sum", "n", "--min", "v", "--max", "v", "--aggregates", "win"];
    let run = kit.ok(&[&args[..], &more].concat());
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let start = r#"{"window_start":"2026-03-01T00:00:00Z","key":"#;
    let wanted = [
        r#"{"s":"a","st":200},"count":2,"p50":1,"p90":5,"p99.9":5,"sum_f":0.30000000000000004,"sum_n":9007199254740995,"min_v":1,"max_v":5}"#,
        r#"{"s":"a","st":null},"count":1,"p50":2,"p90":2,"p99.9":2,"sum_f":0.3,"sum_n":null,"min_v":2,"max_v":2}"#,
        r#"{"s":"b","st":"x"},"count":1,"p50":-7,"p90":-7,"p99.9":-7,"sum_f":null,"sum_n":null,"min_v":-7,"max_v":-7}"#,
    ];
    assert_eq!(kit.read("win"), wanted.map(|line| format!("{start}{line}\n")).concat());
}

#[test]
fn each_field_that_no_event_had_is_named() {
    let kit = Kit::new();
    kit.write("in", EVENTS);
    let args =
        ["--file", "in", "--by", "s,none", "--sum", "s", "--max", "v", "--aggregates", "win"];
    let stderr = kit.ok(&args).stderr;
    assert!(
        stderr.contains("--by none: none of 4 events had a single value in the field"),
        "{stderr}"
    );
    assert!(stderr.contains("--sum s: none of 4 events had a number in the field"), "{stderr}");
    assert!(!stderr.contains("--by s:") && !stderr.contains("--max v:"), "{stderr}");
}

#[test]
fn killed_at_any_point_the_columns_are_those_of_one_run() {
    let job = ["--file", "*.log", "--by", "k", "--p", "v", "--q", "0.9", "--derive", "t=v/3"];
    let more = ["--sum", "v", "--sum", "t", "--min", "t", "--aggregates", "win"];
    let job = [&job[..], &more, &["--max-keys", "100000"]].concat();
    let write = |kit: &Kit| {
        kit.write("a.log", &lines(0..150_000));
        kit.write("b.log", &lines(70_000..250_000));
    };
    let whole = Kit::new();
    write(&whole);
    whole.ok(&job);
    let kit = Kit::new();
    write(&kit);
    let args = [&job[..], &["--checkpoint", "ck"]].concat();
    let running = kit.start(&args);
    kit.wait_until("windows in a checkpoint", || kit.read("ck").contains("\"totals\":["));
    running.kill();
    kit.killed(&job, 9);
    assert!(sorted(&kit.read("win")) == sorted(&whole.read("win")));
}

/// A checkpoint of a run without these columns equals those of earlier versions: it is read, and if
/// the columns differ it is refused with a remedy.
#[test]
fn a_checkpoint_belongs_to_its_columns() {
    let kit = Kit::new();
    kit.write("in", &lines(0..50));
    let args =
        ["--file", "in", "--by", "k", "--p", "v", "--aggregates", "win", "--checkpoint", "ck"];
    kit.ok(&args);
    let saved = kit.read("ck");
    assert!(
        !saved.contains("totals") && !saved.contains("sum:") && !saved.contains("q:"),
        "{saved}"
    );
    kit.append("in", &lines(50..90));
    kit.ok(&args);
    assert_eq!(kit.read("win").matches("\"count\":").count(), 7);
    for more in [["--sum", "v"], ["--max", "v"], ["--q", "0.9"]] {
        let refused = kit.run(&[&args[..], &more].concat()).expect_status(2);
        assert!(refused.stderr.contains("--reset-windows"), "{}", refused.stderr);
    }
}
