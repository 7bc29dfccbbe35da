use std::collections::HashMap;
use std::error::Error;
use std::future::Future;

use common::{Cause, Context, panic_message};
use tokio::task::{Id, JoinError, JoinSet};

use crate::Failure;

/// The outcome of one task.
#[derive(Debug)]
pub struct TaskResult<T, E: Error + 'static> {
    /// The task's own number.
    pub id: u64,
    /// Its output, or why there is none.
    pub result: Result<T, Failure<E>>,
}

/// The results of [`process_all`]: ask for the [`next`](Results::next) until there are no more.
///
/// Dropping them cancels the tasks that run.
#[must_use = "nothing runs before a result is asked for"]
pub struct Results<I, T, E> {
    ctx: Context,
    workers: usize,
    tasks: I,
    running: JoinSet<Result<Result<T, E>, Cause>>,
    ids: HashMap<Id, u64>,
}

/// Runs numbered tasks, at most `workers` at the same time, until the context ends. Every task
/// gives one result, in the order in which they are ready, even if it fails, panics, is cancelled
/// or never begins.
///
/// A task starts only when a result is asked for: a slow reader slows the work, and at most
/// `workers` results wait to be read.
///
/// # Panics
///
/// If `workers` is zero, because nothing could ever run.
pub fn process_all<I, F, T, E>(
    ctx: &Context,
    workers: usize,
    tasks: I,
) -> Results<I::IntoIter, T, E>
where
    I: IntoIterator<Item = (u64, F)>,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Error + Send + 'static,
{
    assert!(workers > 0, "at least one worker is needed");
    let tasks = tasks.into_iter();
    Results { ctx: ctx.clone(), workers, tasks, running: JoinSet::new(), ids: HashMap::new() }
}

impl<I, F, T, E> Results<I, T, E>
where
    I: Iterator<Item = (u64, F)>,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Error + Send + 'static,
{
    /// The next task to end, or `None` when all have.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no result; the tasks that run go on.
    pub async fn next(&mut self) -> Option<TaskResult<T, E>> {
        while self.running.len() < self.workers
            && let Some((id, task)) = self.tasks.next()
        {
            self.start(id, task);
        }
        match self.running.join_next_with_id().await? {
            Ok((task, result)) => Some(self.ended(task, Failure::flatten(result))),
            Err(err) => Some(self.ended(err.id(), Err(Failure::from_join(err)))),
        }
    }

    fn start(&mut self, id: u64, task: F) {
        let ctx = self.ctx.clone();
        let task = self.running.spawn(async move { ctx.run(task).await });
        self.ids.insert(task.id(), id);
    }

    fn ended(&mut self, task: Id, result: Result<T, Failure<E>>) -> TaskResult<T, E> {
        let id = self.ids.remove(&task).expect("every task was numbered as it was spawned");
        TaskResult { id, result }
    }
}

impl<E: Error + 'static> Failure<E> {
    fn flatten<T>(result: Result<Result<T, E>, Cause>) -> Result<T, Self> {
        result.map_err(Self::Cancelled)?.map_err(Self::Failed)
    }

    fn from_join(err: JoinError) -> Self {
        match err.try_into_panic() {
            Ok(panic) => Self::Panicked(panic_message(panic)),
            Err(_aborted) => Self::Cancelled(Cause::Canceled),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io;
    use std::panic::panic_any;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use leaks::{leak_check, live_tasks};
    use tokio::sync::Barrier;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::Summary;

    type Work = Pin<Box<dyn Future<Output = io::Result<u64>> + Send>>;

    const SECOND: Duration = Duration::from_secs(1);

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    /// One task for each way to end, all of them at once.
    fn every_kind() -> Vec<(u64, Work)> {
        vec![
            (1, Box::pin(ready(Ok(11)))),
            (2, Box::pin(async { Err(io::Error::other("disk full")) })),
            (3, Box::pin(async { panic!("message of {}", 3) })),
            (5, Box::pin(async { panic_any(PanicsWhenDropped) })),
            (4, Box::pin(pending())),
        ]
    }

    async fn collect<I, F>(mut results: Results<I, u64, io::Error>) -> (Summary, Vec<String>)
    where
        I: Iterator<Item = (u64, F)>,
        F: Future<Output = io::Result<u64>> + Send + 'static,
    {
        let mut summary = Summary::default();
        let mut lines = Vec::new();
        while let Some(TaskResult { id, result }) = results.next().await {
            summary.count(&result);
            lines
                .push(result.map_or_else(|failure| format!("{id}: {failure}"), |_| id.to_string()));
        }
        lines.sort();
        (summary, lines)
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn every_task_gives_one_result_however_it_ends() {
        let ctx = Context::background().with_timeout(SECOND);
        let (summary, lines) = collect(process_all(&ctx, 5, every_kind())).await;
        assert_eq!(summary, Summary { successful: 1, failed: 3, cancelled: 1 });
        let late = "4: context deadline exceeded";
        let panics = ["3: panicked: message of 3", "5: panicked: without a message"];
        assert_eq!(lines, ["1", "2: disk full", panics[0], late, panics[1]]);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn tasks_that_have_not_begun_are_cancelled_without_a_start() {
        let ctx = Context::background();
        let tasks = (0..9).map(|id| (id, async { panic!("has begun") }));
        ctx.cancel();
        let (summary, _) = collect(process_all(&ctx, 2, tasks)).await;
        assert_eq!(summary, Summary { cancelled: 9, ..Summary::default() });
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn cancelling_at_the_first_error_ends_the_rest() {
        let ctx = Context::background();
        let tasks = (1..=100).map(|id| {
            let work = async move {
                sleep(SECOND).await;
                if id == 3 { Err(io::Error::other("third")) } else { pending().await }
            };
            (id, work)
        });
        let mut results = process_all(&ctx, 7, tasks);
        let first = results.next().await.unwrap();
        assert_eq!((first.id, first.result.unwrap_err().to_string()), (3, "third".to_owned()));
        ctx.cancel();
        let (summary, _) = collect(results).await;
        assert_eq!(summary, Summary { cancelled: 99, ..Summary::default() });
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn every_worker_is_used_and_no_more_tasks_run_at_once() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let meet = Arc::new(Barrier::new(3)); // opens for three at once
        let tasks = (0..30).map(|id| {
            let meet = Arc::clone(&meet);
            let work = async move {
                assert!(RUNNING.fetch_add(1, Ordering::SeqCst) < 3, "never a fourth");
                meet.wait().await;
                sleep(SECOND).await; // a fourth would come in now
                RUNNING.fetch_sub(1, Ordering::SeqCst);
                Ok(id)
            };
            (id, work)
        });
        let (summary, _) = collect(process_all(&Context::background(), 3, tasks)).await;
        assert_eq!(summary, Summary { successful: 30, ..Summary::default() });
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn giving_up_on_one_result_loses_none() {
        let tasks = (0..5).map(|id| {
            let work = async move {
                sleep(SECOND * 3).await;
                Ok(id)
            };
            (id, work)
        });
        let mut results = process_all(&Context::background(), 2, tasks);
        assert!(timeout(SECOND, results.next()).await.is_err());
        let (summary, _) = collect(results).await;
        assert_eq!(summary, Summary { successful: 5, ..Summary::default() });
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn dropping_the_results_cancels_the_tasks() {
        let tasks = (0..5).map(|id| (id, pending::<io::Result<u64>>()));
        let mut results = process_all(&Context::background(), 2, tasks);
        assert!(timeout(SECOND, results.next()).await.is_err());
        assert_eq!(live_tasks(), 2);
    }
}
