use std::convert::Infallible;
use std::process;
use std::sync::OnceLock;

use crossbeam::channel::Receiver;

use crate::Context;
use crate::latch::Latch;

/// A context that the first Ctrl-C, SIGTERM or SIGHUP cancels. The second one exits the process
/// with status 130 at once.
///
/// A process has one signal handler: this one. Calling it again gives the same context.
///
/// # Panics
///
/// If the process has a handler of its own, set with `ctrlc`.
pub fn interrupted() -> Context {
    latch().context()
}

/// The same for threads: nothing is ever sent, and the channel is disconnected once the process is
/// interrupted. Select on it beside a send or a receive.
///
/// # Panics
///
/// As [`interrupted`].
pub fn interrupted_channel() -> Receiver<Infallible> {
    latch().channel()
}

fn latch() -> &'static Latch {
    static LATCH: OnceLock<Latch> = OnceLock::new();
    LATCH.get_or_init(|| {
        // The handler runs on a thread of `ctrlc`, so it may lock and allocate.
        ctrlc::set_handler(|| {
            if !latch().trip() {
                process::exit(130);
            }
        })
        .expect("nothing else in this process handles signals");
        Latch::new()
    })
}
