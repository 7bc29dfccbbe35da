use std::error::Error;
use std::fmt;
use std::mem;
use std::thread;

use common::panic_message;

use crate::sync::{Arc, Mutex, PoisonError};

/// A worker panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// Its number in the group, counted from 1 in the order of the spawns.
    pub worker: usize,
    /// The message of the panic; "without a message" if it had none.
    pub message: String,
}

/// The panics of a group, written by its workers.
#[derive(Clone, Default)]
pub(crate) struct Panics(Arc<Mutex<Vec<Panicked>>>);

impl Panics {
    pub(crate) fn record(&self, worker: usize, ended: thread::Result<()>) {
        let Err(payload) = ended else { return };
        let panicked = Panicked { worker, message: panic_message(payload) };
        self.list(|panics| panics.push(panicked));
    }

    pub(crate) fn take(&self) -> Vec<Panicked> {
        self.list(mem::take)
    }

    fn list<T>(&self, change: impl FnOnce(&mut Vec<Panicked>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} panicked: {}", self.worker, self.message)
    }
}

impl Error for Panicked {}
