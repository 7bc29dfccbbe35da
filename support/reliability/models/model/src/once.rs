use std::fmt;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// `std::sync::OnceLock`, which neither checker has: the same promises, made of what they have.
pub struct OnceLock<T> {
    ready: AtomicBool,
    /// Held by the caller that initialises.
    turn: Mutex<()>,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    /// An empty cell.
    pub fn new() -> Self {
        Self::holding(std::sync::OnceLock::new())
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        if self.ready.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    /// The value, which `init` makes if there is none.
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let turn = self.turn.lock().expect("initialising does not panic");
        let value = self.value.get_or_init(init);
        self.ready.store(true, Ordering::Release);
        drop(turn);
        value
    }

    fn holding(value: std::sync::OnceLock<T>) -> Self {
        let ready = AtomicBool::new(value.get().is_some());
        Self { ready, turn: Mutex::new(()), value }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        Self::holding(value.into())
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
