use crossbeam::channel::Receiver;

use super::{Done, second_look};

/// The results of a pool, one after the other, as an iterator that waits for the next one. It ends
/// once the pool is closed and every job is done, or once it is dropped.
///
/// A clone reads from the same results: each of them goes to one reader.
#[derive(Debug)]
#[must_use = "a result that nobody reads is lost, a panic too"]
pub struct Results<R>(pub(crate) Receiver<Done<R>>);

impl<R> Iterator for Results<R> {
    type Item = Done<R>;

    fn next(&mut self) -> Option<Done<R>> {
        second_look::recv(&self.0).ok()
    }
}

/// The channel itself: for a `select!`, a timeout, or a look without waiting.
impl<R> AsRef<Receiver<Done<R>>> for Results<R> {
    fn as_ref(&self) -> &Receiver<Done<R>> {
        &self.0
    }
}

impl<R> Clone for Results<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
