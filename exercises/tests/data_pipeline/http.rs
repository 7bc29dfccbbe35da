//! Lines to HTTP servers that fail in every way.

use std::collections::BTreeMap;

use crate::kit::{Kit, PROGRAM, Running, address, get, lines, metric};
use crate::server::{Answer, Request, Server};

/// 300 KB, in three chunks at least.
const EVENTS: u64 = 8000;

fn ok() -> Answer {
    Answer::says(200, "")
}

/// Runs `in` into the server, with a small `--http-batch`.
fn run(kit: &Kit, server: &Server, args: &[&str]) -> testkit::Run {
    let url = server.url("/in");
    let usual = ["--file", "in", "--out", &url, "--http-batch", "32KiB", "--checkpoint", "ck"];
    kit.run(&[&usual[..], args].concat())
}

/// The `v` of the lines that were taken, each with its id, in their order.
fn values(lines: &[String]) -> Vec<u64> {
    let value = |line: &String| {
        assert!(line.starts_with("{\"_source_id\":\"in:"), "{line}");
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["v"].as_u64().unwrap()
    };
    lines.iter().map(value).collect()
}

fn all(events: u64) -> Vec<u64> {
    (0..events).collect()
}

fn balanced(stderr: &str, delivered: u64, refused: u64) {
    let refused = if refused == 0 { String::new() } else { format!(" + refused {refused}") };
    let counts = format!("= delivered {delivered} + dropped 0{refused} + queued 0");
    assert!(stderr.contains(&counts) && stderr.contains("imbalance 0"), "{stderr}");
}

#[test]
fn lines_arrive_in_their_order_in_bodies_of_a_known_length() {
    for (flags, kind) in [
        (&["--http-compression", "gzip"][..], "application/x-ndjson"),
        (&["--http-body", "array"], "application/json"),
        (&["--http-body=array", "--http-compression=gzip"], "application/json"),
        (&["--http-header", "content-type: text/x", "--http-header", "A: b:c"], "text/x"),
    ] {
        let (kit, server) = (Kit::new(), Server::start(|_| ok()));
        kit.write("in", &lines(0..EVENTS));
        let run = run(&kit, &server, flags).expect_status(0);
        assert_eq!(values(&server.took()), all(EVENTS), "{flags:?}");
        balanced(&run.stderr, EVENTS, 0);
        let requests = server.requests();
        assert!(requests.len() > 10);
        for request in requests {
            assert_eq!((&*request.method, &*request.path), ("POST", "/in"));
            assert_eq!(request.header("content-type"), Some(kind));
            assert!(request.body.len() <= 33 << 10, "{}", request.body.len());
            assert_eq!(
                request.header("content-encoding").is_some(),
                flags.len() != 4 && flags != ["--http-body", "array"]
            );
            assert_eq!(request.header("a"), (kind == "text/x").then_some("b:c"));
        }
    }
}

/// How a server fails that has not taken the lines.
type Fault = fn() -> Answer;

/// Every third request fails, the one after it too, and the lines still come once and in order.
#[test]
fn no_passing_fault_loses_a_line_or_the_order() {
    let faults: [(&str, Fault); 7] = [
        ("hangs up", || Answer::HangsUp),
        ("500", || Answer::says(500, "")),
        ("502", || Answer::says(502, "")),
        ("503", || Answer::says(503, "retry-after-ms: 20\r\n")),
        ("429", || Answer::says(429, "retry-after-ms: 20\r\n")),
        ("408", || Answer::says(408, "")),
        ("stalls", || Answer::Stalls),
    ];
    for (name, fault) in faults {
        let mut number = 0;
        let server = Server::start(move |_| {
            number += 1;
            if [2, 5, 6].contains(&number) { fault() } else { ok() }
        });
        let kit = Kit::new();
        kit.write("in", &lines(0..EVENTS));
        // A slow machine must not take another answer for a stall: its lines would come twice.
        let patience = if name == "stalls" { "3s" } else { "1m" };
        let run = run(&kit, &server, &["--http-timeout", patience]).expect_status(0);
        assert_eq!(values(&server.took()), all(EVENTS), "{name}");
        balanced(&run.stderr, EVENTS, 0);
        let requests = server.requests();
        let again: Vec<_> = requests.windows(2).filter(|two| two[0].id() == two[1].id()).collect();
        assert_eq!(
            again.len(),
            3,
            "{name}: what failed comes again under its id, and nothing else"
        );
        assert!(again.iter().all(|two| two[0].body == two[1].body));
    }
}

/// Nobody knows whether it was taken: it comes again, under the same id.
#[test]
fn lines_whose_answer_breaks_off_come_again_under_their_id() {
    let (mut number, kit) = (0, Kit::new());
    let server = Server::start(move |_| {
        number += 1;
        if number == 2 { Answer::CutsOff } else { ok() }
    });
    kit.write("in", &lines(0..EVENTS));
    let run = run(&kit, &server, &[]).expect_status(0);
    balanced(&run.stderr, EVENTS, 0);
    assert_eq!(values(&server.took()), all(EVENTS));
    let requests = server.requests();
    assert_eq!((requests[1].id(), &requests[1].body), (requests[2].id(), &requests[2].body));
}

#[test]
fn a_batch_that_is_too_large_is_halved_down_to_a_line_that_becomes_a_dead_letter() {
    let limit = 10_000;
    let server =
        Server::start(
            move |request: &Request| {
                if request.body.len() > limit { Answer::says(413, "") } else { ok() }
            },
        );
    let kit = Kit::new();
    let long = format!("{{\"v\":0,\"x\":\"{}\"}}\n", "y".repeat(limit));
    kit.write("in", &(lines(0..1000) + &long + &lines(1000..EVENTS)));
    let run = run(&kit, &server, &["--dead-letters", "dead"]).expect_status(0);
    assert_eq!(values(&server.took()), all(EVENTS));
    balanced(&run.stderr, EVENTS, 1);
    let requests = server.requests();
    let refused = requests.iter().filter(|request| request.body.len() > limit).count();
    assert!(refused * 4 < requests.len(), "{refused} of {}: most are smaller", requests.len());
    let dead: serde_json::Value = serde_json::from_str(&kit.read("dead")).unwrap();
    assert_eq!((&dead["source"], &dead["offset"]), (&"in".into(), &lines(0..1000).len().into()));
    let reason = dead["reason"].as_str().unwrap();
    assert!(
        reason.contains(&server.url("/in")) && reason.ends_with("413 Payload Too Large"),
        "{reason}"
    );
}

#[test]
fn after_a_spell_of_413_requests_grow_again() {
    let (mut number, kit) = (0, Kit::new());
    let server = Server::start(move |_| {
        number += 1;
        if number <= 30 { Answer::says(413, "") } else { ok() }
    });
    kit.write("in", &lines(0..EVENTS));
    let run = run(&kit, &server, &["--dead-letters", "dead"]).expect_status(0);
    let refused = kit.read("dead").lines().count() as u64;
    balanced(&run.stderr, EVENTS - refused, refused);
    let requests = server.requests().len();
    assert!(refused > 10 && requests < 100, "{refused} refused, {requests} requests");
}

/// A server that does not take batches with the event 5000 in it.
fn particular() -> Server {
    Server::start(|request: &Request| {
        if request.text().contains("\"v\":5000}") {
            Answer::Says(400, String::new(), "no 5000\u{7} here\n".to_owned())
        } else {
            ok()
        }
    })
}

#[test]
fn a_batch_that_is_refused_goes_to_the_dead_letters_with_the_answer() {
    let (kit, server) = (Kit::new(), particular());
    kit.write("in", &(lines(0..EVENTS) + "no json\n"));
    let run = run(&kit, &server, &["--dead-letters", "dead"]).expect_status(0);
    assert!(run.stderr.contains("refuses lines, which become dead letters. The first: 400 Bad"));
    let dead = kit.read("dead");
    let dead: Vec<serde_json::Value> =
        dead.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused: Vec<_> = dead.iter().filter(|dead| dead["raw"] != "no json").collect();
    balanced(&run.stderr, EVENTS - refused.len() as u64, refused.len() as u64);
    assert_eq!(dead.len(), refused.len() + 1);
    let mut raw: Vec<_> =
        refused.iter().map(|dead| dead["raw"].as_str().unwrap().to_owned()).collect();
    let of_5000 = refused.iter().find(|dead| dead["raw"].as_str().unwrap().contains(":5000}"));
    let of_5000 = of_5000.unwrap();
    assert_eq!(of_5000["offset"], lines(0..5000).len());
    let reason = of_5000["reason"].as_str().unwrap();
    assert!(reason.ends_with(": 400 Bad Request: no 5000\\u{7} here"), "{reason}");
    raw.extend(server.took());
    let mut values = values(&raw);
    values.sort_unstable();
    assert_eq!(values, all(EVENTS), "each line is in one place");
    // The next run goes on behind them.
    kit.append("in", &lines(EVENTS..EVENTS + 10));
    let _ = self::run(&kit, &server, &["--dead-letters", "dead"]).expect_status(0);
    assert_eq!(kit.read("dead").lines().count(), dead.len());
    assert_eq!(server.took().len() + refused.len(), EVENTS as usize + 10);
}

#[test]
fn without_a_file_for_them_refused_lines_end_the_run_in_one_clear_line() {
    let (kit, server) = (Kit::new(), particular());
    kit.write("in", &lines(0..EVENTS));
    let run = run(&kit, &server, &[]).expect_status(1);
    assert!(run.stderr.contains("400 Bad Request: no 5000"), "{run:#?}");
    assert!(run.stderr.contains("--dead-letters FILE keeps such lines"), "{run:#?}");
    // The event was not passed over: it comes again.
    let run = self::run(&kit, &server, &[]).expect_status(1);
    assert!(run.stderr.contains("400 Bad Request"), "{run:#?}");
}

#[test]
fn windows_that_are_refused_are_dead_letters_too() {
    let (kit, server) = (Kit::new(), Server::start(|_| Answer::says(422, "")));
    kit.write("in", &lines(0..100));
    let url = server.url("/windows");
    let args = ["--file", "in", "--by", "k", "--aggregates", &url, "--dead-letters", "dead"];
    let run = kit.ok(&args);
    assert!(run.stderr.contains("imbalance 0"), "{run:#?}");
    let dead = kit.read("dead");
    assert_eq!(dead.lines().count(), 7, "{dead}");
    assert!(
        dead.lines().all(|line| line.contains("422") && line.contains("window_start")),
        "{dead}"
    );
}

/// A server at which the place is wrong until it is told otherwise.
#[test]
fn a_wrong_place_holds_the_lines_and_is_told_with_a_remedy() {
    for (status, remedy) in [
        (401, "--http-header"),
        (404, "check the address"),
        (405, "check the address"),
        (302, "it points to http://other/"),
        (415, "--http-compression"),
    ] {
        let (kit, page) = (Kit::new(), address());
        let right = kit.path("right");
        let server = Server::start(move |_| {
            if right.exists() { ok() } else { Answer::says(status, "location: http://other/\r\n") }
        });
        kit.write("in", &lines(0..10));
        let url = server.url("/in");
        let args = ["--file", "in", "--follow", "--out", &url, "--http", &page];
        let running = kit.start(&[&args[..], &["--dead-letters", "dead"]].concat());
        kit.wait_until("the warning", || kit.read("stderr").contains(remedy));
        let case = "warnings_total{case=\"sink_waits\"}";
        kit.wait_until("the count", || metric(&page, case) == Some(1.0));
        kit.write("right", "");
        kit.wait_until("the lines", || server.took().len() == 10);
        kit.wait_until("the news", || kit.read("stderr").contains("takes lines again"));
        assert_eq!((running.stop(), &*kit.read("dead")), (Some(0), ""));
        balanced(&kit.read("stderr"), 10, 0);
    }
}

fn endless(kit: &Kit, url: &str, more: &[&str]) -> Running {
    kit.write("in", &lines(0..400_000));
    kit.start(&[&["--file", "in", "--follow", "--out", url, "--checkpoint", "ck"], more].concat())
}

/// The queues fill, and the sources stop.
#[test]
fn a_server_that_is_down_costs_no_memory_and_no_line() {
    let (kit, page, server) = (Kit::new(), address(), address());
    let running = endless(&kit, &format!("http://{server}/"), &["--http", &page]);
    kit.wait_until("the stop", || metric(&page, "ready ") == Some(0.0));
    kit.wait_until("the warning", || kit.read("stderr").contains("does not answer"));
    assert!(get(&page, "/metrics").contains("ledger_imbalance 0"));
    let peak = running.peak_mib();
    assert!(peak < 56, "{peak} MiB");
    let server = Server::start_at(&server, |_| ok());
    kit.wait_until("all lines", || server.took().len() == 400_000);
    assert!(running.peak_mib() < 64, "{} MiB", running.peak_mib());
    assert_eq!(running.stop(), Some(0));
    assert_eq!(values(&server.took()), all(400_000));
    balanced(&kit.read("stderr"), 400_000, 0);
}

#[test]
fn a_stop_while_the_server_is_down_keeps_the_lines_for_the_next_run() {
    let (kit, address) = (Kit::new(), address());
    let url = format!("http://{address}/");
    let running = endless(&kit, &url, &[]);
    kit.wait_until("the warning", || kit.read("stderr").contains("does not answer"));
    assert_eq!(running.stop(), Some(3));
    assert!(kit.read("stderr").contains("imbalance 0"), "{}", kit.read("stderr"));
    let server = Server::start_at(&address, |_| ok());
    kit.ok(&["--file", "in", "--out", &url, "--checkpoint", "ck"]);
    assert_eq!(values(&server.took()), all(400_000));
}

/// Killed at any time, each line was taken, or is a dead letter once.
#[test]
fn after_kill_9_each_line_was_taken_and_each_refused_one_is_one_dead_letter() {
    let (kit, server) = (
        Kit::new(),
        Server::start(|request: &Request| {
            let is_bad = request.text().contains("000}"); // in about every second batch
            if is_bad { Answer::says(400, "") } else { ok() }
        }),
    );
    kit.write("in", &lines(0..100_000));
    let url = server.url("/");
    let args = ["--file", "in", "--out", &url, "--checkpoint", "ck", "--dead-letters", "dead"];
    let args = [&args[..], &["--http-batch", "16KiB"]].concat();
    for kills in 1..=3 {
        let mut running = kit.start(&args);
        kit.wait_until("some requests", || server.requests().len() > kills * 60);
        running.0.kill().unwrap();
        running.0.wait().unwrap();
    }
    kit.ok(&args);
    let mut times = BTreeMap::<u64, (u32, u32)>::new();
    for v in values(&server.took()) {
        times.entry(v).or_default().0 += 1;
    }
    let refused = dead(&kit);
    for v in &refused {
        times.entry(*v).or_default().1 += 1;
    }
    assert_eq!(times.len(), 100_000);
    let twice: Vec<_> = times.iter().filter(|(_, (_, dead))| *dead > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(refused.len() > 100, "{}", refused.len());
}

/// The `v` of the refused lines in `dead`.
fn dead(kit: &Kit) -> Vec<u64> {
    let dead = kit.read("dead");
    let raw = dead.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let raw: Vec<_> = raw.map(|dead| dead["raw"].as_str().unwrap().to_owned()).collect();
    values(&raw)
}

/// A checkpoint that begins while lines are at the server has no length with their dead letters, and
/// no longer has these lines to send.
#[test]
fn after_kill_9_the_checkpoint_has_the_refused_lines_that_are_not_written_yet() {
    let kit = Kit::new();
    let refuses = kit.path("refuses");
    let server = Server::start(move |_| Answer::says(if refuses.exists() { 400 } else { 503 }, ""));
    let stalled = Server::start(|_| Answer::Stalls);
    kit.write("in", &lines(0..100));
    let url = server.url("/");
    let usual = ["--file", "in", "--out", &url, "--checkpoint", "ck", "--dead-letters"];
    let running = kit.start(&[&usual[..], &[&stalled.url("/")]].concat());
    // The input has ended, so a checkpoint has begun, and waits for the server.
    kit.wait_until("some requests", || server.requests().len() > 3);
    kit.write("refuses", "");
    kit.wait_until("the checkpoint", || kit.read("ck").contains("400 Bad Request"));
    kit.wait_until("dead letters", || !stalled.requests().is_empty());
    running.kill();
    kit.ok(&[&usual[..], &["dead"]].concat());
    assert_eq!(dead(&kit), all(100));
}

/// 4 MB wait behind what is refused, and the sources wait too.
#[test]
fn refused_lines_are_in_their_file_while_the_server_hangs_and_after_the_deadline() {
    for checkpoint in [&[][..], &["--checkpoint", "ck"]] {
        let (mut number, kit) = (0, Kit::new());
        let server = Server::start(move |_| {
            number += 1;
            if number <= 3 { Answer::says(400, "") } else { Answer::Stalls }
        });
        kit.write("in", &lines(0..400_000));
        let url = server.url("/");
        let args = ["--file", "in", "--out", &url, "--http-batch=32KiB", "--dead-letters", "dead"];
        let running = kit.start(&[&args[..], checkpoint].concat());
        kit.wait_until("the fourth request", || server.requests().len() == 4);
        let count = |request: &Request| request.text().lines().count();
        let refused = server.requests()[..3].iter().map(count).sum::<usize>() as u64;
        kit.wait_until("the file", || dead(&kit).len() as u64 == refused);
        assert_eq!(running.stop(), Some(3));
        assert_eq!(dead(&kit), all(refused));
        let stderr = kit.read("stderr");
        let counts = format!("= delivered 0 + dropped 0 + refused {refused} + queued");
        assert!(stderr.contains(&counts) && stderr.contains("imbalance 0"), "{stderr}");
    }
}

/// The ledger calls no line refused that is nowhere.
#[test]
fn refused_lines_without_room_among_the_dead_letters_are_dropped() {
    let (kit, server) = (Kit::new(), Server::start(|_| Answer::says(400, "")));
    kit.write("in", &lines(0..EVENTS));
    let args = ["--dead-letters", "dead", "--dead-letters-max", "300KiB"];
    let run = run(&kit, &server, &args).expect_status(0);
    let kept = dead(&kit).len() as u64;
    assert!((100..EVENTS).contains(&kept), "{kept}");
    let counts = format!("= delivered 0 + dropped {} + refused {kept} + queued 0", EVENTS - kept);
    assert!(run.stderr.contains(&counts) && run.stderr.contains("imbalance 0"), "{run:#?}");
}

#[test]
fn the_value_of_a_header_is_never_shown() {
    let (kit, server) = (Kit::new(), Server::start(|_| Answer::says(403, "")));
    kit.write("in", &lines(0..10));
    let toml = format!(
        "file = 'in'\nout = '{}'\nhttp-header = 'Authorization: ${{TOKEN}}'\n",
        server.url("/")
    );
    kit.write("p.toml", &toml);
    let running = kit.start_with(&["p.toml"], &[("TOKEN", "Bearer s3cr3t")]);
    kit.wait_until("the warning", || kit.read("stderr").contains("403 Forbidden"));
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer s3cr3t"));
    drop(running);
    let header = "Authorization: Bearer s3cr3t";
    let args = ["check", "--file", "in", "--out", "http://h/", "--http-header"];
    let checked = kit.command(&[&args[..], &[header]].concat()).expect_status(0);
    assert!(checked.stdout.contains("Authorization: (not shown)"), "{checked:#?}");
    kit.write("bad.toml", &format!("out = 'http://h/'\nhttp-header = [5, '{header}']\n"));
    let mut shown = format!("{}{}{}", checked.stdout, checked.stderr, kit.read("stderr"));
    for (header, why) in
        [("s3cr3t", "no colon"), ("a b: s3cr3t", "no name"), ("a: s3cr3t\u{1}", "'a'")]
    {
        let run = kit.command(&[&args[..], &[header]].concat()).expect_status(2);
        assert!(run.stderr.contains(why), "{run:#?}");
        shown += &run.stderr;
    }
    shown += &kit.command(&["check", "bad.toml"]).expect_status(2).stderr;
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

/// Compressed lines of JSON.
fn is_lines(request: &Request) -> bool {
    request.header("content-encoding") == Some("gzip")
        && request.text().lines().all(|line| line.starts_with('{') && line.ends_with('}'))
}

/// Each command is run as it stands on the page, at a stand-in that refuses what the real server
/// would not understand.
#[test]
fn the_recipes_on_the_page_are_what_the_servers_take() {
    let recipe = |name: &str, place: &str, is_right: fn(&Request) -> bool| {
        let page = include_str!("../../src/data_pipeline/SINKS.md");
        let text = page.split(&format!("### {name}\n")).nth(1).unwrap();
        let command = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        let (kit, server) = (
            Kit::new(),
            Server::start(
                move |request| if is_right(request) { ok() } else { Answer::says(400, "") },
            ),
        );
        assert!(command.starts_with("data-pipeline run ") && command.contains(place), "{command}");
        kit.write(
            "recipe",
            &command.replace("data-pipeline", PROGRAM).replace(place, &server.url("/")),
        );
        kit.write("app.log", &lines(0..EVENTS));
        let directory = kit.path(".");
        let shell = ["-C", directory.to_str().unwrap(), "KEY=key", "TOKEN=dTpw", "sh", "recipe"];
        let run = testkit::run("/usr/bin/env", &shell).expect_status(0);
        assert_eq!(kit.read("dead.ndjson"), "", "{name}: {run:#?}");
        assert_eq!(server.took().len() as u64, EVENTS, "{name}: {run:#?}");
    };
    recipe("ClickHouse", "http://clickhouse:8123/", |request| {
        let query = "INSERT%20INTO%20logs%20FORMAT%20JSONEachRow";
        let settings = "async_insert=1&wait_for_async_insert=1";
        request.path == format!("/?query={query}&{settings}")
            && request.header("x-clickhouse-user") == Some("ingest")
            && request.header("x-clickhouse-key") == Some("key")
            && is_lines(request)
    });
    recipe("Vector", "http://vector:8080/", |request| request.path == "/" && is_lines(request));
    recipe("OpenObserve", "http://openobserve:5080/", |request| {
        request.path == "/api/default/logs/_json"
            && request.header("content-type") == Some("application/json")
            && request.header("authorization") == Some("Basic dTpw")
            && serde_json::from_slice::<Vec<serde_json::Value>>(&request.body).is_ok()
    });
}
