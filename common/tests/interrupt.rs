//! Signals, to a process of its own: this test program, started once more.
#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Child, Command, Stdio};
use std::thread;

use common::{Cause, interrupted, interrupted_channel};

/// Set in the process that gets the signals.
const CHILD: &str = "INTERRUPT_TEST_CHILD";

#[test]
fn the_first_signal_cancels_and_disconnects_and_the_second_exits_with_130() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut child = start();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wait_for = |text: &str| {
            // The test harness of the child may print before it does.
            assert!(lines.any(|line| line.unwrap().ends_with(text)), "{text} after {signal}");
        };
        wait_for("ready");
        send(signal, &child);
        wait_for("canceled and disconnected");
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
    }
}

/// What the process does that gets the signals. Run as a test of its own, it does nothing.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let (context, channel) = (interrupted(), interrupted_channel());
    assert_eq!(context.err(), None);
    writeln!(stdout(), "ready").unwrap();
    assert!(channel.recv().is_err());
    assert_eq!(context.err(), Some(Cause::Canceled));
    writeln!(stdout(), "canceled and disconnected").unwrap();
    loop {
        thread::park(); // until the second signal
    }
}

fn start() -> Child {
    let mut command = Command::new(env::current_exe().expect("a test has a program"));
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, "1");
    command.stdout(Stdio::piped()).spawn().expect("it runs already")
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("there is kill on Unix").success());
}
