//! The metrics and the live page.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::kit::{Kit, PROGRAM, Running, get};

/// The demo, which runs for `seconds`, and its page's address.
fn demo(seconds: &str) -> (Running, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["--for", seconds, "--seed", "1"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let page = lines.find_map(|line| Some(line.unwrap().strip_prefix("Live page: ")?.to_owned()));
    // Somebody has to read on, or the demo would find its stdout closed.
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), page.expect("the demo prints its page's address"))
}

#[test]
fn metrics_have_the_names_that_vectors_users_know() {
    let (_demo, page) = demo("30s");
    let kit = Kit::new();
    let mut text = String::new();
    kit.wait_until("the first windows", || {
        text = get(&page, "/metrics");
        text.contains("watermark_lag_seconds") && text.contains("component_id=\"slow sink\"")
    });
    for name in [
        "component_received_events_total{component_id=\"generator-1\",component_kind=\"source\",component_type=\"generator\"}",
        "component_received_events_total{component_id=\"generator-4\",component_kind=\"source\",component_type=\"generator\"}",
        "component_received_events_total{component_id=\"/dev/null\",component_kind=\"sink\",component_type=\"file\"}",
        "component_sent_events_total{",
        "component_discarded_events_total{",
        "component_errors_total{",
        "buffer_size_bytes{",
        "buffer_send_duration_seconds_bucket{",
        "utilization{",
        "late_events_total 0",
        "ledger_imbalance 0",
    ] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
    assert!(get(&page, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&page, "/nothing").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_stalled_sink_is_the_bottleneck_and_the_program_is_not_ready() {
    let (_demo, page) = demo("30s");
    let kit = Kit::new();
    assert!(get(&page, "/readyz").starts_with("HTTP/1.1 200"));
    kit.wait_until("the stall", || get(&page, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(get(&page, "/metrics").contains("ledger_imbalance 0"));
}

#[test]
fn the_page_may_run_and_load_nothing_but_its_own() {
    let (_demo, page) = demo("30s");
    let answer = get(&page, "/").to_lowercase();
    let policy = answer.lines().find(|line| line.starts_with("content-security-policy: "));
    let policy = policy.expect("there is a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("img-src data:") && answer.contains("rel=\"icon\" href=\"data:,\""));
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    for tag in ["script", "style"] {
        assert_eq!(answer.matches(&format!("<{tag}")).count(), 1);
        assert!(answer.contains(&format!("<{tag} nonce=\"{nonce}\">")), "{tag}");
    }
    assert_ne!(answer, get(&page, "/").to_lowercase(), "a nonce is used once");
}

/// What a browser makes of the page after some seconds.
#[test]
fn the_page_renders_updates_and_shows_backpressure() {
    let chromium = "/usr/bin/chromium";
    if !Path::new(chromium).exists() {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing");
        eprintln!("skipped: there is no {chromium} here");
        return;
    }
    let (_demo, page) = demo("40s");
    let kit = Kit::new();
    let look = || {
        let args = ["--headless", "--no-sandbox", "--virtual-time-budget=9000", "--dump-dom"];
        let page = format!("{page}#8"); // it takes eight looks and stays like that
        let output = Command::new(chromium).args(args).arg(page).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let dom = look();
    for part in ["role=\"status\"", "aria-pressed=\"false\"", "aria-label=\"queue of slow sink\""] {
        assert!(dom.contains(part), "a screen reader misses {part} in {dom}");
    }
    for part in ["<h3>generator-1</h3>", "<h3>slow sink</h3>", "running for", "<meter", "events"] {
        assert!(dom.contains(part), "{part} is missing in {dom}");
    }
    kit.wait_until("the stall", || get(&page, "/readyz").starts_with("HTTP/1.1 503"));
    let stalled = look();
    assert!(stalled.contains("Not ready: slow sink holds everything up."), "{stalled}");
    assert!(stalled.contains("◆ bottleneck"), "{stalled}");
    assert_ne!(dom, stalled);
}
