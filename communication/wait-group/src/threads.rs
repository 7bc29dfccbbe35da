use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::sync::WaitGroup;

use crate::Panicked;
use crate::panics::Panics;
use crate::sync::Scope;

/// Go's `sync.WaitGroup` for threads: [`spawn`](Self::spawn) is `wg.Go`, and
/// [`wait`](Self::wait) also tells who panicked.
///
/// It keeps nothing of a worker that has ended, so it may start any number of them.
pub struct ThreadGroup<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    count: WaitGroup,
    panics: Panics,
    started: usize,
}

impl<'scope, 'env> ThreadGroup<'scope, 'env> {
    /// A group without workers. The scope joins the threads even if nothing waits for the group.
    pub fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { scope, count: WaitGroup::new(), panics: Panics::default(), started: 0 }
    }

    /// Starts a worker on a thread of its own.
    pub fn spawn(&mut self, work: impl FnOnce() + Send + 'scope) {
        self.started += 1;
        let (id, panics) = (self.started, self.panics.clone());
        let count = self.count.clone(); // counts up, before the thread starts
        self.scope.spawn(move || {
            let _count = count; // counts down when the thread ends, even by a panic
            panics.record(id, catch_unwind(AssertUnwindSafe(work)));
        });
    }

    /// Waits until the count is down to zero, and gives the panics, in the order in which they
    /// happened.
    #[must_use = "they are the panics of the workers"]
    pub fn wait(self) -> Vec<Panicked> {
        self.count.wait();
        self.panics.take()
    }
}
