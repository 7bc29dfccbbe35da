//! A bounded channel for tasks, with any number of senders and of receivers.

use std::collections::VecDeque;
use std::mem;
use std::task::Poll;

use tokio::sync::Notify;

use crate::sync::{Arc, Mutex, MutexGuard};

/// Makes a channel in which at most `bound` items wait.
///
/// Whoever is woken and leaves something to do for another one, an item or room for one, wakes that
/// one. So it does not matter how many of those that wait give up, nor how many items a single wake-up
/// stands for. A future that has been woken and is neither polled nor dropped holds up the next.
///
/// # Panics
///
/// Without room for an item.
pub fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    assert!(bound > 0, "a channel without room hands nothing over");
    let state = Mutex::new(State { items: VecDeque::new(), senders: 1, receivers: 1 });
    let [item, room, closed] = [(); 3].map(|()| Notify::new());
    let shared = Arc::new(Shared { state, bound, item, room, closed });
    (Sender(shared.clone()), Receiver(shared))
}

/// The end that sends. When its last clone is dropped, the items end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that receives: each item goes to one of its clones. When the last is dropped, every send
/// is an error.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// All receivers have been dropped: nothing that is sent can arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    bound: usize,
    /// Wakes a receiver: there is an item, or there will be no more.
    item: Notify,
    /// Wakes a sender: there is room, or nobody who could make any.
    room: Notify,
    /// Wakes all who wait for the last receiver to be dropped.
    closed: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

impl<T> Sender<T> {
    /// Sends one item, and waits while there is no room.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the item is gone: it was not sent.
    pub async fn send(&self, item: T) -> Result<(), Closed> {
        self.send_all(&mut VecDeque::from([item])).await
    }

    /// Moves all of `items` into the channel, as many at once as there is room for, and waits
    /// whenever there is none.
    ///
    /// # Cancel safety
    ///
    /// What has been sent has left `items`; what has not is still in it.
    pub async fn send_all(&self, items: &mut VecDeque<T>) -> Result<(), Closed> {
        loop {
            let left = self.put(items)?;
            if items.is_empty() {
                if left > 0 {
                    self.0.room.notify_one();
                }
                return Ok(());
            }
            self.0.room.notified().await;
        }
    }

    /// Sends as many of `items` as there is room for, and gives the room that is left.
    fn put(&self, items: &mut VecDeque<T>) -> Result<usize, Closed> {
        let mut state = self.0.lock();
        if state.receivers == 0 {
            drop(state);
            self.0.room.notify_one(); // the next sender shall hear it as well
            return Err(Closed);
        }
        let room = self.0.bound.saturating_sub(state.items.len());
        let sent = move_items(items, &mut state.items, room);
        drop(state);
        if sent > 0 {
            self.0.item.notify_one();
        }
        Ok(room - sent)
    }

    /// Sends `items` at once, even if that is more than the bound.
    pub(crate) fn force(&self, items: &mut VecDeque<T>) {
        self.0.lock().items.append(items);
        self.0.item.notify_one();
    }

    /// How many items could be sent now.
    pub(crate) fn room(&self) -> usize {
        self.0.bound.saturating_sub(self.0.lock().items.len())
    }

    /// Ends once all receivers have been dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) {
        // Listen first and look afterwards: a drop in between is seen by one or the other.
        let dropped = self.0.closed.notified();
        if self.0.lock().receivers > 0 {
            dropped.await;
        }
    }
}

impl<T> Receiver<T> {
    /// The next item; waits for it. `None` once nobody sends any more and all have been received.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, no item has been taken.
    pub async fn recv(&self) -> Option<T> {
        self.take(VecDeque::pop_front).await.flatten()
    }

    /// Waits until there is an item, then moves all that are there, up to `limit`, into `items`.
    /// `false` once nobody sends any more and all have been received.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, no item has been taken.
    pub async fn recv_ready(&self, items: &mut VecDeque<T>, limit: usize) -> bool {
        self.take(|waiting| move_items(waiting, items, limit)).await.is_some()
    }

    async fn take<R>(&self, mut from: impl FnMut(&mut VecDeque<T>) -> R) -> Option<R> {
        loop {
            if let Poll::Ready(taken) = self.try_take(&mut from) {
                return taken;
            }
            self.0.item.notified().await;
        }
    }

    fn try_take<R>(&self, from: impl FnOnce(&mut VecDeque<T>) -> R) -> Poll<Option<R>> {
        let mut state = self.0.lock();
        let ended = state.senders == 0;
        if state.items.is_empty() && !ended {
            return Poll::Pending;
        }
        let taken = if state.items.is_empty() { None } else { Some(from(&mut state.items)) };
        let left = !state.items.is_empty();
        drop(state);
        if left || ended {
            self.0.item.notify_one(); // the next receiver shall have it, or hear of it, as well
        }
        if taken.is_some() {
            self.0.room.notify_one();
        }
        Poll::Ready(taken)
    }

    /// Puts items back that were taken last, even if that is more than the bound then.
    pub(crate) fn put_back(&self, items: &mut VecDeque<T>) {
        let mut state = self.0.lock();
        for item in items.drain(..).rev() {
            state.items.push_front(item);
        }
        drop(state);
        self.0.item.notify_one();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nobody panics while holding the lock")
    }
}

/// Moves up to `limit` items, and gives how many.
fn move_items<T>(from: &mut VecDeque<T>, to: &mut VecDeque<T>, limit: usize) -> usize {
    let count = limit.min(from.len());
    if to.is_empty() && count == from.len() {
        mem::swap(from, to); // no item is moved, no memory allocated
    } else {
        to.extend(from.drain(..count));
    }
    count
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.lock().receivers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            drop(state);
            self.0.item.notify_one();
        }
    }
}

impl<T> Drop for Receiver<T> {
    /// The last one drops what is still queued.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            let items = mem::take(&mut state.items);
            drop(state);
            self.0.room.notify_one();
            self.0.closed.notify_waiters();
            drop(items); // outside the lock and last: it may be anybody's code
        }
    }
}
