//! Sends signals to a second process, which is this test program again.
#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Cause, interrupted, interrupted_channel};

/// The longest time for a process to end; after that, it counts as ignoring the signals.
const HANG: Duration = Duration::from_secs(10);

/// Set in the process that gets the signals.
const CHILD: &str = "INTERRUPT_TEST_CHILD";

#[test]
fn the_first_signal_cancels_and_disconnects_and_a_later_one_exits_with_130() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut child = start();
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut wait_for = |text: &str| {
            // The test harness of the child may print before it does.
            assert!(lines.any(|line| line.unwrap().ends_with(text)), "{text} after {signal}");
        };
        wait_for("ready");
        let first = Instant::now();
        send(signal, &child); // and at once another one, as `timeout` does
        send(signal, &child);
        wait_for("canceled and disconnected");
        let status = loop {
            if let Some(status) = child.0.try_wait().unwrap() {
                break status;
            }
            assert!(first.elapsed() < HANG, "it ignores every {signal}");
            send(signal, &child);
        };
        assert_eq!(status.code(), Some(130), "{signal}");
        let time = first.elapsed();
        assert!(time >= Duration::from_millis(300), "{signal} exits after {time:?}");
    }
}

/// The body of the process that gets the signals. Run as a test, it does nothing.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let (context, channel) = (interrupted(), interrupted_channel());
    interrupted().cancel(); // ends no other context
    assert_eq!(context.err(), None);
    writeln!(stdout(), "ready").unwrap();
    assert!(channel.recv().is_err());
    assert_eq!(context.err(), Some(Cause::Canceled));
    assert_eq!(interrupted().err(), Some(Cause::Canceled), "even for a later caller");
    writeln!(stdout(), "canceled and disconnected").unwrap();
    loop {
        thread::park(); // until a later signal
    }
}

/// Killed when the test is over, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _has_ended = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> Process {
    let mut command = Command::new(env::current_exe().expect("a test has a program"));
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, "1");
    Process(command.stdout(Stdio::piped()).spawn().expect("it runs already"))
}

fn send(signal: &str, child: &Process) {
    let status = Command::new("kill").args([signal, &child.0.id().to_string()]).status();
    assert!(status.expect("there is kill on Unix").success());
}
