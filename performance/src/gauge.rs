use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Counts pieces of work from the inside: how many run now, the most that ran at once, and how many
/// are done.
#[derive(Debug, Default)]
pub struct Gauge {
    running: AtomicUsize,
    peak: AtomicUsize,
    done: AtomicUsize,
}

/// One piece of work, from its start until this is dropped.
#[derive(Debug)]
pub struct Running<'gauge>(&'gauge Gauge);

impl Gauge {
    /// A piece of work starts.
    pub fn start(&self) -> Running<'_> {
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(running, Ordering::Relaxed);
        Running(self)
    }

    /// How many pieces of work ran at once at most.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// How many ended without a panic.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        if !thread::panicking() {
            self.0.done.fetch_add(1, Ordering::Relaxed);
        }
    }
}
