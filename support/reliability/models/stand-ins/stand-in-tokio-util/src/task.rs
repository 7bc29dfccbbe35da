//! `tokio_util::task`.

use std::pin::Pin;
use std::task::{Context, Poll};

use model::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, spawn};

/// A task that is aborted when its handle is dropped.
#[derive(Debug)]
pub struct AbortOnDropHandle<T>(JoinHandle<T>);

impl<T> AbortOnDropHandle<T> {
    /// From now on, the task ends with its handle.
    pub fn new(task: JoinHandle<T>) -> Self {
        Self(task)
    }
}

impl<T> Future for AbortOnDropHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDropHandle<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts tasks, and waits until it is closed and there are none.
#[derive(Clone, Default)]
pub struct TaskTracker(Arc<Tracked>);

#[derive(Default)]
struct Tracked {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    closed: bool,
    tasks: usize,
}

impl TaskTracker {
    /// One without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that counts until it is dropped.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.0.change(|state| state.tasks += 1);
        let token = Token(self.0.clone());
        spawn(async move {
            let _token = token;
            work.await
        })
    }

    /// Lets `wait` end when there are no tasks.
    pub fn close(&self) {
        self.0.change(|state| state.closed = true);
    }

    /// Ends once the tracker is closed and has no tasks.
    pub async fn wait(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.change(|state| state.closed && state.tasks == 0) {
                return;
            }
            changed.await;
        }
    }
}

impl Tracked {
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().expect("nobody panics while holding the lock"))
    }
}

struct Token(Arc<Tracked>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.change(|state| state.tasks -= 1);
        self.0.changed.notify_waiters();
    }
}
