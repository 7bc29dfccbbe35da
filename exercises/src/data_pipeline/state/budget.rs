//! A bound in bytes for what waits between two stages.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes that even the smallest chunk counts for. This also bounds the number of chunks in a
/// queue, and covers what a chunk costs beside its bytes.
const LEAST: usize = 4096;

/// Most bytes between two stages.
#[derive(Clone, Debug)]
pub(crate) struct ByteBudget {
    bytes: Arc<Semaphore>,
    total: usize,
}

/// A share of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share(OwnedSemaphorePermit);

impl ByteBudget {
    pub(crate) fn new(total: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(total)), total }
    }

    /// The most chunks that can share it: the capacity of the channel that it bounds.
    pub(crate) fn chunks(&self) -> usize {
        self.total / LEAST
    }

    /// Waits for a share of `bytes`; what is larger than the whole budget gets all of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only its place in the queue of waiters.
    pub(crate) async fn acquire(&self, bytes: usize) -> Share {
        let share = self.bytes.clone().acquire_many_owned(self.cost(bytes)).await;
        Share(share.expect("a budget is never closed"))
    }

    /// A share of `bytes`, if it is there now.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Option<Share> {
        self.bytes.clone().try_acquire_many_owned(self.cost(bytes)).ok().map(Share)
    }

    /// How many bytes are in use.
    pub(crate) fn used(&self) -> usize {
        self.total - self.bytes.available_permits()
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    fn cost(&self, bytes: usize) -> u32 {
        let cost = bytes.max(LEAST).min(self.total);
        u32::try_from(cost).expect("a budget is far below 4 GiB")
    }
}

impl Share {
    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let beyond = self.0.num_permits().saturating_sub(bytes.max(LEAST));
        drop(self.0.split(beyond));
    }
}
