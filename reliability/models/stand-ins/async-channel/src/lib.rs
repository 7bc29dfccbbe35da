//! The real async-channel. What goes on inside an operation is not interleaved; before each of
//! them, and whenever it has to wait, shuttle may run somebody else.

use model::switch;
pub use real::{RecvError, SendError};

/// A channel for `bound` items.
pub fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = real::bounded(bound);
    (Sender(sender), Receiver(receiver))
}

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T>(real::Sender<T>);

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<T>(real::Receiver<T>);

impl<T> Sender<T> {
    /// Sends `item`, and waits while there is no room.
    pub async fn send(&self, item: T) -> Result<(), SendError<T>> {
        switch();
        self.0.send(item).await
    }

    /// Ends when nobody receives any more.
    pub async fn closed(&self) {
        switch();
        self.0.closed().await;
    }
}

impl<T> Receiver<T> {
    /// The next item.
    pub async fn recv(&self) -> Result<T, RecvError> {
        switch();
        self.0.recv().await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
