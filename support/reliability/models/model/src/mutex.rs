use shuttle::sync::{LockResult, MutexGuard, PoisonError};

/// shuttle's, but never poisoned. Its threads share one real thread, so while one panics all seem
/// to panic, and a lock that another one releases at that moment would be poisoned.
#[derive(Debug, Default)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    /// Waits for the lock. Never an error.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
