use std::fmt;
use std::ops::Deref;

/// loom's, with the `into_inner` that it lacks.
#[derive(Default)]
pub struct Arc<T>(loom::sync::Arc<T>);

impl<T> Arc<T> {
    /// One handle to `value`.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Arc::new(value))
    }

    /// The value, if this is the last handle.
    pub fn into_inner(this: Self) -> Option<T> {
        loom::sync::Arc::try_unwrap(this.0).ok()
    }

    /// How many handles there are.
    pub fn strong_count(this: &Self) -> usize {
        loom::sync::Arc::strong_count(&this.0)
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
