use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use crate::Panicked;
use crate::panics::Panics;

/// Go's `sync.WaitGroup` for tasks: [`spawn`](Self::spawn) is `wg.Go`, and
/// [`wait`](Self::wait) also tells who panicked.
///
/// It keeps nothing of a task that has ended, so it may start any number of them. Dropping it
/// stops no task.
#[derive(Default)]
pub struct TaskGroup {
    tracker: TaskTracker,
    panics: Panics,
    started: usize,
}

impl TaskGroup {
    /// A group without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.started += 1;
        let (id, panics) = (self.started, self.panics.clone());
        // The tracker counts up here, and down when the task is dropped, however it has ended.
        // (Adapters, not an `async` block: that would hold the work twice, where it was captured and
        // where it is awaited.)
        let caught = AssertUnwindSafe(work).catch_unwind();
        self.tracker.spawn(caught.map(move |ended| panics.record(id, ended)));
    }

    /// Waits until the count is down to zero, and gives the panics since the last call, in the
    /// order in which they happened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the tasks go on, and can be waited for again.
    #[must_use = "they are the panics of the tasks"]
    pub async fn wait(&self) -> Vec<Panicked> {
        self.tracker.close(); // an open tracker would wait for further tasks
        self.tracker.wait().await;
        self.panics.take()
    }
}
