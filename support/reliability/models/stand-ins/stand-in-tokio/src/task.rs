//! `tokio::task`: shuttle's tasks, with what shuttle-tokio lacks: a panic is the error of its task,
//! and tasks have numbers.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use model::future as tasks;
pub use model::future::yield_now;

type Panic = Box<dyn Any + Send>;

/// Starts a task.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    JoinHandle::from_inner(tasks::spawn(AssertUnwindSafe(work).catch_unwind()))
}

/// Starts a task that blocks, which the checker can schedule as any other.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    spawn(async { work() })
}

/// There is no budget: the checker runs others between any two steps.
pub async fn consume_budget() {}

/// The number of a task, in its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// Why a task has no output.
pub struct JoinError {
    id: Id,
    panic: Option<Panic>,
}

/// The outcome of a task.
#[derive(Debug)]
pub struct JoinHandle<T> {
    id: Id,
    inner: tasks::JoinHandle<Result<T, Panic>>,
}

/// Says which task it is.
#[derive(Debug)]
pub struct AbortHandle(Id);

impl<T> JoinHandle<T> {
    fn from_inner(inner: tasks::JoinHandle<Result<T, Panic>>) -> Self {
        Self { id: Id(model::number()), inner }
    }

    /// Drops the task where it waits.
    pub fn abort(&self) {
        self.inner.abort();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        let error = |panic| JoinError { id, panic };
        Pin::new(&mut self.inner).poll(cx).map(|ended| match ended {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(panic)) => Err(error(Some(panic))),
            Err(tasks::JoinError::Cancelled) => Err(error(None)),
        })
    }
}

impl AbortHandle {
    /// The number of the task.
    pub fn id(&self) -> Id {
        self.0
    }
}

impl JoinError {
    /// The number of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether it panicked.
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// Its panic; there must be one.
    pub fn into_panic(self) -> Panic {
        self.panic.expect("the task panicked")
    }

    /// Its panic, if it panicked.
    pub fn try_into_panic(mut self) -> Result<Panic, Self> {
        self.panic.take().ok_or(self)
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_panic() { "task panicked" } else { "task was cancelled" })
    }
}

impl std::error::Error for JoinError {}

/// Tasks that are joined together. Dropping it aborts them.
#[derive(Debug)]
pub struct JoinSet<T>(Vec<JoinHandle<T>>);

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// How many have not been joined.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all have been joined.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all tasks where they wait. They are still there to be joined.
    pub fn abort_all(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }

    /// The next task to end, or `None` when there is none left.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.join_next_with_id().await.map(|ended| ended.map(|(_, output)| output))
    }

    /// The same with its number.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join(cx)).await
    }

    /// A task that has ended, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self.poll_join(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(ended) => ended.map(|ended| ended.map(|(_, output)| output)),
            Poll::Pending => None,
        }
    }

    /// The next task to end, as a poll.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join(cx).map(|ended| ended.map(|ended| ended.map(|(_, output)| output)))
    }

    fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Id, T), JoinError>>> {
        for at in 0..self.0.len() {
            if let Poll::Ready(ended) = Pin::new(&mut self.0[at]).poll(cx) {
                let id = self.0.remove(at).id;
                return Poll::Ready(Some(ended.map(|output| (id, output))));
            }
        }
        if self.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Starts a task in the set.
    pub fn spawn(&mut self, work: impl Future<Output = T> + Send + 'static) -> AbortHandle {
        let task = spawn(work);
        let id = task.id;
        self.0.push(task);
        AbortHandle(id)
    }

    /// Starts a task that blocks, which the checker can schedule as any other.
    pub fn spawn_blocking(&mut self, work: impl FnOnce() -> T + Send + 'static) -> AbortHandle {
        self.spawn(async { work() })
    }

    /// Joins all. A panic of one of them resumes here.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::new();
        while let Some(ended) = self.join_next().await {
            outputs.push(ended.unwrap_or_else(|err| resume_unwind(err.into_panic())));
        }
        outputs
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static, F: Future<Output = T> + Send + 'static> FromIterator<F> for JoinSet<T> {
    fn from_iter<I: IntoIterator<Item = F>>(work: I) -> Self {
        let mut set = Self::new();
        work.into_iter().for_each(|work| {
            set.spawn(work);
        });
        set
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}
