use std::num::NonZeroUsize;

use crossbeam_channel::{Receiver, Sender, bounded};

/// At most so many threads at once: a queue of that length, as in Go.
#[derive(Debug)]
pub(crate) struct Permits {
    take: Sender<()>,
    give_back: Receiver<()>,
}

/// Gives its place back when it is dropped, also by a panic.
pub(crate) struct Permit<'a>(&'a Receiver<()>);

impl Permits {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        let (take, give_back) = bounded(limit.get());
        Self { take, give_back }
    }

    /// Waits for a place. Who holds one counts a buffer and never waits itself, so the wait is
    /// short and needs no cancellation.
    pub(crate) fn take(&self) -> Permit<'_> {
        self.take.send(()).expect("both ends live as long as this does");
        Permit(&self.give_back)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // The place that was taken is there, so this never waits.
        let _ = self.0.try_recv();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_dropped_permit_makes_room() {
        let permits = Permits::new(NonZeroUsize::MIN);
        let permit = permits.take();
        assert!(permits.take.is_full());
        drop(permit);
        drop(permits.take());
        assert!(permits.take.is_empty());
    }

    #[test]
    fn a_panic_gives_its_permit_back() {
        let permits = Permits::new(NonZeroUsize::MIN);
        let panicked = catch_unwind(|| {
            let _permit = permits.take();
            panic!("in the work");
        });
        assert!(panicked.is_err() && permits.take.is_empty());
    }
}
