//! The program, stopped by real signals.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use testkit::Run;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shutdown");
const TRANSCRIPT: &str = include_str!("expected.txt");

/// The longest time that the program may print nothing before it counts as hanging.
const HANG: Duration = Duration::from_mins(1);

#[test]
fn prints_the_transcript_at_the_chapters_pace() {
    let mut server = Server::start(&[]);
    for _ in 0..3 * 3 {
        server.wait_for(": tick");
    }
    server.signal("INT");
    let run = server.finish().expect_status(0);
    assert!(run.took >= Duration::from_millis(1500), "three ticks: {run:?}");
    // A signal that is slow to arrive leaves time for more ticks.
    let mut transcript = TRANSCRIPT.to_owned();
    for worker in 1..=3 {
        let tick = format!("Worker worker-{worker}: tick");
        let ticks: Vec<_> = run.stdout.lines().filter(|line| *line == tick).collect();
        ticks.into_iter().skip(3).for_each(|tick| push_line(&mut transcript, tick));
        run.assert_order(&[
            "Server starting...",
            &tick,
            "Received signal",
            "Server shutting down...",
            &format!("Worker worker-{worker} shutting down gracefully"),
            "All workers stopped gracefully",
            "Server stopped",
        ]);
    }
    run.assert_transcript(&transcript);
}

#[test]
fn every_kind_of_stop_is_graceful() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut server = Server::start(&[]);
        server.wait_for("All workers started");
        server.signal(signal);
        let run = server.finish().expect_status(0);
        run.assert_order(&["Received signal", "All workers stopped gracefully", "Server stopped"]);
    }
}

#[test]
fn the_second_signal_exits_at_once() {
    for signal in ["INT", "TERM"] {
        let mut server = Server::start(&["--stubborn", "1", "--deadline", "24h"]);
        server.wait_for("All workers started");
        server.signal("INT");
        server.wait_for("Server shutting down...");
        server.signal_until_it_exits(signal); // an earlier one is ignored, like the second one from `timeout`
        let run = server.finish().expect_status(130);
        assert!(!run.stdout.contains("Server stopped"), "{run:?}");
    }
}

#[test]
fn a_signal_wakes_waiting_workers() {
    // The next tick is hours away, so a worker that waited for it would hang.
    let mut server = Server::start(&["--pace", "100000"]);
    server.wait_for("All workers started");
    server.signal("TERM");
    let run = server.finish().expect_status(0);
    assert!(!run.stdout.contains("tick"), "{run:?}");
    run.assert_order(&["Received signal", "All workers stopped gracefully"]);
}

/// The running program, and what it has printed.
struct Server {
    child: Child,
    started: Instant,
    lines: Receiver<String>,
    stdout: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().expect("the program is there");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let _test_failed = sender.send(line.expect("a program prints UTF-8"));
            }
        });
        Self { child, started, lines, stdout: String::new() }
    }

    fn wait_for(&mut self, text: &str) {
        loop {
            let line = self.lines.recv_timeout(HANG);
            let line = line.unwrap_or_else(|_| panic!("no `{text}` in {}", self.stdout));
            push_line(&mut self.stdout, &line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Through the shell, whose `kill` is there on every Unix.
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh is there").success());
    }

    fn signal_until_it_exits(&mut self, name: &str) {
        let started = Instant::now();
        while self.child.try_wait().expect("the program was started here").is_none() {
            assert!(started.elapsed() < HANG, "it ignores every SIG{name}");
            self.signal(name);
        }
    }

    fn finish(mut self) -> Run {
        loop {
            match self.lines.recv_timeout(HANG) {
                Ok(line) => push_line(&mut self.stdout, &line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the program hangs: {}", self.stdout),
            }
        }
        let mut stderr = String::new();
        let pipe = self.child.stderr.as_mut().expect("stderr is piped");
        pipe.read_to_string(&mut stderr).expect("a program complains in UTF-8");
        let status = self.child.wait().expect("the program was started here").code();
        let stdout = std::mem::take(&mut self.stdout);
        Run { status, stdout, stderr, took: self.started.elapsed() }
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

impl Drop for Server {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _ = self.child.wait();
    }
}
