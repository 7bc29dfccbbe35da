//! `crossbeam::channel`.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::iter::from_fn;
use std::task::{Context, Poll, Waker};

use model::future::block_on;
use model::sync::{Arc, Mutex, MutexGuard};

#[doc(hidden)]
pub use crate::select::{Either, either};
pub use crate::select_biased;

/// A channel for `bound` items.
pub fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { bound, ..State::default() };
    let channel = Arc::new(Channel(Mutex::new(state)));
    (Sender(channel.clone()), Receiver(Some(channel)))
}

/// A channel for any number of items.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// A channel that neither gives anything nor is disconnected.
pub fn never<T>() -> Receiver<T> {
    Receiver(None)
}

/// The end that sends.
pub struct Sender<T>(Arc<Channel<T>>);

/// The end that receives.
pub struct Receiver<T>(Option<Arc<Channel<T>>>);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// Nobody receives any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Nobody sends any more, and everything has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why an item was not sent at once.
pub enum TrySendError<T> {
    /// There is no room.
    Full(T),
    /// Nobody receives any more.
    Disconnected(T),
}

impl<T> TrySendError<T> {
    /// The item that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Disconnected(item) => item,
        }
    }
}

/// Why no item was received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none.
    Empty,
    /// Nobody sends any more, and everything has been received.
    Disconnected,
}

struct Channel<T>(Mutex<State<T>>);

struct State<T> {
    items: VecDeque<T>,
    bound: usize,
    /// Room that a sender has been given and not yet filled.
    reserved: usize,
    senders: usize,
    receivers: usize,
    /// The waiters for any change.
    waiting: Vec<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        let (items, waiting) = (VecDeque::new(), Vec::new());
        Self { items, bound: 0, reserved: 0, senders: 1, receivers: 1, waiting }
    }
}

impl<T> Sender<T> {
    /// Sends `item`, and waits while there is no room.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        match block_on(poll_fn(|cx| self.poll_reserve(cx))) {
            Ok(()) => {
                self.fill(item);
                Ok(())
            }
            Err(SendError(())) => Err(SendError(item)),
        }
    }

    /// Sends `item`, if there is room.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.lock();
        if state.receivers == 0 {
            return Err(TrySendError::Disconnected(item));
        }
        if !state.has_room() {
            return Err(TrySendError::Full(item));
        }
        state.items.push_back(item);
        state.changed();
        Ok(())
    }

    /// Waits for room, and keeps it for [`fill`](Self::fill).
    #[doc(hidden)]
    pub fn poll_reserve(&self, cx: &Context<'_>) -> Poll<Result<(), SendError<()>>> {
        let mut state = self.0.lock();
        if state.receivers == 0 {
            return Poll::Ready(Err(SendError(())));
        }
        if state.has_room() {
            state.reserved += 1;
            return Poll::Ready(Ok(()));
        }
        state.wait(cx)
    }

    /// Sends `item` to the place that has been reserved.
    #[doc(hidden)]
    pub fn fill(&self, item: T) {
        let mut state = self.0.lock();
        state.reserved -= 1;
        state.items.push_back(item);
        state.changed();
    }
}

impl<T> Receiver<T> {
    /// The next item; waits for it.
    pub fn recv(&self) -> Result<T, RecvError> {
        block_on(poll_fn(|cx| self.poll_recv(cx)))
    }

    /// The next item, if there is one.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let Some(channel) = &self.0 else { return Err(TryRecvError::Empty) };
        let mut state = channel.lock();
        match state.items.pop_front() {
            Some(item) => {
                state.changed();
                Ok(item)
            }
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// The items that are there.
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        from_fn(|| {
            let mut state = self.0.as_ref()?.lock();
            let item = state.items.pop_front();
            state.changed();
            item
        })
    }

    /// All items, until nobody sends any more.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        from_fn(|| self.recv().ok())
    }

    #[doc(hidden)]
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<T, RecvError>> {
        let Some(channel) = &self.0 else { return Poll::Pending };
        let mut state = channel.lock();
        if let Some(item) = state.items.pop_front() {
            state.changed();
            return Poll::Ready(Ok(item));
        }
        if state.senders == 0 {
            return Poll::Ready(Err(RecvError));
        }
        state.wait(cx)
    }
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

impl<T> State<T> {
    fn has_room(&self) -> bool {
        assert!(self.bound > 0, "rendezvous channels are not modelled");
        self.items.len() + self.reserved < self.bound
    }

    fn wait<R>(&mut self, cx: &Context<'_>) -> Poll<R> {
        self.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn changed(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        if let Some(channel) = &self.0 {
            channel.lock().receivers += 1;
        }
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            state.changed();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Some(channel) = &self.0 else { return };
        let mut state = channel.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            state.changed();
            let items = std::mem::take(&mut state.items);
            drop(state);
            drop(items); // outside the lock: it may be anybody's code
        }
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

/// The items of a receiver that it owns.
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrySendError(..)")
    }
}
