//! More than one machine: a NATS server and workers, each of which is killed.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::{Kit, Running, address, lines, metric, sorted};

const SERVER: &str = "nats-server";

/// A server with its store in the kit's folder.
struct Server {
    port: String,
    running: Running,
}

impl Server {
    /// `None`, with the reason printed, where there is no server. CI must have one.
    fn start(kit: &Kit) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let installed = Command::new(SERVER).arg("--version").output().is_ok();
        if !installed {
            assert!(std::env::var_os("CI").is_none(), "{SERVER} is missing");
            eprintln!("skipped: {SERVER} is not installed (apt-get install nats-server)");
            return None;
        }
        let running = spawn(kit, &port);
        Some(Self { port, running })
    }

    fn restart(&mut self, kit: &Kit) {
        self.running.0.kill().unwrap();
        self.running.0.wait().unwrap();
        self.running = spawn(kit, &self.port);
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

fn spawn(kit: &Kit, port: &str) -> Running {
    let store = kit.path("store");
    kit.write("server.conf", "max_payload: 8MB\n");
    let mut command = Command::new(SERVER);
    command.args(["-js", "-a", "127.0.0.1", "-p", port, "-sd"]).arg(Path::new(&store));
    command.arg("-c").arg(kit.path("server.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    kit.wait_until("the server", || TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    running
}

/// The events by their ids, without the ids; and how many came more than once.
fn unique(output: &str) -> (Vec<String>, usize) {
    let (mut seen, mut events, mut again) = (HashSet::new(), Vec::new(), 0);
    for line in output.lines() {
        let (id, rest) =
            line.strip_prefix("{\"_source_id\":\"").unwrap().split_once("\",").unwrap();
        if seen.insert(id) {
            events.push(format!("{{{rest}"));
        } else {
            again += 1;
        }
    }
    events.sort_unstable();
    (events, again)
}

fn worker(kit: &Kit, url: &str, number: u32) -> Running {
    let (out, checkpoint) = (format!("out{number}"), format!("ck{number}"));
    let nats = ["--nats", url, "--stream", "events", "--consumer", "workers"];
    kit.start(&[&nats[..], &["--out", &out, "--checkpoint", &checkpoint]].concat())
}

fn outputs(kit: &Kit) -> String {
    kit.read("out1") + &kit.read("out2")
}

fn wait_for_all(kit: &Kit, wanted: usize) -> (Vec<String>, usize) {
    let mut all = (Vec::new(), 0);
    kit.wait_until("every event", || {
        let output = outputs(kit);
        let whole = output.rfind('\n').map_or("", |end| &output[..=end]);
        all = unique(whole);
        all.0.len() >= wanted
    });
    all
}

#[test]
fn nothing_is_lost_when_the_server_is_killed_in_mid_run() {
    let kit = Kit::new();
    let Some(mut server) = Server::start(&kit) else { return };
    let events = lines(0..200_000);
    kit.write("in", &events);
    let sink = format!("{}/events?compression=zstd", server.url());
    let worker = worker(&kit, &server.url(), 1);
    let mut ingest = kit.start(&["--file", "in", "--out", &sink, "--checkpoint", "ck"]);
    kit.wait_until("the first events", || !kit.read("out1").is_empty());
    server.restart(&kit);
    assert!(ingest.0.wait().unwrap().success(), "{}", kit.read("stderr"));
    let (received, again) = wait_for_all(&kit, 200_000);
    println!("0 of 200000 lost, {again} came again and were removed by their ids");
    assert!(received == sorted(&events));
    assert_eq!(worker.stop(), Some(0));
}

#[test]
fn the_messages_of_a_killed_worker_go_to_the_other() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    let events = lines(0..200_000);
    kit.write("in", &events);
    kit.ok(&["--file", "in", "--out", &format!("{}/events", server.url())]);
    let mut first = worker(&kit, &server.url(), 1);
    kit.wait_until("the first events", || !kit.read("out1").is_empty());
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let second = worker(&kit, &server.url(), 2);
    // The first one comes back, and its output is cut to the length in its checkpoint.
    let first = worker(&kit, &server.url(), 1);
    let (received, again) = wait_for_all(&kit, 200_000);
    println!("0 of 200000 lost, {again} came again and were removed by their ids");
    assert!(received == sorted(&events));
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
}

/// Messages are sent and never acknowledged: no checkpoint may cover them.
#[test]
fn what_was_sent_to_a_hanging_server_is_sent_again() {
    let kit = Kit::new();
    let Some(mut server) = Server::start(&kit) else { return };
    let events = lines(0..20_000);
    kit.write("in", &events);
    let (page, sink) = (address(), format!("{}/events", server.url()));
    let args = ["--file", "in", "--follow", "--out", &sink, "--checkpoint", "ck"];
    let mut ingest = kit.start(&[&args[..], &["--http", &page]].concat());
    let sent = "component_received_events_total{component_id=\"nats";
    kit.wait_until("the first events", || metric(&page, sent) == Some(20_000.0));
    server.running.signal("-STOP");
    let more = lines(20_000..30_000);
    kit.append("in", &more);
    // The next checkpoint has to wait, and so does everything behind it.
    kit.wait_until("more events", || metric(&page, sent) > Some(20_000.0));
    kit.wait_until("a missing checkpoint", || metric(&page, "checkpoint_age_seconds") > Some(1.0));
    ingest.0.kill().unwrap();
    ingest.0.wait().unwrap();
    server.restart(&kit);
    kit.ok(&["--file", "in", "--out", &sink, "--checkpoint", "ck"]);
    let worker = worker(&kit, &server.url(), 1);
    let (received, _) = wait_for_all(&kit, 30_000);
    assert!(received == sorted(&(events + &more)));
    assert_eq!(worker.stop(), Some(0));
}

/// More messages than one pull asks for.
#[test]
fn a_worker_that_is_alone_gets_a_stream_in_its_order() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    let events = lines(0..100_000);
    kit.write("in", &events);
    kit.ok(&["--file", "in", "--out", &format!("{}/events", server.url())]);
    let worker = worker(&kit, &server.url(), 1);
    kit.wait_until("every event", || kit.read("out1").lines().count() == 100_000);
    assert_eq!(worker.stop(), Some(0));
    let output = kit.read("out1");
    let received = output.lines().map(|line| line.split_once("\",").unwrap().1);
    assert!(received.eq(events.lines().map(|line| &line[1..])));
}

/// A pull has a time-out. What it has brought by then waits here, and does not come again after
/// newer messages.
#[test]
fn a_sink_that_is_slow_for_longer_than_a_pull_leaves_a_stream_in_its_order() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    let events = lines(0..400_000);
    kit.write("in", &events);
    kit.ok(&["--file", "in", "--out", &format!("{}/events?compression=zstd", server.url())]);
    let (page, receiver) = (address(), TcpListener::bind("127.0.0.1:0").unwrap());
    let sink = format!("tcp://{}", receiver.local_addr().unwrap());
    let nats = ["--nats", &server.url(), "--stream", "events", "--consumer", "workers"];
    let rest = ["--out", &sink, "--checkpoint", "ck", "--http", &page];
    let worker = kit.start(&[&nats[..], &rest].concat());
    kit.wait_until("the stall", || metric(&page, "checkpoint_age_seconds") > Some(8.0));
    let came = BufReader::new(receiver.accept().unwrap().0).lines().map(Result::unwrap);
    let mut wanted = events.lines();
    for line in came.take(400_000) {
        assert_eq!(line.split_once("\",").unwrap().1, &wanted.next().unwrap()[1..]);
    }
    drop(worker);
}

/// They have no ids, and two may look the same.
#[test]
fn windows_and_dead_letters_can_go_through_nats() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    kit.write("in", &(lines(0..5000) + "not json\n" + &lines(5000..9000)));
    let args = ["--file", "in", "--by", "k", "--window", "5s"];
    kit.ok(&[&args[..], &["--aggregates", "win", "--dead-letters", "dead"]].concat());
    let sink = |stream| format!("{}/{stream}", server.url());
    let (windows, letters) = (sink("windows"), sink("letters"));
    kit.ok(&[&args[..], &["--aggregates", &windows, "--dead-letters", &letters]].concat());
    for (stream, file) in [("windows", "win"), ("letters", "dead")] {
        let out = format!("{stream}.out");
        let nats = ["--nats", &server.url(), "--stream", stream, "--consumer", "c", "--out", &out];
        let reader = kit.start(&nats);
        kit.wait_until(stream, || kit.read(&out).len() == kit.read(file).len());
        assert_eq!(kit.read(&out), kit.read(file));
        assert_eq!(reader.stop(), Some(0));
    }
}

/// More than a pull may bring, so that it has to be asked for alone.
#[test]
fn a_message_that_is_larger_than_a_pull_holds_nothing_up() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(5 << 20));
    kit.write("in", &(long.clone() + &lines(0..10) + &long));
    let sink = format!("{}/events?compression=zstd", server.url());
    kit.ok(&["--file", "in", "--max-line", "6MiB", "--out", &sink]);
    let nats = ["--nats", &server.url(), "--stream", "events", "--consumer", "workers"];
    let worker = kit.start(&[&nats[..], &["--max-line", "6MiB", "--out", "out"]].concat());
    kit.wait_until("every event", || kit.read("out").lines().count() == 12);
    assert_eq!(worker.stop(), Some(0));
}

/// The server counts the headers too: such a line must not be resent forever.
#[test]
fn a_line_that_the_server_does_not_take_ends_the_run_with_a_clear_error() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    let sink = format!("{}/events", server.url());
    let limit = 8 << 20; // of the server, in bytes
    for length in [limit - 20, limit + 20] {
        let padding = "x".repeat(length - r#"{"a":""}"#.len() - 1);
        kit.write("in", &format!("{{\"a\":\"{padding}\"}}\n"));
        let run = kit.run(&["--file", "in", "--max-line", "9MiB", "--out", &sink]);
        assert!(run.expect_status(1).stderr.contains("max_payload"));
    }
}

/// Such a consumer forgets a message when it has sent it.
#[test]
fn a_consumer_without_explicit_acks_is_refused() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    kit.write("in", &lines(0..10));
    kit.ok(&["--file", "in", "--out", &format!("{}/events", server.url())]);
    let config = r#"{"stream_name":"events","config":{"durable_name":"c","ack_policy":"none"}}"#;
    let mut other = TcpStream::connect(format!("127.0.0.1:{}", server.port)).unwrap();
    let subject = "$JS.API.CONSUMER.DURABLE.CREATE.events.c";
    write!(
        other,
        "CONNECT {{\"verbose\":false}}\r\nSUB reply 1\r\nPUB {subject} reply {}\r\n{config}\r\n",
        config.len()
    )
    .unwrap();
    let mut answer = BufReader::new(other).lines().map(Result::unwrap);
    assert!(answer.any(|line| line.contains("ack_policy")));
    let nats = ["--nats", &server.url(), "--stream", "events", "--consumer", "c"];
    let run = kit.run(&[&nats[..], &["--out", "out"]].concat()).expect_status(1);
    assert!(run.stderr.contains("explicit acks"), "{}", run.stderr);
}

/// Nothing is lost and the stop does not wait: what was sent and not acknowledged comes again.
#[test]
fn a_worker_can_be_stopped_while_the_server_is_gone() {
    let kit = Kit::new();
    let Some(mut server) = Server::start(&kit) else { return };
    kit.write("in", &lines(0..10));
    kit.ok(&["--file", "in", "--out", &format!("{}/events", server.url())]);
    let worker = worker(&kit, &server.url(), 1);
    kit.wait_until("every event", || kit.read("out1").lines().count() == 10);
    server.running.0.kill().unwrap();
    server.running.0.wait().unwrap();
    assert_eq!(worker.stop(), Some(0));
}

/// Another program's messages claim a wrong encoding, or one that is unknown here.
#[test]
fn a_message_that_cannot_be_unpacked_is_a_dead_letter_and_nothing_else_is_lost() {
    let kit = Kit::new();
    let Some(server) = Server::start(&kit) else { return };
    kit.write("in", &lines(0..10));
    let sink = format!("{}/events?compression=zstd", server.url());
    kit.ok(&["--file", "in", "--out", &sink]);
    let connect = r#"CONNECT {"verbose":false,"headers":true}"#;
    let mut other = TcpStream::connect(format!("127.0.0.1:{}", server.port)).unwrap();
    write!(other, "{connect}\r\n").unwrap();
    // Lines that would pass as they are.
    let payload = lines(0..2);
    for encoding in ["zstd", "gzip"] {
        let head = format!("NATS/1.0\r\nContent-Encoding: {encoding}\r\n\r\n");
        let (of_head, all) = (head.len(), head.len() + payload.len());
        write!(other, "HPUB events {of_head} {all}\r\n{head}{payload}\r\n").unwrap();
    }

    let nats = ["--nats", &server.url(), "--stream", "events", "--consumer", "workers"];
    let worker = kit.start(&[&nats[..], &["--out", "out", "--dead-letters", "dead"]].concat());
    kit.wait_until("every event", || kit.read("out").lines().count() == 10);
    kit.wait_until("the dead letters", || kit.read("dead").lines().count() == 2);
    assert_eq!(worker.stop(), Some(0));
    let letters = kit.read("dead");
    assert!(letters.contains(r#""reason":"not zstd, or longer"#), "{letters}");
    assert!(letters.contains(r#""reason":"a Content-Encoding other than zstd","raw":"{\"ts"#));
    assert_eq!(kit.read("out").lines().count(), 10);
}
