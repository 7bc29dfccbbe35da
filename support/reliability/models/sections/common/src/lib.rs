//! `common`, as far as it synchronises.

#[path = "../../../../../../common/src/context.rs"]
mod context;
#[path = "../../../../../../common/src/panics.rs"]
mod panics;

mod sync {
    pub use model::sync::atomic::{Ordering, fence};
    pub use model::sync::{Arc, OnceLock};
}

use std::fmt::Display;

pub use context::{Cause, Context};
pub use panics::{discard, panic_message, resume_panic};

/// A bar of a picture; nothing is drawn here.
pub struct Work;

/// A bar of a picture; nothing is drawn here.
pub fn bar(_lane: impl Display, _name: impl Display) -> Work {
    Work
}

impl Work {
    /// Does the work.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        work.await
    }
}

/// The context with a bug in it, which a model must find.
#[allow(dead_code, missing_docs)]
pub mod bad {
    pub mod cause_does_not_stand {
        include!(concat!(env!("OUT_DIR"), "/cause_does_not_stand.rs"));
    }

    pub mod one_is_woken {
        include!(concat!(env!("OUT_DIR"), "/one_is_woken.rs"));
    }
}
