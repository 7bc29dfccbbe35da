//! `wait-group`. Under loom, which has neither tasks nor scoped threads: the list of panics alone.

#[path = "../../../../../../communication/wait-group/src/panics.rs"]
mod panics;
#[cfg(not(loom))]
#[path = "../../../../../../communication/wait-group/src/tasks.rs"]
mod tasks;
#[cfg(not(loom))]
#[path = "../../../../../../communication/wait-group/src/threads.rs"]
mod threads;

mod sync {
    pub use model::sync::{Arc, Mutex, PoisonError};
    #[cfg(not(loom))]
    pub use model::thread::Scope;
}

pub use panics::Panicked;
#[cfg(not(loom))]
pub use tasks::TaskGroup;
#[cfg(not(loom))]
pub use threads::ThreadGroup;

/// The panics of a group, which the section keeps to itself.
#[derive(Clone, Default)]
pub struct Panics(panics::Panics);

#[allow(missing_docs)]
impl Panics {
    pub fn record(&self, worker: usize, ended: std::thread::Result<()>) {
        self.0.record(worker, ended);
    }

    pub fn take(&self) -> Vec<Panicked> {
        self.0.take()
    }
}
