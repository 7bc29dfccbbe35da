//! Sinks that are slower than the sources.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use crate::kit::{Kit, Running, address, get, lines, metric};

/// A run whose only sink is a receiver that does not read, after everything has stopped.
struct Stalled {
    running: Running,
    page: String,
    receiver: TcpStream,
}

fn stall(kit: &Kit, policy: &str, ready: &str) -> Stalled {
    let page = address();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = format!("tcp://{}", listener.local_addr().unwrap());
    kit.write("in", &lines(0..400_000));
    let args = ["--file", "in", "--follow", "--out", &sink, "--policy", policy, "--http", &page];
    let running = kit.start(&args);
    let (receiver, _) = listener.accept().unwrap();
    kit.wait_until("the stall", || metric(&page, ready).is_some_and(|value| value > 0.5));
    Stalled { running, page, receiver }
}

/// When the socket's buffers and the queues are full, nothing more is read: memory stays flat.
#[test]
fn a_receiver_that_does_not_read_stops_the_sources() {
    let kit = Kit::new();
    let stalled = stall(&kit, "block", "utilization{component_id=\"tcp");
    kit.wait_until("the sources to stop", || get(&stalled.page, "/readyz").contains("503"));
    assert!(get(&stalled.page, "/metrics").contains("ledger_imbalance 0"));
    assert!(stalled.running.peak_mib() < 48, "{} MiB", stalled.running.peak_mib());
    // It cannot be drained: the deadline ends it, and the exit status says so.
    assert_eq!(stalled.running.stop(), Some(3));
    assert!(kit.read("stderr").contains("imbalance 0"), "{}", kit.read("stderr"));
}

/// A dead letter is many times as long as the two bytes that it is made of.
#[test]
fn short_lines_that_become_long_letters_take_no_more_memory() {
    let kit = Kit::new();
    let (page, listener) = (address(), TcpListener::bind("127.0.0.1:0").unwrap());
    let letters = format!("tcp://{}", listener.local_addr().unwrap());
    kit.write("in", &"x\n".repeat(10 << 20));
    let args = ["--file", "in", "--dead-letters", &letters, "--out", "out", "--http", &page];
    let running = kit.start(&[&args[..], &["--workers", "2"]].concat()); // memory is bounded per worker
    let _receiver = listener.accept().unwrap();
    kit.wait_until("the server", || TcpStream::connect(&page).is_ok());
    kit.wait_until("the sources to stop", || get(&page, "/readyz").contains("503"));
    assert!(running.peak_mib() < 48, "{} MiB", running.peak_mib());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let kit = Kit::new();
    let mut stalled = stall(&kit, "block", "utilization{component_id=\"tcp");
    kit.wait_until("the sources to stop", || get(&stalled.page, "/readyz").contains("503"));
    // A signal within 300 ms of the first counts as the same: `timeout` sends two.
    kit.wait_until("the end", || {
        stalled.running.signal("-TERM");
        sleep(Duration::from_millis(400));
        stalled.running.0.try_wait().unwrap().is_some()
    });
    assert_eq!(stalled.running.0.wait().unwrap().code(), Some(130));
}

#[test]
fn a_sink_that_may_drop_holds_nothing_up_and_counts_what_it_drops() {
    let kit = Kit::new();
    let dropped = "component_discarded_events_total{component_id=\"tcp";
    let mut stalled = stall(&kit, "drop", dropped);
    stalled.running.signal("-TERM");
    let received = BufReader::new(stalled.receiver).lines().count();
    assert!(stalled.running.0.wait().unwrap().success());
    let stderr = kit.read("stderr");
    assert!(received < 400_000, "{received}");
    assert!(stderr.contains(&format!("= delivered {received} + dropped ")), "{received}: {stderr}");
    assert!(stderr.contains("imbalance 0"), "{stderr}");
}
