//! `pipeline`, its stages and what comes out of them, for shuttle.
#![cfg(not(loom))]

#[path = "../../../../../../patterns/pipeline/src/receiver.rs"]
mod receiver;
#[path = "../../../../../../patterns/pipeline/src/stages.rs"]
mod stages;

pub use receiver::Receiver;
pub use stages::*;

/// The stages with a bug in them, which a model must find.
#[allow(dead_code, missing_docs)]
pub mod bad {
    pub mod early_end_is_not_reported {
        include!(concat!(env!("OUT_DIR"), "/early_end_is_not_reported.rs"));
    }

    pub mod panic_is_not_reported {
        mod receiver {
            include!(concat!(env!("OUT_DIR"), "/panic_is_not_reported.rs"));
        }
        mod stages {
            include!(concat!(env!("OUT_DIR"), "/stages.rs"));
        }
        pub use receiver::Receiver;
        pub use stages::*;
    }

    use crate::receiver;
}
