//! A second look before a thread goes to sleep.
//!
//! Sleeping and being woken takes some microseconds, a short job a few nanoseconds. A full queue
//! mostly has room, and an empty one an item, after the other threads have had a turn: then no
//! thread has to sleep or be woken. Without this, short jobs and a queue of 64 take three to six
//! times as long.

use crossbeam::channel::{Receiver, RecvError, Sender, TryRecvError, TrySendError};

use crate::sync::{LOOKS, thread};

/// Receives; sleeps if there is still nothing after some looks.
pub(crate) fn recv<T>(queue: &Receiver<T>) -> Result<T, RecvError> {
    for _ in 0..LOOKS {
        match queue.try_recv() {
            Err(TryRecvError::Empty) => thread::yield_now(),
            received => return received.map_err(|_disconnected| RecvError),
        }
    }
    queue.recv()
}

/// Sends, or gives the item back if there is still no room after some looks.
pub(crate) fn try_send<T>(queue: &Sender<T>, mut item: T) -> Result<(), TrySendError<T>> {
    for _ in 0..LOOKS {
        match queue.try_send(item) {
            Err(TrySendError::Full(back)) => item = back,
            sent => return sent,
        }
        thread::yield_now();
    }
    Err(TrySendError::Full(item))
}
