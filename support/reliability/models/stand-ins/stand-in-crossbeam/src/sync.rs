//! `crossbeam::sync`.

use crate::channel::{Receiver, Sender, bounded};

/// Counts up when it is cloned and down when it is dropped, and waits for the others to be dropped:
/// which is what the senders of a channel do.
#[derive(Clone)]
pub struct WaitGroup {
    count: Sender<()>,
    zero: Receiver<()>,
}

impl WaitGroup {
    /// A group of one.
    pub fn new() -> Self {
        let (count, zero) = bounded(0);
        Self { count, zero }
    }

    /// Drops this one and waits until all others have been dropped.
    pub fn wait(self) {
        drop(self.count);
        let disconnected = self.zero.recv();
        assert!(disconnected.is_err(), "nobody sends");
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}
