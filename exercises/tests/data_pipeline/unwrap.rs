//! Lines that are wrapped in others: container logs.

use std::fmt::Write;
use std::thread::sleep;
use std::time::Duration;

use crate::kit::{Kit, lines, sorted};

/// These lines as a runtime logs them: in pieces of `size` bytes, with lines of stderr between
/// them.
fn cri(text: &str, size: usize) -> String {
    let mut log = String::new();
    for line in text.lines() {
        let pieces = line.len().div_ceil(size);
        for (n, piece) in line.as_bytes().chunks(size).enumerate() {
            let (tag, piece) =
                (if n + 1 == pieces { "F" } else { "P" }, str::from_utf8(piece).unwrap());
            writeln!(log, "2026-03-01T00:00:00.123456789Z stdout {tag} {piece}").unwrap();
            if n % 3 == 1 {
                log += "2026-03-01T00:00:00.123456789Z stderr F starting up\n";
            }
        }
    }
    log
}

/// The position in the checkpoint is before the first piece of an unfinished line.
#[test]
fn a_line_in_pieces_over_a_checkpoint_and_a_kill_is_one_line() {
    let kit = Kit::new();
    let args = ["--file", "c.log", "--follow", "--unwrap", "cri", "--out", "out"];
    let args = [&args[..], &["--dead-letters", "dead", "--checkpoint", "ck"]].concat();
    kit.write("c.log", "t stdout F {\"a\":1}\nt stdout P {\"a\":\n");
    let running = kit.start(&args);
    kit.wait_until("the first line and its checkpoint", || {
        kit.read("ck").contains("\"position\":19,") && kit.read("out") == "{\"a\":1}\n"
    });
    running.kill();
    kit.append("c.log", "t stderr F {\"b\":1}\n");
    let running = kit.start(&args);
    sleep(Duration::from_millis(600)); // some checkpoints, none of which may move the position
    assert_eq!(running.stop(), Some(0));
    assert!(kit.read("ck").contains("\"position\":19,"), "{}", kit.read("ck"));
    kit.append("c.log", "t stdout F 2}\n");
    let running = kit.start(&args);
    // In the order in which the lines ended.
    let all = "{\"a\":1}\n{\"b\":1}\n{\"a\":2}\n";
    kit.wait_until("all lines", || kit.read("out") == all);
    assert_eq!(running.stop(), Some(0));
    assert_eq!(kit.read("dead"), "");
}

#[test]
fn killed_at_any_point_a_containers_log_comes_out_as_in_one_run() {
    let overlong = format!("{{\"long\":\"{}\"}}\n", "y".repeat(3 << 20));
    let input = cri(&(lines(0..60_000) + &overlong + &lines(60_000..120_000)), 30);
    let job = ["--file", "c.log", "--unwrap", "cri", "--out", "out", "--dead-letters", "dead"];
    let job = [&job[..], &["--by", "k", "--aggregates", "win", "--workers", "2"]].concat();
    let whole = Kit::new();
    whole.write("c.log", &input);
    whole.ok(&job);
    assert_eq!(whole.read("out"), lines(0..120_000));
    assert!(whole.read("dead").contains("longer than --max-line, part 2"));

    let kit = Kit::new();
    kit.write("c.log", &input);
    let run = kit.killed(&job, 10);
    assert!(run.stderr.contains("imbalance 0"), "{}", run.stderr);
    for output in ["out", "dead"] {
        assert!(kit.read(output) == whole.read(output), "{output} differs");
    }
    assert!(sorted(&kit.read("win")) == sorted(&whole.read("win")));
}

#[test]
fn dockers_lines_and_a_fields_text_are_unwrapped() {
    let kit = Kit::new();
    let log = r#"{"log":"{\"a\":1}\n","stream":"stdout","time":"t"}
{"log":"{\"a\":","stream":"stdout","time":"t"}
{"log":"{\"a\":3}\n","stream":"stderr","time":"t"}
{"log":"2}\n","stream":"stdout","time":"t"}
"#;
    kit.write("in", log);
    kit.ok(&["--file", "in", "--unwrap", "docker", "--where", "a<3", "--out", "out"]);
    assert_eq!(kit.read("out"), "{\"a\":1}\n{\"a\":2}\n");
    kit.write("in", "{\"kubernetes\":{},\"message\":\"{\\\"a\\\":1}\"}\n");
    kit.ok(&["--file", "in", "--unwrap", "message", "--where", "a=1", "--out", "out"]);
    assert_eq!(kit.read("out"), "{\"a\":1}\n");
    let refused = kit.run(&["--file", "in", "--unwrap", "a..b", "--out", "out"]).expect_status(2);
    assert!(refused.stderr.contains("--unwrap"), "{}", refused.stderr);
    assert_eq!(kit.read("out"), "{\"a\":1}\n", "nothing was cut");
}

/// Open windows depend on `--unwrap`.
#[test]
fn a_checkpoint_with_windows_belongs_to_what_is_unwrapped() {
    let kit = Kit::new();
    kit.write("in", &lines(0..10));
    let args = ["--file", "in", "--aggregates", "win", "--checkpoint", "ck"];
    kit.ok(&args);
    let refused = kit.run(&[&args[..], &["--unwrap", "cri"]].concat()).expect_status(2);
    assert!(refused.stderr.contains("unwrap: \"cri\""), "{}", refused.stderr);
}

/// `check --sample` joins the pieces as a run does, and shows the event and not its wrapping.
#[test]
fn a_sample_shows_the_events_that_a_run_would_take_out() {
    let kit = Kit::new();
    let event = |n: u32| format!("{{\"at\":{},\"a\":{n}}}", 1_772_323_200 + n);
    let shown = |unwrap: &str, log: &str, more: &[&str]| {
        kit.write("in", log);
        let args =
            ["check", "--sample", "in", "--unwrap", unwrap, "--time", "at", "--where", "a<3"];
        kit.command(&[&args[..], more].concat()).expect_status(0).stdout
    };
    let of = |number: u32, n: u32| {
        let (line, at) = (event(n), format!("   time    2026-03-01T00:00:0{n}Z (at)\n"));
        let (verdict, end) = if n < 3 { ("yes", "kept") } else { ("no", "filtered") };
        let window =
            if n < 3 { format!("   window  from 2026-03-01T00:00:0{n}Z\n") } else { String::new() };
        format!("{number}  {line}\n{at}   where   a<3: {verdict}, a is {n}\n{window}   => {end}\n")
    };
    let cri = format!(
        "t stdout P {}\nt stderr F {}\nt stdout F {}\nno CRI\nt stdout F ready\nt stdout P {{\n",
        &event(1)[..9],
        event(2),
        &event(1)[9..],
    );
    let all = shown("cri", &cri, &[]);
    let start = of(1, 2) + &of(2, 1) + "3  no CRI\n   => dead letter: not a line in CRI's format: ";
    assert!(all.starts_with(&start), "{all}\nand not\n{start}");
    assert!(all.contains("\n4  ready\n   => dead letter: expected value"), "{all}");
    assert!(all.ends_with("5 lines: 2 kept, 0 filtered, 3 dead letters\n"), "{all}");
    // What the last shown line is cut off from is not shown as torn.
    let first = shown("cri", &cri, &["-n", "2"]);
    assert_eq!(first, of(1, 2) + &of(2, 1) + "2 lines: 2 kept, 0 filtered, 0 dead letters\n");

    let docker = |n: u32, (from, to): (usize, usize), end: &str| {
        let text = event(n)[from..to.min(event(n).len())].replace('"', "\\\"");
        format!("{{\"log\":\"{text}{end}\",\"stream\":\"stdout\",\"time\":\"t\"}}\n")
    };
    let log = docker(1, (0, 9), "")
        + &docker(1, (9, 99), "\\n")
        + &docker(3, (0, 99), "\\n")
        + "{\"a\":1}\n";
    let all = shown("docker", &log, &[]);
    let start =
        of(1, 1) + &of(2, 3) + "3  {\"a\":1}\n   => dead letter: not a line in Docker's format: ";
    assert!(all.starts_with(&start), "{all}\nand not\n{start}");

    let field = |n: u32| format!("{{\"a\":9,\"m\":\"{}\"}}\n", event(n).replace('"', "\\\""));
    let all = shown("m", &(field(1) + "{\"m\":1}\n{\"a\":1}\n" + &field(3)), &[]);
    let dead = "2  {\"m\":1}\n   => dead letter: --unwrap m: the field holds no text\n\
                3  {\"a\":1}\n   => dead letter: --unwrap m: the field is missing\n";
    let totals = "4 lines: 1 kept, 1 filtered, 2 dead letters\n";
    assert_eq!(all, of(1, 1) + dead + &of(4, 3) + totals);
}
