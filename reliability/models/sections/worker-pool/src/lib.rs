//! `worker-pool`, all of it.

#[path = "../../../../../patterns/worker-pool/src/lib.rs"]
#[allow(unused_imports)] // its own `sync` is there, and nobody uses it
mod section;

mod sync {
    pub use model::sync::Arc;
    pub use model::sync::atomic::{AtomicU64, Ordering};
    pub use model::thread;
}

pub use section::*;
