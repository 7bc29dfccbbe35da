//! `worker-pool`, all of it.

#[path = "../../../../../../patterns/worker-pool/src/lib.rs"]
#[allow(dead_code, unused_imports)] // its own `sync` is there, and nobody uses it
mod section;

mod sync {
    pub use model::sync::Arc;
    pub use model::sync::atomic::{AtomicU64, Ordering};
    pub use model::thread;

    /// Each look adds a point at which other threads may run. With none, the thread sleeps at once,
    /// which is the case in which a wake-up can be lost.
    pub const LOOKS: usize = 1;
}

pub use section::*;
