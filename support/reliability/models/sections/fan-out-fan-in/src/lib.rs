//! `fan-out-fan-in`, all of it.

#[path = "../../../../../../patterns/fan-out-fan-in/src/lib.rs"]
#[allow(dead_code, unused_imports)] // its own `sync` is there, and nobody uses it
mod section;

mod sync {
    pub use model::sync::{Arc, Mutex, MutexGuard};
}

pub use section::*;
