//! What comes out of a stage.

use std::collections::{VecDeque, vec_deque::Drain};
use std::future::poll_fn;
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

/// The most items that are taken from a channel at once.
pub(crate) const MANY: usize = 256;

/// The results of a pipeline so far, and the owner of its stages. It is a [`Stream`], too.
///
/// Dropping it stops every stage at once, even one that waits for its input. A stage that panics
/// ends the results early, and its panic resumes in the code that reads them.
#[derive(Debug)]
#[must_use = "dropping the receiver stops its stages"]
pub struct Receiver<T> {
    pub(crate) items: mpsc::Receiver<T>,
    /// What has been taken from the channel and not yet been read.
    pub(crate) ahead: VecDeque<T>,
    /// Items taken since this task last let others run.
    pub(crate) taken: usize,
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
        poll_fn(|cx| self.poll_ahead(cx)).await;
        if self.ahead.is_empty() { None } else { Some(self.ahead.drain(..)) }
    }

    /// All the items that are left.
    pub async fn collect(mut self) -> Vec<T> {
        let mut items = Vec::new();
        while let Some(chunk) = self.next_chunk().await {
            items.extend(chunk);
        }
        items
    }

    /// Waits until there are items, and takes all that are there. Empty once the stages have ended.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ahead.is_empty() {
            return Poll::Ready(());
        }
        // A channel that is never empty has no wait in which others run: they get a turn here.
        if self.taken >= MANY {
            self.taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut items = Vec::from(mem::take(&mut self.ahead)); // its memory is used again
        let received = self.items.poll_recv_many(cx, &mut items, MANY);
        self.ahead = items.into();
        self.taken += ready!(received);
        while self.ahead.is_empty()
            && let Some(ended) = ready!(self.stages.poll_join_next(cx))
        {
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
        ready!(self.poll_ahead(cx));
        Poll::Ready(self.ahead.pop_front())
    }
}

/// The result of a task, whose panic resumes here. Only a runtime that shuts down cancels the task.
pub(crate) fn unless_canceled<T>(joined: Result<T, JoinError>) -> Option<T> {
    joined.map_err(|err| err.try_into_panic().map(|panic| resume_unwind(panic))).ok()
}
