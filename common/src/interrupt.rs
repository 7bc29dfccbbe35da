use std::convert::Infallible;
use std::process;
use std::sync::{Mutex, OnceLock};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::Context;

/// A context that the first Ctrl-C, SIGTERM or SIGHUP cancels. The second one exits the process
/// with status 130 at once.
///
/// A process has one signal handler: this one. Calling it again gives the same context.
///
/// # Panics
///
/// If the process has a handler of its own, set with `ctrlc`.
pub fn interrupted() -> Context {
    signals().context.clone()
}

/// The same for threads: nothing is ever sent, and the channel is disconnected once the process is
/// interrupted. Select on it beside a send or a receive.
///
/// # Panics
///
/// As [`interrupted`].
pub fn interrupted_channel() -> Receiver<Infallible> {
    signals().receiver.clone()
}

struct Signals {
    context: Context,
    sender: Mutex<Option<Sender<Infallible>>>,
    receiver: Receiver<Infallible>,
}

fn signals() -> &'static Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(|| {
        ctrlc::set_handler(|| signals().deliver())
            .expect("nothing else in this process handles signals");
        let (sender, receiver) = bounded(0);
        Signals { context: Context::background(), sender: Mutex::new(Some(sender)), receiver }
    })
}

impl Signals {
    /// Runs on a thread of `ctrlc`, so it may lock and allocate.
    fn deliver(&self) {
        let sender = self.sender.lock().expect("no holder of this lock panics").take();
        if sender.is_none() {
            process::exit(130);
        }
        self.context.cancel(); // `sender` is dropped behind it: the threads' side of the news
    }
}
