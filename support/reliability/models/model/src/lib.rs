//! The checker: loom under `--cfg loom`, shuttle otherwise, behind one interface. It has the
//! threads and types that the sections take from their `sync` modules, and runs a model.

#[cfg(loom)]
mod arc;
mod check;
#[cfg(not(loom))]
mod mutex;
mod once;

pub use check::{Effort, check};

/// What a section's `sync` module offers.
pub mod sync {
    #[cfg(loom)]
    pub use loom::sync::{Mutex, MutexGuard, atomic};
    #[cfg(not(loom))]
    pub use shuttle::sync::{MutexGuard, atomic};
    pub use std::sync::PoisonError;

    #[cfg(loom)]
    pub use crate::arc::Arc;
    /// The real one: shuttle has none of its own.
    #[cfg(not(loom))]
    pub use std::sync::Arc;

    #[cfg(not(loom))]
    pub use crate::mutex::Mutex;
    pub use crate::once::OnceLock;
}

/// Threads that the checker schedules.
pub mod thread {
    #[cfg(loom)]
    pub use loom::thread::{Builder, JoinHandle, current, spawn, yield_now};
    #[cfg(not(loom))]
    pub use shuttle::thread::{Builder, JoinHandle, Scope, current, scope, spawn, yield_now};
}

/// Futures that the checker schedules.
pub mod future {
    #[cfg(loom)]
    pub use loom::future::block_on;
    #[cfg(not(loom))]
    pub use shuttle::future::{JoinError, JoinHandle, block_on, spawn, yield_now};
}

/// Statics that are separate in every schedule.
#[cfg(loom)]
pub use loom::lazy_static;
#[cfg(not(loom))]
pub use shuttle::lazy_static;

lazy_static! {
    static ref NUMBERS: sync::atomic::AtomicUsize = sync::atomic::AtomicUsize::new(0);
}

/// A number that is unique in this schedule.
pub fn number() -> usize {
    NUMBERS.fetch_add(1, sync::atomic::Ordering::Relaxed)
}

/// Lets shuttle run another thread here, before an operation that it does not know.
#[cfg(not(loom))]
pub fn switch() {
    sync::atomic::AtomicBool::new(false).load(sync::atomic::Ordering::SeqCst);
}

/// The name of the checker.
pub const NAME: &str = if cfg!(loom) { "loom" } else { "shuttle" };
