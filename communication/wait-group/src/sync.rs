//! The threads and what synchronises them, from one place, so that a model checker can put its own
//! types there.

pub(crate) use std::sync::{Arc, Mutex, PoisonError};
pub(crate) use std::thread::Scope;
