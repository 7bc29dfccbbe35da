//! What synchronises a channel, from one place, so that a model checker can put its own types there.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
