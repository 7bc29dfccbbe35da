//! The threads and what synchronises them, from one place, so that a model checker can put its own
//! types there.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::thread;

/// How often a thread looks at a queue before it goes to sleep: enough for every other thread of a
/// small pool to have a turn, and at most a few microseconds if no other thread wants to run.
pub(crate) const LOOKS: usize = 8;
