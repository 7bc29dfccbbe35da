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
    let mut running = kit.start(&args);
    kit.wait_until("the first line and its checkpoint", || {
        kit.read("ck").contains("\"position\":19,") && kit.read("out") == "{\"a\":1}\n"
    });
    running.0.kill().unwrap();
    running.0.wait().unwrap();
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
    let args = [&job[..], &["--checkpoint", "ck"]].concat();
    let mut resumed = 0;
    for kill in 0..10_u64 {
        let mut running = kit.start(&args);
        sleep(Duration::from_millis(20 + kill * 7919 % 330));
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        resumed += u32::from(kit.path("ck").exists());
    }
    assert!(resumed > 0, "no kill came after a checkpoint");
    let run = kit.ok(&args);
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
    let refused = kit.run(&[&args[..], &["--unwrap", "cri"]].concat()).expect_status(1);
    assert!(refused.stderr.contains("unwrap: \"cri\""), "{}", refused.stderr);
}
