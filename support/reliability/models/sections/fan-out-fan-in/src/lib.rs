//! `fan-out-fan-in`, all of it.

#[path = "../../../../../../patterns/fan-out-fan-in/src/lib.rs"]
mod section;

pub use section::*;
