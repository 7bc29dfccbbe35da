use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, ready};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use common::{Context, panic_message};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::Failure;

/// The first error of a [`Group`]. It is shared: the group's context has it as its cause.
pub type GroupError = Arc<dyn Error + Send + Sync>;

/// Go's `errgroup.Group`: tasks of which the first error ends the context that they share.
///
/// A task that listens to [`context`](Self::context) ends with it; one that does not runs to its
/// end. Either way [`wait`](Self::wait) returns after the last one. A panic is an error like any
/// other: [`Failure::Panicked`]. Dropping the group cancels its tasks at their next `.await`.
#[must_use = "dropping a group cancels its tasks, and their errors are lost"]
pub struct Group(Spawner);

/// Starts more tasks of a [`Group`] from within its tasks.
#[derive(Clone)]
pub struct Spawner {
    ctx: Context,
    /// Ends when the group, or the future of its `wait`, is dropped.
    owned: Context,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    first: Arc<OnceLock<GroupError>>,
}

impl Group {
    /// A group without tasks, whose context is a child of `ctx`.
    pub fn new(ctx: &Context) -> Self {
        Self(Spawner {
            ctx: ctx.with_cancel(),
            owned: Context::background(),
            places: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            tasks: TaskTracker::new(),
            first: Arc::default(),
        })
    }

    /// Lets at most `tasks` run at the same time, siblings included. Call it before spawning any.
    ///
    /// # Panics
    ///
    /// If `tasks` is zero, because nothing could ever run.
    pub fn limit(mut self, tasks: usize) -> Self {
        assert!(tasks > 0, "the limit must be at least 1");
        self.0.places = Arc::new(Semaphore::new(tasks.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// The context that the tasks share. It ends with its parent, when [`wait`](Self::wait)
    /// returns, or with the first error, which becomes its cause.
    pub fn context(&self) -> &Context {
        &self.0.ctx
    }

    /// Starts tasks from within a task.
    pub fn spawner(&self) -> Spawner {
        self.0.clone()
    }

    /// Starts a task, as soon as there are fewer than the limit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the task does not start.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub async fn spawn<E>(&self, work: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let place = self.0.place().await;
        self.0.start(ready(place), work);
    }

    /// Waits until all tasks have ended, including those that other tasks have started meanwhile.
    ///
    /// # Errors
    ///
    /// The first error or panic of a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the group, which cancels its tasks.
    pub async fn wait(self) -> Result<(), GroupError> {
        self.0.tasks.close(); // an open tracker would wait for further tasks
        self.0.tasks.wait().await;
        self.0.first.get().cloned().map_or(Ok(()), Err)
    }
}

impl Spawner {
    /// Starts a sibling. This returns at once; at the limit, the new task waits for its place. The
    /// caller holds a place itself, so waiting here could deadlock. Once the group is dropped,
    /// nothing starts.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn spawn<E>(&self, work: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.start(self.place(), work);
    }

    fn place(&self) -> impl Future<Output = OwnedSemaphorePermit> + use<> {
        let places = Arc::clone(&self.places);
        async { places.acquire_owned().await.expect("nobody closes it") }
    }

    fn start<E>(
        &self,
        place: impl Future<Output = OwnedSemaphorePermit> + Send + 'static,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let group = self.clone();
        let work = work.map(|ended| ended.map_err(Into::into));
        let work = AssertUnwindSafe(work).catch_unwind();
        self.tasks.spawn(async move {
            let place_and_work = async { (place.await, work.await) };
            // The place is given back after the error has been recorded.
            let Ok((_place, ended)) = group.owned.run(place_and_work).await else { return };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(err)) => group.fail(err),
                Err(panic) => {
                    group.fail(Failure::<Infallible>::Panicked(panic_message(panic)).into());
                }
            }
        });
    }

    fn fail(&self, err: Box<dyn Error + Send + Sync>) {
        let err = GroupError::from(err);
        if self.first.set(Arc::clone(&err)).is_ok() {
            self.ctx.cancel_with(err);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.owned.cancel();
        self.0.ctx.cancel();
    }
}
