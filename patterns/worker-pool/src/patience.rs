//! Waits that let other threads run and look again before they go to sleep.
//!
//! To sleep and to be woken takes the system some microseconds; a short job takes a few
//! nanoseconds. As a rule, whoever finds a queue full or empty finds it otherwise after the other
//! threads have had a turn, and then nobody has slept and nobody has to be woken.

use crossbeam::channel::{Receiver, SendError, Sender, TryRecvError, TrySendError};

use crate::sync::{LOOKS, thread};

/// Receives; `None` once nobody sends any more and everything has been received.
pub(crate) fn recv<T>(queue: &Receiver<T>) -> Option<T> {
    for _ in 0..LOOKS {
        match queue.try_recv() {
            Ok(item) => return Some(item),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => thread::yield_now(),
        }
    }
    queue.recv().ok()
}

/// Sends, if there is room before it is time to sleep. Otherwise the item comes back.
pub(crate) fn try_send<T>(queue: &Sender<T>, item: T) -> Result<(), TrySendError<T>> {
    try_send_unless(queue, item, || false)
}

/// [`try_send`] that looks whether this is cancelled before each look at the queue.
pub(crate) fn try_send_unless<T>(
    queue: &Sender<T>,
    mut item: T,
    is_cancelled: impl Fn() -> bool,
) -> Result<(), TrySendError<T>> {
    for _ in 0..LOOKS {
        if is_cancelled() {
            break;
        }
        match queue.try_send(item) {
            Err(TrySendError::Full(back)) => item = back,
            sent_or_closed => return sent_or_closed,
        }
        thread::yield_now();
    }
    Err(TrySendError::Full(item))
}

/// Sends, and sleeps while there is no room.
pub(crate) fn send<T>(queue: &Sender<T>, item: T) -> Result<(), SendError<T>> {
    match try_send(queue, item) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => queue.send(item),
    }
}
