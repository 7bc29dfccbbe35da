//! A run reports what it did not do: once, on stderr, and in a counter.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::kit::{Kit, address, get, lines, metric};

/// How often a run has said this.
fn told(stderr: &str, text: &str) -> usize {
    stderr.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_source_that_gives_nothing_is_named() {
    let kit = Kit::new();
    kit.write("in", &lines(0..3));
    kit.write("empty", "");
    fs::create_dir(kit.path("dir")).unwrap();
    assert!(Command::new("mkfifo").arg(kit.path("fifo")).status().unwrap().success());
    let run = kit.ok(&["--file", "in", "--out", "out", "--file", "empty"]);
    assert_eq!(told(&run.stderr, "empty gave nothing"), 1, "{run:#?}");
    assert_eq!(told(&run.stderr, "nothing"), 1, "{run:#?}");
    assert_eq!(kit.read("out"), lines(0..3));
    // A source that is no file is as wrong as one that is missing, alone or beside others.
    for (source, text) in [
        ("dir", "error: --file dir gives nothing: dir is a directory; write DIRECTORY/*"),
        ("di*", "error: --file di* gives nothing: dir is a directory; write DIRECTORY/*"),
        ("fifo", "error: --file fifo gives nothing: fifo is a FIFO; read it with --stdin"),
    ] {
        for beside in [&["--file", "in"][..], &[]] {
            for command in ["run", "check"] {
                let args = [&[command, "--out", "none", "--file", source], beside].concat();
                let run = kit.command(&args).expect_status(1);
                assert_eq!(
                    (told(&run.stderr, text), run.stderr.lines().count()),
                    (1, 1),
                    "{run:#?}"
                );
                assert!(!kit.path("none").exists());
            }
        }
        // One that is followed may be replaced by a file.
        let run = kit.ok(&["--file", source, "--follow", "--for", "100ms", "--out", "out"]);
        assert_eq!(told(&run.stderr, text.trim_start_matches("error: ")), 1, "{run:#?}");
    }
}

#[test]
fn a_pattern_that_is_the_name_of_a_file_is_that_file() {
    let kit = Kit::new();
    kit.write("app[1].log", &lines(0..3));
    kit.write("app1.log", &lines(3..6));
    kit.ok(&["--file", "app[1].log", "--out", "out"]);
    assert_eq!(kit.read("out"), lines(0..3));
    kit.ok(&["--file", "app[12].log", "--out", "out"]);
    assert_eq!(kit.read("out"), lines(3..6));
}

#[test]
fn a_condition_that_matched_nothing_or_everything_is_reported_at_the_end() {
    let kit = Kit::new();
    kit.write("in", &"{\"a\":1}\n".repeat(3));
    let run = kit.ok(&["--file", "in", "--where", "status>=500", "--out", "out"]);
    let text = "--where 'status>=500' has matched nothing in 3 events";
    assert_eq!(told(&run.stderr, text), 1, "{run:#?}");
    assert_eq!(told(&run.stderr, "nothing was written to out"), 1, "{run:#?}");
    let run = kit.ok(&["--file", "in", "--where", "a=1", "--out", "out"]);
    assert_eq!(told(&run.stderr, "--where 'a=1' has matched all of 3 events"), 1, "{run:#?}");
    // A run that has not ended warns after many events.
    kit.write("in", &"{\"a\":1}\n".repeat(200_001));
    let run = kit.ok(&["--file", "in", "--where", "a>1", "--out", "out"]);
    assert_eq!(told(&run.stderr, "--where 'a>1' has matched nothing in"), 1, "{run:#?}");
}

#[test]
fn fields_that_no_event_had_and_late_events_are_reported_at_the_end() {
    let kit = Kit::new();
    kit.write("in", "{\"ts\":100}\n{\"ts\":1}\n{\"ts\":101}\n");
    let args = ["--file", "in", "--by", "servce", "--p", "latency", "--aggregates", "win"];
    let run = kit.ok(&args);
    for text in [
        "--by servce: none of 3 events had a single value in the field",
        "--p latency: none of 3 events had a number in the field",
        "late events: 1, which are in no window; --lateness",
    ] {
        assert_eq!(told(&run.stderr, text), 1, "{text}: {run:#?}");
    }
    kit.write("in", "{\"ts\":100,\"servce\":1,\"latency\":2}\n");
    let run = kit.ok(&args);
    assert_eq!(told(&run.stderr, "warning"), 0, "{run:#?}");
}

/// Its 10 s are real ones: the program has no other clock.
#[test]
fn a_source_that_holds_windows_open_is_named_with_the_way_out() {
    let (kit, page) = (Kit::new(), address());
    kit.write("busy", &lines(0..500));
    kit.write("silent", &lines(0..1));
    let args = ["--file", "busy", "--file", "silent", "--follow", "--aggregates", "win"];
    let running = kit.start(&[&args[..], &["--http", &page]].concat());
    let text = "windows are held open by silent, which has shown nothing newer for 10 s; --idle SPAN \
                (now 60s) leaves";
    kit.wait_until("the warning", || told(&kit.read("stderr"), text) == 1);
    let held = "warnings_total{case=\"windows_held_open\"}";
    kit.wait_until("the counter", || metric(&page, held) == Some(1.0));
    assert_eq!(kit.read("win"), "");
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn when_all_sources_are_idle_nothing_holds_windows_open() {
    let kit = Kit::new();
    kit.write("in", &lines(0..1));
    let args = ["--file", "in", "--follow", "--idle", "300ms", "--aggregates", "win"];
    let running = kit.start(&args);
    kit.wait_until("the window", || kit.read("win").contains("\"count\":1"));
    assert_eq!(running.stop(), Some(0));
}

/// Its queue has room for everything: nothing is held up, but nothing has arrived either.
#[test]
fn a_sink_that_delivers_nothing_is_not_ready() {
    let (kit, page) = (Kit::new(), address());
    kit.write("in", &lines(0..10));
    let sink = format!("tcp://{}", address()); // where nobody listens
    let args = ["--file", "in", "--follow", "--out", &sink, "--http", &page];
    let running = kit.start(&args);
    kit.wait_until("the page", || metric(&page, "ready").is_some());
    kit.wait_until("the reason", || {
        get(&page, "/readyz").contains(&format!("{sink} has delivered nothing for "))
    });
    assert!(get(&page, "/readyz").starts_with("HTTP/1.1 503"));
    kit.wait_until("the metric", || metric(&page, "ready") == Some(0.0));
    drop(running); // it would wait for its deadline
}

#[test]
fn without_windows_conditions_and_sinks_may_change_while_a_checkpoint_is_kept() {
    let kit = Kit::new();
    let run = |condition, out| {
        kit.ok(&["--file", "in", "--where", condition, "--out", out, "--checkpoint", "ck"])
    };
    kit.write("in", &lines(0..10));
    run("v>=0", "a");
    kit.append("in", &lines(10..20));
    run("v>=15", "a");
    assert_eq!(kit.read("a"), lines(0..10) + &lines(15..20));
    kit.append("in", &lines(20..30));
    run("v>=0", "b");
    kit.append("in", &lines(30..40));
    run("v>=0", "a"); // it is known from before, and goes on
    assert_eq!(kit.read("b"), lines(20..30));
    assert_eq!(kit.read("a"), lines(0..10) + &lines(15..20) + &lines(30..40));
}

#[test]
fn with_windows_a_change_is_refused_with_the_two_ways_out() {
    let kit = Kit::new();
    kit.write("in", &lines(0..110));
    let args = ["--file", "in", "--aggregates", "win", "--checkpoint", "ck"];
    kit.ok(&args);
    for change in [&["--window", "5s"][..], &["--where", "v>=0"]] {
        for command in ["run", "check"] {
            let changed = [&[command], &args[..], change].concat();
            let run = kit.command(&changed).expect_status(2);
            assert!(
                run.stderr.contains("finish with those, or give the windows up with"),
                "{run:#?}"
            );
            assert!(run.stderr.contains("--reset-windows"), "{run:#?}");
        }
    }
    assert_eq!(kit.read("win").lines().count(), 2);
    // The windows that were open are dropped: none comes out with half of its events.
    kit.append("in", &lines(110..400));
    kit.ok(&[&args[..], &["--window", "5s", "--reset-windows"]].concat());
    let windows = kit.read("win");
    assert!(windows.ends_with("\"count\":290,\"p50\":null,\"p99\":null}\n"), "{windows}");
}

#[test]
fn dead_letters_have_a_bound_on_the_disk() {
    let kit = Kit::new();
    kit.write("in", &"not json\n".repeat(10_000));
    let args = ["--file", "in", "--out", "out", "--dead-letters", "dead"];
    let run = kit.ok(&[&args[..], &["--dead-letters-max", "300KiB"]].concat());
    assert!(run.stderr.contains("dead 10000"), "{run:#?}");
    assert_eq!(told(&run.stderr, "have reached --dead-letters-max"), 1, "{run:#?}");
    let dead = fs::metadata(kit.path("dead")).unwrap().len();
    assert!((100_000..=300 << 10).contains(&dead), "{dead}");
    let run = kit.ok(&args);
    assert_eq!(told(&run.stderr, "--dead-letters-max"), 0, "{run:#?}");
    assert_eq!(kit.read("dead").lines().count(), 10_000);
}

#[test]
fn every_series_is_unique_and_has_its_help() {
    let (kit, page) = (Kit::new(), address());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    kit.write("in", &lines(0..10));
    symlink("in", kit.path("also")).unwrap();
    let sink = format!("tcp://{}", listener.local_addr().unwrap());
    let args = ["--file", "in", "--file", "also", "--follow", "--out", "-", "--out", "-"];
    let more = ["--out", &sink, "--aggregates", "-", "--http", &page];
    let running = kit.start_to_file(&[&args[..], &more[..]].concat(), "stdout");
    kit.wait_until("the metrics", || metric(&page, "component_sent_events_total").is_some());
    let metrics = get(&page, "/metrics");
    let body = metrics.split_once("\r\n\r\n").unwrap().1;
    let series: Vec<_> =
        body.lines().filter(|line| line.contains(' ') && !line.starts_with('#')).collect();
    let mut names: Vec<_> = series.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{body}");
    for id in ["\"-\"", "\"- (out)\"", "\"- (aggregates)\""] {
        assert!(
            body.contains(&format!("component_id={id},component_kind=\"sink\"")),
            "{id}: {body}"
        );
    }
    for line in body.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(body.contains(&format!("# HELP {name} ")), "{name} has no HELP");
    }
    assert_eq!(running.stop(), Some(0));
}

/// A foreign page that makes a browser ask this address under the page's own name learns nothing.
#[test]
fn a_request_for_another_host_is_misdirected() {
    let (kit, page) = (Kit::new(), address());
    kit.write("in", &lines(0..10));
    let args = ["--file", "in", "--follow", "--out", "out", "--http", &page];
    let running = kit.start(&[&args[..], &["--http-host", "logs.example"]].concat());
    kit.wait_until("the page", || metric(&page, "ready").is_some());
    let port = page.rsplit(':').next().unwrap();
    for (host, status) in [
        ("evil.example".to_owned(), "421"),
        (format!("evil.example:{port}"), "421"),
        (format!("localhost:{port}"), "200"),
        (page.clone(), "200"),
        ("logs.example".to_owned(), "200"),
    ] {
        for path in ["/", "/metrics", "/healthz"] {
            let answer = crate::kit::ask(&page, path, &host);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}{path}: {answer}");
        }
    }
    assert_eq!(running.stop(), Some(0));
}
