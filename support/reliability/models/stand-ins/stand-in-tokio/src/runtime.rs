//! `tokio::runtime`, as far as the sections need it.

use shuttle_tokio::runtime as inner;

/// The runtime that is running.
pub struct Handle(inner::Handle);

/// What kind of runtime it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeFlavor {
    /// One thread: no task runs while another one does.
    CurrentThread,
    /// Several threads, which is how the checker runs tasks: others run between any two steps.
    MultiThread,
}

impl Handle {
    /// The handle of the runtime that is running.
    pub fn current() -> Self {
        Self(inner::Handle::current())
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// What kind of runtime it is.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        RuntimeFlavor::MultiThread
    }
}
