use std::convert::Infallible;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::Context;
use crate::sync::Mutex;

/// What a signal trips, once: a context for tasks and a channel for threads.
pub(crate) struct Latch {
    context: Context,
    sender: Mutex<Option<Sender<Infallible>>>,
    receiver: Receiver<Infallible>,
}

impl Latch {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = bounded(0);
        Self { context: Context::background(), sender: Mutex::new(Some(sender)), receiver }
    }

    /// Cancels the context and then disconnects the channel. Gives `false` from the second time on.
    pub(crate) fn trip(&self) -> bool {
        let sender = self.sender.lock().expect("no holder of this lock panics").take();
        if sender.is_none() {
            return false;
        }
        self.context.cancel(); // `sender` is dropped behind it: the threads' side of the news
        true
    }

    pub(crate) fn context(&self) -> Context {
        self.context.clone()
    }

    pub(crate) fn channel(&self) -> Receiver<Infallible> {
        self.receiver.clone()
    }
}
