use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::process;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use timeline::moment;

/// How long after the first signal a second one starts to mean "exit at once". `timeout N` sends
/// two within a millisecond, to its child and then to its group; a person needs longer to press
/// Ctrl-C twice.
const SECOND_SIGNAL: Duration = Duration::from_millis(300);

/// A context that the first Ctrl-C, SIGTERM or SIGHUP cancels. A second one, 300 ms or more after
/// it, exits the process with status 130 at once.
///
/// A process has one signal handler: this one. Each call gives a context of its own: cancelling one
/// does not cancel the others.
///
/// # Panics
///
/// If the process has a handler of its own, set with `ctrlc`.
#[cfg(feature = "tasks")]
pub fn interrupted() -> crate::Context {
    LazyLock::force(&THREADS);
    TASKS.with_cancel()
}

/// The same for threads: nothing is ever sent, and the channel is disconnected once the process is
/// interrupted. Select on it beside a send or a receive.
///
/// # Panics
///
/// If the process has a handler of its own, set with `ctrlc`.
pub fn interrupted_channel() -> Receiver<Infallible> {
    THREADS.clone()
}

/// Cancelled by the first signal.
#[cfg(feature = "tasks")]
static TASKS: LazyLock<crate::Context> = LazyLock::new(crate::Context::background);

/// The receiver that the first signal disconnects. Its first use installs the signal handler.
static THREADS: LazyLock<Receiver<Infallible>> = LazyLock::new(|| {
    let (sender, receiver) = bounded(0);
    let (mut sender, mut first) = (Some(sender), None);
    // `ctrlc` calls this on a thread of its own, so it may lock and allocate.
    let on_signal = move || {
        moment("signal");
        #[cfg(feature = "tasks")]
        TASKS.cancel();
        drop(sender.take()); // after the tasks: a thread that wakes finds them cancelled
        if first.get_or_insert_with(Instant::now).elapsed() >= SECOND_SIGNAL {
            if io::stderr().is_terminal() {
                let _ = io::stderr().write_all(b"\r\x1b[Kinterrupted twice: exits at once\n");
            }
            process::exit(130);
        }
    };
    ctrlc::set_handler(on_signal).expect("nothing else in this process handles signals");
    receiver
});
