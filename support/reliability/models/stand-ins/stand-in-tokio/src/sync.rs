//! `tokio::sync`: shuttle-tokio's, and a wrapper around tokio's own `mpsc`, because shuttle-tokio
//! has only a part of it.

pub use shuttle_tokio::sync::*;

/// tokio's own. Each operation is one step, before which the checker may run another task.
pub mod mpsc {
    use std::ops::{Deref, DerefMut};

    use real::sync::mpsc;
    pub use real::sync::mpsc::error;

    /// Makes a channel for `bound` items.
    pub fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::channel(bound);
        (Sender(sender), Receiver(receiver))
    }

    /// The end that sends.
    #[derive(Debug)]
    pub struct Sender<T>(mpsc::Sender<T>);

    /// The end that receives.
    #[derive(Debug)]
    pub struct Receiver<T>(mpsc::Receiver<T>);

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<T> Deref for Sender<T> {
        type Target = mpsc::Sender<T>;

        fn deref(&self) -> &mpsc::Sender<T> {
            model::switch();
            &self.0
        }
    }

    impl<T> Deref for Receiver<T> {
        type Target = mpsc::Receiver<T>;

        fn deref(&self) -> &mpsc::Receiver<T> {
            model::switch();
            &self.0
        }
    }

    impl<T> DerefMut for Receiver<T> {
        fn deref_mut(&mut self) -> &mut mpsc::Receiver<T> {
            model::switch();
            &mut self.0
        }
    }
}
