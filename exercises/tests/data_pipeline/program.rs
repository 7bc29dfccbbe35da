//! What goes in and what comes out.

use std::fs;

use testkit::{Program, run, run_with_input};

use crate::kit::{Kit, PROGRAM, lines};

#[test]
fn survives_all_faults() {
    Program {
        path: PROGRAM,
        args: &["--for", "24h", "--for", "300ms", "--seed", "1"],
        bad: &[
            &["--for", "soon"],
            &["--pace", "-1"],
            &["--no-such-flag"],
            &["run", "--window", "1"],
            &["run", "--stdin", "--policy", "perhaps"],
            &["check", "--max-line", "much"],
        ],
        panics: &[&["--for", "300ms", "--seed", "1", "--panic-at", "2"]],
    }
    .check_faults();
}

#[test]
fn the_demo_stalls_and_balances() {
    let run = run(PROGRAM, &["--for", "600ms", "--seed", "1"]).expect_status(0);
    assert!(run.stdout.contains("The sink stalls"), "{run:#?}");
    assert!(run.stdout.contains("imbalance 0"), "{run:#?}");
}

#[test]
fn matching_lines_come_out_byte_for_byte() {
    let kit = Kit::new();
    let odd = "{\"status\" : 503,\"a\":\"\\u00e9\"}\r\n  {\"status\":500}\n{\"status\":200}\n\n{\"status\":501}";
    kit.write("in", odd);
    kit.ok(&["--file", "in", "--where", "status>=500", "--out", "out"]);
    let expected = "{\"status\" : 503,\"a\":\"\\u00e9\"}\r\n  {\"status\":500}\n{\"status\":501}\n";
    assert_eq!(kit.read("out"), expected);
}

#[test]
fn without_an_output_the_result_goes_to_stdout() {
    let input = "{\"ts\":0,\"v\":1}\n{\"ts\":1,\"v\":3}\n";
    let lines = run_with_input(PROGRAM, &["run", "--stdin"], input).expect_status(0);
    assert_eq!(lines.stdout, input);
    let windows = run_with_input(PROGRAM, &["run", "--stdin", "--p", "v"], input).expect_status(0);
    let window = |second, value| {
        format!(
            "{{\"window_start\":\"1970-01-01T00:00:0{second}Z\",\"key\":null,\"count\":1,\
             \"p50\":{value},\"p99\":{value}}}\n"
        )
    };
    assert_eq!(windows.stdout, window(0, 1) + &window(1, 3));
}

#[test]
fn unparsable_lines_are_kept_with_their_place_and_reason() {
    let kit = Kit::new();
    let input: &[u8] = b"{\"ts\":1}\nnot json\n\xff\xfe\n{\"ts\":\"when\"}\n{\"ts\":2,\"s\":\"\xff\"}\n{\"ts\":3}\n";
    fs::write(kit.path("in"), input).unwrap();
    kit.ok(&["--file", "in", "--out", "out", "--aggregates", "win", "--dead-letters", "dead"]);
    assert_eq!(kit.read("out"), "{\"ts\":1}\n{\"ts\":3}\n");
    let dead = kit.read("dead");
    let dead: Vec<_> = dead.lines().collect();
    assert_eq!(dead.len(), 4);
    assert!(
        dead[0].starts_with("{\"source\":\"in\",\"offset\":9,\"reason\":\"expected"),
        "{dead:?}"
    );
    assert!(dead[0].ends_with("\"raw\":\"not json\"}"), "{dead:?}");
    assert!(dead[1].ends_with("\"reason\":\"not UTF-8\",\"raw_base64\":\"//4K\"}"), "{dead:?}");
    let unread = "no time: the field ts holds \\\"when\\\", which is in no known form of time";
    assert!(dead[2].contains(unread), "{dead:?}");
    assert!(dead[3].contains("not UTF-8"), "{dead:?}");
}

/// Holds for small, negative and many values.
#[test]
fn quantiles_are_those_of_the_values() {
    let kit = Kit::new();
    let line = |key: &str, value: f64| format!("{{\"ts\":1,\"k\":\"{key}\",\"v\":{value}}}\n");
    let mut input: String =
        [0.1, 0.6, 0.3, 0.2, 0.5].iter().map(|ms| line("ms", ms / 1000.0)).collect();
    input.extend([-5.0, -1.0, 0.0, 2.0, 4.0].map(|value| line("signs", value)));
    input.extend((1..=100).map(|n| line("nanoseconds", f64::from(n) * 5e7)));
    kit.write("in", &input);
    kit.ok(&["--file", "in", "--by", "k", "--p", "v", "--aggregates", "win"]);
    let windows = kit.read("win");
    assert!(windows.contains(r#""key":"ms","count":5,"p50":0.0003,"p99":0.0006}"#), "{windows}");
    assert!(windows.contains(r#""key":"signs","count":5,"p50":0,"p99":4}"#), "{windows}");
    let line = windows.lines().find(|line| line.contains("nanoseconds")).unwrap();
    let window: serde_json::Value = serde_json::from_str(line).unwrap();
    for (quantile, exact) in [("p50", 2.5e9), ("p99", 4.95e9)] {
        let ours = window[quantile].as_f64().unwrap();
        assert!((ours / exact - 1.0).abs() <= 0.01, "{quantile} is {ours}, and not {exact}");
    }
}

#[test]
fn a_key_is_a_value_however_it_is_written() {
    let kit = Kit::new();
    let values = ["503", "503.0", "\"503\"", "0", "-0.0", "true", "\"true\""];
    kit.write("in", &values.map(|value| format!("{{\"ts\":1,\"k\":{value}}}\n")).concat());
    kit.ok(&["--file", "in", "--by", "k", "--aggregates", "win"]);
    let windows = kit.read("win");
    assert_eq!(windows.lines().count(), 5, "{windows}");
    for (key, count) in [("503", 2), ("\"503\"", 1), ("0", 2), ("true", 1), ("\"true\"", 1)] {
        assert!(windows.contains(&format!("\"key\":{key},\"count\":{count},")), "{windows}");
    }
    kit.ok(&["--file", "in", "--where", "k=\"true\"", "--out", "out"]);
    assert_eq!(kit.read("out"), "{\"ts\":1,\"k\":\"true\"}\n");
}

#[test]
fn conditions_are_joined_and_numbers_in_texts_are_counted() {
    let kit = Kit::new();
    let input = "{\"ts\":1,\"status\":\"503\",\"m\":\"GET\",\"time\":\"0.25\",\"h\":\"A\"}\n\
                 {\"ts\":1,\"status\":\"404\",\"m\":\"GET\",\"time\":\"0.5\",\"h\":\"a\"}\n\
                 {\"ts\":1,\"status\":\"502\",\"m\":\"POST\",\"time\":\"-\",\"h\":\"B\"}\n";
    kit.write("in", input);
    let lines: Vec<_> = input.split_inclusive('\n').collect();
    kit.ok(&["--file", "in", "--where", "num(status)>=500 && m=GET", "--out", "out"]);
    assert_eq!(kit.read("out"), lines[0]);
    kit.ok(&[
        "--file",
        "in",
        "--where",
        "not (num(status)>=500 and m in [GET, PUT])",
        "--out",
        "out",
    ]);
    assert_eq!(kit.read("out"), lines[1..].concat());
    let windows = ["--by", "lower(h)", "--p", "num(time)*1000", "--aggregates", "win"];
    kit.ok(&[&["--file", "in"], &windows[..]].concat());
    let windows = kit.read("win");
    assert!(windows.contains(r#""key":"a","count":2,"p50":250,"p99":500}"#), "{windows}");
    assert!(windows.contains(r#""key":"b","count":1,"p50":null,"p99":null}"#), "{windows}");
}

#[test]
fn a_checkpoint_with_quantiles_of_a_version_before_is_refused_in_one_line() {
    let kit = Kit::new();
    kit.write("in", "{\"ts\":1,\"v\":1}\n");
    let args = ["--file", "in", "--p", "v", "--aggregates", "win", "--checkpoint", "ck"];
    kit.ok(&args);
    let (_, body) =
        kit.read("ck").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let cell = r#"{"count":1,"few":[1.0],"many":null}"#;
    assert!(body.contains(cell), "{body}");
    let body = body.replace(cell, r#"{"count":1,"exact":true,"values":[[1000,1]]}"#);
    let sum = crc32(body.as_bytes());
    let head = kit.read("ck").split_once(' ').unwrap().0.to_owned();
    let version = kit.read("ck").lines().next().unwrap().split(' ').nth(2).unwrap().to_owned();
    fs::remove_file(kit.path("ck.prev")).ok();
    kit.write("ck", &format!("{head} checkpoint {version} {sum:08x}\n{body}"));
    let run = kit.run(&args).expect_status(1);
    assert!(run.stderr.contains("quantiles in thousandths"), "{run:#?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
}

/// gzip's CRC-32, bit by bit: the test must not trust the library that the program uses.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_line_of_10_mb_goes_to_the_dead_letters_in_bounded_memory() {
    let kit = Kit::new();
    let long = "z".repeat(10 << 20);
    kit.write("in", &format!("{{\"a\":1}}\n{long}\n{{\"a\":2}}\n"));
    let run = kit.ok(&["--file", "in", "--out", "out", "--dead-letters", "dead"]);
    assert_eq!(kit.read("out"), "{\"a\":1}\n{\"a\":2}\n");
    assert!(run.stderr.contains("read 3 = filtered 0 + dead 1 + accepted 2"), "{run:#?}");
    let raw: usize = kit.read("dead").matches('z').count();
    assert_eq!(raw, 10 << 20, "all of it is kept, in parts");
    let largest = kit.read("dead").lines().map(str::len).max();
    assert!(largest < Some(3 << 20), "{largest:?}");
}

#[test]
fn empty_files_give_no_events() {
    let kit = Kit::new();
    kit.write("in", "");
    let run = kit.ok(&["--file", "in", "--out", "out"]);
    assert!(run.stderr.contains("read 0 ="), "{run:#?}");
    assert_eq!(kit.read("out"), "");
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let kit = Kit::new();
    kit.write("in", "{\"a\":1}\n");
    let run = kit.run(&["--file", "in", "--file", "none", "--out", "out"]).expect_status(1);
    assert!(run.stderr.contains("no file matches --file none"), "{run:#?}");
}

#[test]
fn a_full_disk_is_an_error_and_no_checkpoint_covers_it() {
    let kit = Kit::new();
    kit.write("in", &lines(0..100_000)); // many chunks: reads wait for workers when it fails
    let run = kit.run(&["--file", "in", "--out", "/dev/full", "--checkpoint", "ck"]);
    let run = run.expect_status(1);
    assert!(run.stderr.contains("cannot write to /dev/full"), "{run:#?}");
    let checkpoint = kit.read("ck");
    assert!(
        checkpoint.matches("\"position\":").count()
            == checkpoint.matches("\"position\":0,").count(),
        "{checkpoint}"
    );
    kit.ok(&["--file", "in", "--out", "out", "--checkpoint", "ck"]);
    assert!(kit.read("out") == lines(0..100_000), "not all lines came");
}

#[test]
fn a_lost_chunk_shows_in_the_ledger() {
    let kit = Kit::new();
    kit.write("in", "{\"a\":1}\n{\"a\":2}\n");
    let run = kit.ok(&["--file", "in", "--out", "out", "--lose-chunk", "0"]);
    assert!(run.stderr.contains("imbalance 2"), "{run:#?}");
}

#[test]
fn a_clock_far_in_the_future_makes_no_other_source_late() {
    let kit = Kit::new();
    kit.write("a", "{\"ts\":\"2099-01-01T00:00:00Z\"}\n");
    kit.write("b", &lines(0..5000));
    let args = ["--file", "a", "--file", "b", "--aggregates", "win"];
    let run = kit.ok(&args);
    assert!(run.stderr.contains("late 0, imbalance 0"), "{run:#?}");
    assert_eq!(kit.read("win").lines().count(), 51, "{}", kit.read("win"));
}

#[test]
fn a_late_event_is_counted_apart_and_kept() {
    let kit = Kit::new();
    let input = "{\"ts\":100}\n{\"ts\":1}\n{\"ts\":101}\n";
    kit.write("in", input);
    let run = kit.ok(&["--file", "in", "--out", "out", "--aggregates", "win"]);
    assert!(run.stderr.contains("late 1, imbalance 0"), "{run:#?}");
    assert_eq!(kit.read("out"), input);
    assert_eq!(kit.read("win").lines().count(), 2);
}

#[test]
fn a_finished_run_goes_on_as_if_it_had_never_stopped_when_its_input_grows() {
    let kit = Kit::new();
    let args = [
        "--file",
        "in",
        "--by",
        "k",
        "--p",
        "v",
        "--out",
        "out",
        "--aggregates",
        "win",
        "--checkpoint",
        "ck",
    ];
    for part in [0..700, 0..701, 0..2000] {
        kit.write("in", &lines(part));
        kit.ok(&args);
    }
    let whole = Kit::new();
    whole.write("in", &lines(0..2000));
    whole.ok(&args[..args.len() - 2]);
    assert_eq!(kit.read("out"), whole.read("out"));
    assert_eq!(kit.read("win"), whole.read("win"));
}

#[test]
fn a_file_that_was_renamed_while_nothing_ran_is_read_to_its_end() {
    let kit = Kit::new();
    let args = ["--file", "app.log", "--out", "out", "--checkpoint", "ck"];
    kit.write("app.log", &lines(0..10));
    kit.ok(&args);
    kit.append("app.log", &lines(10..20));
    fs::rename(kit.path("app.log"), kit.path("app.log.1")).unwrap();
    kit.write("app.log", &lines(20..30));
    kit.ok(&args);
    assert_eq!(kit.read("out"), lines(0..30));
}

#[test]
fn check_prints_settings_that_mean_the_same() {
    let kit = Kit::new();
    kit.write("in", &lines(0..10));
    let args = ["check", "--file", "in", "--where", "v>3", "--out", "out", "--window", "5s"];
    let toml = kit.command(&args).expect_status(0).stdout;
    assert!(toml.contains("window = \"5s\"") && toml.contains("# keeps   v>3"), "{toml}");
    kit.write("p.toml", &toml);
    kit.ok(&["p.toml"]);
    assert_eq!(kit.read("out"), lines(4..10));
    let bad = kit.command(&["check", "--file", "in", "--where", "v"]).expect_status(2);
    assert!(bad.stderr.contains("invalid condition: expected FIELD OP VALUE"), "{bad:#?}");
}

#[test]
fn the_short_help_fits_on_a_screen_and_the_long_one_has_groups() {
    for command in ["run", "check"] {
        let short = run(PROGRAM, &[command, "-h"]).expect_status(0).stdout;
        assert!(short.lines().count() <= 22, "{short}"); // with the prompt before and after it
        assert!(short.lines().all(|line| line.len() < 80), "{short}");
        let long = run(PROGRAM, &["check", "--help"]).expect_status(0).stdout;
        let named = short.split([' ', '\n', ':']).filter(|word| word.starts_with("--"));
        let named: Vec<_> = named.collect();
        assert!(named.len() > 20 && named.iter().all(|flag| long.contains(flag)), "{named:?}");
        let long = run(PROGRAM, &[command, "--help"]).expect_status(0).stdout;
        let at = |heading: &str| long.find(&format!("\n{heading}:\n")).expect(heading);
        let groups = ["Sources", "Events", "Windows", "Sinks", "Run"].map(at);
        for (flag, group) in [("nats", 0), ("time-zone", 1), ("max-keys", 2), ("policy", 3)] {
            let flag = long.find(&format!(" --{flag} ")).expect(flag);
            assert!(groups[group] < flag && flag < groups[group + 1], "{long}");
        }
    }
}

/// Far more than `--max-keys`, if one file were read to its end before the other.
#[test]
fn files_that_are_far_apart_in_time_wait_for_each_other() {
    let kit = Kit::new();
    kit.write("a", &lines(0..400_000));
    kit.write("b", &lines(200_000..600_000));
    let args = ["--file", "a", "--file", "b", "--by", "k", "--aggregates", "win"];
    let run = kit.ok(&args);
    assert!(!kit.read("win").contains("other"), "{run:#?}");
}

#[test]
fn the_run_can_be_drawn() {
    let kit = Kit::new();
    let padded = format!("{{\"padding\":\"{}\",\"ts\"", "x".repeat(200));
    let text = lines(0..4000).replace("{\"ts\"", &padded); // chunks are full, and not cut
    kit.write("in", &text);
    let args = ["--file", "in", "--by", "k", "--out", "out", "--aggregates", "win", "--workers=1"];
    kit.ok(&[&args[..], &["--timeline", "run.svg", "--trace", "run.json"]].concat());
    let (picture, trace) = (kit.read("run.svg"), kit.read("run.json"));
    for lane in ["in 1", "worker 1", "windows", "out", "win"] {
        assert!(picture.contains(&format!(" {lane}: ")), "{lane} is missing in {picture}");
        assert!(trace.contains(lane.trim_end_matches(" 1")), "{lane} is missing in {trace}");
    }
    let chunks = text.len().div_ceil(256 * 1024); // besides the lines for the start and the end
    assert!(picture.contains(&format!("worker 1: {} pieces of work", chunks + 2)), "{picture}");
}

#[test]
fn no_password_of_a_url_is_shown() {
    let kit = Kit::new();
    kit.write("in", &lines(0..10));
    let refused = "nats://ada:s3cr3t@127.0.0.1:1/S";
    for args in [
        &["run", "--file", "in", "--out", refused][..],
        &["run", "--file", "in", "--out", "nats://ada:s3cr3t@127.0.0.1:1"],
        &["run", "--file", "in", "--out", "redis://ada:s3cr3t@127.0.0.1:1/S"],
        &["run", "--file", "in", "--out", refused, "--out", refused],
        &["run", "--nats", "ada:s3cr3t@127.0.0.1:1", "--stream", "S", "--consumer", "C"],
        &["check", "--file", "in", "--out", refused],
    ] {
        let run = kit.command(args);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains("127.0.0.1:1") && !text.contains("s3cr3t"), "{args:?}: {text}");
    }
}
