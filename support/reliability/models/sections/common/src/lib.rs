//! `common`, as far as it synchronises.

#[path = "../../../../../../common/src/context.rs"]
mod context;
#[path = "../../../../../../common/src/panics.rs"]
mod panics;

mod sync {
    pub use model::sync::atomic::{AtomicBool, Ordering, fence};
    pub use model::sync::{Arc, OnceLock};
}

pub use context::{Cause, Context};
pub use panics::{discard, panic_message, resume_panic};

/// The context with a bug in it, which a model must find.
#[allow(dead_code, missing_docs)]
pub mod bad {
    pub mod decision_does_not_stand {
        include!(concat!(env!("OUT_DIR"), "/decision_does_not_stand.rs"));
    }

    pub mod cancel_looks_at_no_clock {
        include!(concat!(env!("OUT_DIR"), "/cancel_looks_at_no_clock.rs"));
    }

    pub mod run_polls_first {
        include!(concat!(env!("OUT_DIR"), "/run_polls_first.rs"));
    }

    pub mod one_is_woken {
        include!(concat!(env!("OUT_DIR"), "/one_is_woken.rs"));
    }
}
