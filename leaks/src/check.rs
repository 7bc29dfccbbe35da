use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::process::Process;

/// How long [`leak_check`] lets tasks take to end.
pub const GRACE: Duration = Duration::from_secs(1);

/// How often [`settled`] looks.
const POLL: Duration = Duration::from_millis(1);

/// How many tasks the runtime has that have not ended. The future given to `block_on` is no task.
///
/// # Panics
///
/// Outside a runtime.
pub fn live_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Runs `body` and checks that no task outlives it: what it spawned must end within [`GRACE`].
/// For tests: the attribute of the same name does it to the whole body of the one below it.
///
/// With `LEAK_CHECK_PROCESS` in the environment, no thread and no open descriptor may outlive it
/// either. That needs a process which runs one test at a time (`-- --test-threads=1`), and Linux.
///
/// # Panics
///
/// If there are more of them than before, of tasks first of all. Spawn through [`NamedTasks`](crate::NamedTasks) to see
/// which. Also where [`live_tasks`] does.
pub async fn leak_check<F: Future>(body: F) -> F::Output {
    let (process, before) = (Process::if_alone(), live_tasks());
    let output = body.await;
    let after = settled(before, GRACE).await;
    assert!(after <= before, "{} leaked: {before} tasks before, {after} after", after - before);
    if let Some(process) = process {
        process.assert_no_more(GRACE);
    }
    output
}

/// Waits until at most `expected` tasks are alive, for `grace` at the longest, and returns how
/// many there are then.
///
/// A task's join can return shortly before the runtime counts the task out, so one look is not
/// enough.
///
/// # Cancel safety
///
/// Dropping the future changes nothing.
///
/// # Panics
///
/// Where [`live_tasks`] does, or if the runtime has no timer.
pub async fn settled(expected: usize, grace: Duration) -> usize {
    let started = Instant::now();
    loop {
        let live = live_tasks();
        if live <= expected || started.elapsed() >= grace {
            return live;
        }
        sleep(POLL.min(grace)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::yield_now;

    use super::*;
    use crate::leak_check;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_within_the_grace_is_no_leak() {
        let output = leak_check(async {
            tokio::spawn(sleep(GRACE / 2));
            "done"
        });
        assert_eq!(output.await, "done");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "2 leaked: 1 tasks before, 3 after")]
    async fn tasks_that_never_end_are_counted() {
        tokio::spawn(pending::<()>()); // was there before: not the body's fault
        yield_now().await;
        leak_check(async {
            tokio::spawn(pending::<()>());
            tokio::spawn(pending::<()>());
        })
        .await;
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "1 leaked: 0 tasks before, 1 after")]
    async fn the_attribute_checks_the_whole_body() {
        tokio::spawn(pending::<()>());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_count_catches_up_with_a_join() {
        for _ in 0..1000 {
            leak_check(async { tokio::spawn(yield_now()).await.unwrap() }).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_the_grace() {
        let leak = tokio::spawn(pending::<()>());
        let started = Instant::now();
        assert_eq!(settled(0, GRACE).await, 1);
        assert_eq!(started.elapsed(), GRACE);
        leak.abort();
        assert_eq!(settled(0, GRACE).await, 0);
    }
}
