//! The channel between two stages: bounded in items, handed over in chunks.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::iter;
use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::sync::{Arc, Mutex, MutexGuard};

/// Makes a channel from one task to another.
///
/// The sender adds a chunk at a time and the receiver takes all that is there: one lock and at
/// most one wake-up for each, however many items there are. Neither waits for a chunk to fill, so a
/// slow sender gives chunks of one.
pub fn chunk_channel<T>(limits: Limits) -> (ChunkSender<T>, ChunkReceiver<T>) {
    let state = State { items: VecDeque::new(), limits, open: true, waiting: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), closed: Notify::new() });
    (ChunkSender(shared.clone()), ChunkReceiver(shared))
}

/// How much may be under way between two tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most items that wait in the channel. The receiver works on as many again, at most.
    pub buffer: NonZeroUsize,
    /// The most items that one receive takes; 1 is one operation an item, as in Go.
    pub chunk: NonZeroUsize,
}

/// The end that sends. Dropping it ends the receiver's items.
#[derive(Debug)]
pub struct ChunkSender<T>(Arc<Shared<T>>);

/// The end that receives. Dropping it makes every send an error.
#[derive(Debug)]
pub struct ChunkReceiver<T>(Arc<Shared<T>>);

/// The receiver has been dropped: nothing that is sent can arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiving stage has ended")]
pub struct Closed;

impl<T> ChunkSender<T> {
    /// Moves all of `chunk` into the channel, in pieces if it does not fit as a whole, and waits
    /// whenever the channel is full.
    ///
    /// # Cancel safety
    ///
    /// What has been sent has left `chunk`; what has not is still in it.
    pub async fn send_all(&mut self, chunk: &mut VecDeque<T>) -> Result<(), Closed> {
        poll_fn(|cx| self.poll_send_all(cx, chunk)).await
    }

    /// Sends one item, and waits while the channel is full.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the item is gone: it was not sent.
    pub async fn send(&mut self, item: T) -> Result<(), Closed> {
        self.send_all(&mut VecDeque::from([item])).await
    }

    /// Ends once the receiver has been dropped, whatever the sender does meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub fn closed(&self) -> impl Future<Output = ()> + use<T> {
        let shared = Arc::clone(&self.0);
        async move {
            // Listen first and look afterwards: a drop in between is seen by one or the other.
            let dropped = shared.closed.notified();
            if shared.lock().open {
                dropped.await;
            }
        }
    }

    fn poll_send_all(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut VecDeque<T>,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.0.lock();
        if !state.open {
            return Poll::Ready(Err(Closed));
        }
        if chunk.is_empty() {
            return Poll::Ready(Ok(())); // and the receiver is left to sleep
        }
        let room = state.limits.buffer.get().saturating_sub(state.items.len());
        if state.items.is_empty() && room >= chunk.len() {
            mem::swap(&mut state.items, chunk); // no item is moved, no memory allocated
        } else {
            move_items(chunk, &mut state.items, room);
        }
        let receiver = if room > 0 { state.waiting.take() } else { None };
        let poll = if chunk.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            state.wait(cx);
            Poll::Pending
        };
        drop(state);
        wake(receiver);
        poll
    }
}

impl<T> ChunkReceiver<T> {
    /// Waits until there is something, then moves all that is there, up to the limit of a chunk,
    /// into `chunk`. Gives `false` once the sender is gone and everything has been taken.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, no item has been taken.
    pub async fn recv_all(&mut self, chunk: &mut VecDeque<T>) -> bool {
        poll_fn(|cx| self.poll_recv_all(cx, chunk)).await
    }

    /// Puts items back that were taken last, in front of what waits, even if that is more than the
    /// bound then.
    pub(crate) fn put_back(&mut self, mut chunk: VecDeque<T>) {
        let mut state = self.0.lock();
        chunk.append(&mut state.items);
        state.items = chunk;
    }

    fn poll_recv_all(&mut self, cx: &mut Context<'_>, chunk: &mut VecDeque<T>) -> Poll<bool> {
        let mut state = self.0.lock();
        if state.items.is_empty() {
            if !state.open {
                return Poll::Ready(false);
            }
            state.wait(cx);
            return Poll::Pending;
        }
        let limit = state.limits.chunk.get();
        if chunk.is_empty() && state.items.len() <= limit {
            mem::swap(&mut state.items, chunk);
        } else {
            move_items(&mut state.items, chunk, limit);
        }
        let sender = state.waiting.take();
        drop(state);
        wake(sender);
        Poll::Ready(true)
    }
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Wakes who waits for the other end to be dropped, beside sending or receiving.
    closed: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    limits: Limits,
    /// Whether both ends are still there.
    open: bool,
    /// Whoever waits: the receiver if there is no item, the sender if there is no room. As the
    /// bound is at least one, they never both do.
    waiting: Option<Waker>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nobody panics while holding the lock")
    }

    fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        let other_end = state.waiting.take();
        drop(state);
        wake(other_end);
        self.closed.notify_waiters();
    }
}

impl<T> State<T> {
    fn wait(&mut self, cx: &Context<'_>) {
        self.waiting = Some(cx.waker().clone());
    }
}

/// Moves up to `limit` items from the front of one queue to the back of another: many in one piece,
/// and few one by one, which is faster for the single item that it often is.
fn move_items<T>(from: &mut VecDeque<T>, to: &mut VecDeque<T>, limit: usize) {
    const MANY: usize = 64;
    if from.len() >= MANY && from.len() <= limit {
        to.append(from);
        return;
    }
    for item in iter::from_fn(|| from.pop_front()).take(limit) {
        to.push_back(item);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Drop for ChunkSender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for ChunkReceiver<T> {
    /// Drops what is still queued here and now, not when the sender ends as well.
    fn drop(&mut self) {
        self.0.close();
        let items = mem::take(&mut self.0.lock().items);
        drop(items); // outside the lock: it may be anybody's code
    }
}
