//! The metrics and the live page.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::kit::{Kit, PROGRAM, Running, address, get, lines};

/// The demo, which runs for `seconds`, and its page's address.
fn demo(seconds: &str) -> (Running, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["--for", seconds, "--seed", "1"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let page = lines.find_map(|line| Some(line.unwrap().strip_prefix("Live page: ")?.to_owned()));
    // The test has to read on, or the demo would find its stdout closed.
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
fn the_page_may_run_and_load_only_its_own_content() {
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

fn chromium() -> Option<&'static str> {
    let chromium = "/usr/bin/chromium";
    if Path::new(chromium).exists() {
        return Some(chromium);
    }
    assert!(std::env::var_os("CI").is_none(), "chromium is missing");
    eprintln!("skipped: there is no {chromium} here");
    None
}

/// What a browser shows of the page after some seconds.
#[test]
fn the_page_renders_updates_and_shows_backpressure() {
    let Some(chromium) = chromium() else { return };
    let (_demo, page) = demo("40s");
    let kit = Kit::new();
    let look = || {
        let args = ["--headless", "--no-sandbox", "--virtual-time-budget=9000", "--dump-dom"];
        let page = format!("{page}#8"); // it stops after eight updates
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

/// A browser's window is no narrower than 500 pixels: a frame can be. This serves a frame of this
/// width with the page of `upstream`, without the policy that forbids frames, and next to it the
/// page's HTML. Returns the address.
fn framed(upstream: &str, width: u32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, upstream) = (listener.local_addr().unwrap().to_string(), upstream.to_owned());
    let frame = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<iframe id=f src='/#4' \
         style='width:{width}px;height:4000px;border:0'></iframe><pre id=o></pre><script>setInterval(() => \
         {{ const page = f.contentDocument.body; if (page && page.dataset.width) o.textContent = \
         page.outerHTML; }}, 100)</script>"
    );
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (frame, upstream) = (frame.clone(), upstream.clone());
            std::thread::spawn(move || serve(client.unwrap(), &frame, &upstream));
        }
    });
    address
}

/// Errors of a connection are ignored.
fn serve(mut client: TcpStream, frame: &str, upstream: &str) -> Option<()> {
    let mut asked = String::new();
    BufReader::new(client.try_clone().ok()?).read_line(&mut asked).ok()?;
    let path = asked.split(' ').nth(1)?;
    if path == "/frame" {
        return client.write_all(frame.as_bytes()).ok();
    }
    let mut server = TcpStream::connect(upstream).ok()?;
    write!(server, "GET {path} HTTP/1.1\r\nHost: {upstream}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = BufReader::new(server);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line).ok()?;
        if !line.to_lowercase().starts_with("content-security-policy:") {
            client.write_all(line.as_bytes()).ok()?;
        }
    }
    std::io::copy(&mut answer, &mut client).map(drop).ok()
}

/// At the widths of a phone and a desktop, nothing is cut off, the last windows and the reasons of
/// dead letters are there, and for old events the page shows their own time.
#[test]
fn the_page_shows_windows_and_dead_letters_at_two_widths() {
    let Some(chromium) = chromium() else { return };
    let (kit, page) = (Kit::new(), address());
    let bad = "no JSON\n{\"ts\":\"never\"}\n{\"k\":1}\nno JSON either\n";
    kit.write("first.log", &(lines(0..2000) + bad));
    kit.write("second.log", &lines(0..2000));
    let args = ["--file", "first.log", "--file", "second.log", "--follow", "--by", "k", "--p", "v"];
    let sinks = ["--sum", "v", "--aggregates", "win", "--dead-letters", "dead", "--http", &page];
    let running = kit.start(&[&args[..], &sinks].concat());
    kit.wait_until("windows", || kit.read("win").lines().count() > 70);
    for width in [390, 1200] {
        let output = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1400,900"])
            .args(["--virtual-time-budget=9000", "--dump-dom"])
            .arg(format!("http://{}/frame", framed(&page, width)))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&output.stdout);
        let dom = dom.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        for part in [
            &format!("data-width=\"{width} of {width}\""),
            "style=\"--rows: 2;\"", // each source's arrow meets the stage behind it
            "<td data-name=\"window_start\">2026-03-01T00:00:",
            "<td data-name=\"sum_v\">",
            "<rect x=\"236\"",
            "<td data-name=\"reason\">expected ident</td><td data-name=\"letters\">2</td>",
            "<td data-name=\"= filtered\">",
        ] {
            assert!(dom.contains(part), "{part} is missing at {width} in {dom}");
        }
    }
    assert_eq!(running.stop(), Some(0));
}
