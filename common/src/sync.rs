//! What synchronises a context, from one place, so that a model checker can put its
//! own types there.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use std::sync::{Arc, OnceLock};
