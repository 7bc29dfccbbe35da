//! `tokio::sync`, as far as the models for loom need it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use model::sync::Mutex;

/// `notify_waiters` and who waits for it, since the moment at which `notified` was called.
#[derive(Debug, Default)]
pub struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: u64,
    waiting: Vec<Waker>,
}

impl Notify {
    /// Nobody waits.
    pub fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    /// Wakes all whose `notified` was called before.
    pub fn notify_waiters(&self) {
        let mut state = self.0.lock().expect("nobody panics while holding the lock");
        state.calls += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ends with the next `notify_waiters`.
    pub fn notified(&self) -> Notified<'_> {
        let calls = self.0.lock().expect("nobody panics while holding the lock").calls;
        Notified { notify: self, calls }
    }
}

/// A wait for `notify_waiters`.
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// How many there had been.
    calls: u64,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.0.lock().expect("nobody panics while holding the lock");
        if state.calls > self.calls {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}
