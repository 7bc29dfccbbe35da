//! What comes out of a stage.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec::Drain;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, yield_now};

/// The most items that are taken from a channel at once.
pub(crate) const MANY: usize = 256;

/// The results of a pipeline so far, and the owner of its stages. It is a [`Stream`], too.
///
/// Dropping it stops every stage at once, also one that waits for its input. A stage that panics
/// ends the results early, and its panic goes on in whoever reads them.
#[derive(Debug)]
#[must_use = "dropping the receiver stops its stages"]
pub struct Receiver<T> {
    pub(crate) items: mpsc::Receiver<T>,
    /// Memory for the items of a chunk; empty between two calls.
    pub(crate) chunk: Vec<T>,
    /// How many items have been given in chunks since other tasks had their turn.
    pub(crate) given: usize,
    /// Every stage before this point. A `JoinSet` aborts its tasks when it is dropped.
    pub(crate) stages: JoinSet<()>,
}

impl<T> Receiver<T> {
    /// The next item, or `None` after the last one.
    ///
    /// # Panics
    ///
    /// After the last item, if a stage panicked: with that panic.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, no item is lost.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All the items that are there, 1 to 256, or `None` after the last one. Panics and is cancel
    /// safe as [`next`](Receiver::next) is.
    pub async fn next_chunk(&mut self) -> Option<Drain<'_, T>> {
        if self.given >= MANY {
            self.given = 0;
            yield_now().await; // a channel that is never empty is never waited for
        }
        let count = self.items.recv_many(&mut self.chunk, MANY).await;
        if count == 0 {
            poll_fn(|cx| self.poll_stages(cx)).await;
            return None;
        }
        self.given += count;
        Some(self.chunk.drain(..))
    }

    /// All the items that are left.
    pub async fn collect(mut self) -> Vec<T> {
        let mut items = Vec::new();
        while let Some(chunk) = self.next_chunk().await {
            items.extend(chunk);
        }
        items
    }

    /// Joins the stages. They end by themselves once their last item has been taken.
    fn poll_stages(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(ended) = ready!(self.stages.poll_join_next(cx)) {
            unless_canceled(ended);
        }
        Poll::Ready(())
    }
}

/// Items are moved through a receiver, never pinned in it.
impl<T> Unpin for Receiver<T> {}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let item = ready!(self.items.poll_recv(cx));
        if item.is_none() {
            ready!(self.poll_stages(cx));
        }
        Poll::Ready(item)
    }
}

/// What a task gave. Its panic goes on here; only a runtime that shuts down cancels it.
pub(crate) fn unless_canceled<T>(joined: Result<T, JoinError>) -> Option<T> {
    joined.map_err(|err| err.try_into_panic().map(|panic| resume_unwind(panic))).ok()
}
