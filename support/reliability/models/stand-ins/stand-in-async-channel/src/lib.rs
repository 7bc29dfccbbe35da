//! Stands in for async-channel, for shuttle: the real one. Each operation is one step, before which
//! the checker may run another task.
#![cfg(not(loom))]

use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

/// Makes a channel for `bound` items.
pub fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = real::bounded(bound);
    (Sender(sender), Receiver(Box::pin(receiver)))
}

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T>(real::Sender<T>);

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<T>(Pin<Box<real::Receiver<T>>>);

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

impl<T> Deref for Sender<T> {
    type Target = real::Sender<T>;

    fn deref(&self) -> &real::Sender<T> {
        model::switch();
        &self.0
    }
}

impl<T> Deref for Receiver<T> {
    type Target = real::Receiver<T>;

    fn deref(&self) -> &real::Receiver<T> {
        model::switch();
        &self.0
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        model::switch();
        self.0.as_mut().poll_next(cx)
    }
}
