//! The threads and what synchronises them, from one place, so that a model checker can put its own
//! types there.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::thread;
