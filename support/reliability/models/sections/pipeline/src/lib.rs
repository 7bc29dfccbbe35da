//! `pipeline`, as far as it synchronises.

#[cfg_attr(loom, allow(dead_code))] // the stages alone put items back
#[path = "../../../../../../patterns/pipeline/src/chunks.rs"]
mod chunks;
#[cfg(not(loom))]
#[path = "../../../../../../patterns/pipeline/src/stages.rs"]
mod stages;

mod sync {
    pub use model::sync::{Arc, Mutex, MutexGuard};
}

pub use chunks::*;
#[cfg(not(loom))]
pub use stages::*;

/// The channel with a bug in it, which a model must find.
#[allow(dead_code, missing_docs)]
pub mod bad {
    pub mod room_is_not_told {
        include!(concat!(env!("OUT_DIR"), "/room_is_not_told.rs"));
    }

    pub mod end_is_not_told {
        include!(concat!(env!("OUT_DIR"), "/end_is_not_told.rs"));
    }

    pub mod looks_before_it_listens {
        include!(concat!(env!("OUT_DIR"), "/looks_before_it_listens.rs"));
    }
}
