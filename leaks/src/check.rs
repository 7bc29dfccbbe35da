use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::named::{last_named, named_since};
use crate::process::Process;

/// How long [`leak_check()`] waits for tasks to end.
pub const GRACE: Duration = Duration::from_secs(1);

/// The pause between two checks of [`settled`].
const POLL: Duration = Duration::from_millis(1);

/// How many tasks the runtime has that have not ended. The future given to `block_on` is not a
/// task.
///
/// # Panics
///
/// Outside a runtime.
pub fn live_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Runs `body` and checks that no task outlives it: what it spawned must end within [`GRACE`]. For
/// tests there is an attribute of the same name, which does this to the whole body of the test
/// below it.
///
/// It compares counts, so an old task that ends hides a new one that is left. A task that was
/// spawned through [`NamedTasks`](crate::NamedTasks) is tracked by itself: it hides no other, no
/// other hides it, and it is named. Neither `spawn_local` nor `spawn_blocking` nor a thread is in
/// the count, so what these leave behind is not seen.
///
/// With `LEAK_CHECK_PROCESS` in the environment, no thread and no open descriptor may outlive it
/// either. That needs a process which runs one test at a time (`-- --test-threads=1`), and Linux.
///
/// # Panics
///
/// If anything is left. Also where [`live_tasks`] does.
pub async fn leak_check<F: Future>(body: F) -> F::Output {
    // Named tasks can be there before they are counted.
    let unnamed = || live_tasks().saturating_sub(named_since(0).len());
    let (process, last, before) = (Process::if_alone(), last_named(), unnamed());
    let output = body.await;
    until(GRACE, || named_since(last).is_empty() && unnamed() <= before).await;
    let named: Vec<_> = named_since(last).iter().map(ToString::to_string).collect();
    assert!(named.is_empty(), "leaked: {}", named.join("; "));
    let after = unnamed();
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
    until(grace, || live_tasks() <= expected).await;
    live_tasks()
}

async fn until(grace: Duration, settled: impl Fn() -> bool) {
    let started = Instant::now();
    while !settled() && started.elapsed() < grace {
        sleep(POLL.min(grace)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use std::panic::AssertUnwindSafe;

    use common::panic_message;
    use futures_util::FutureExt;
    use tokio::task::yield_now;

    use super::*;
    use crate::{NamedTasks, leak_check};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_within_the_grace_is_not_a_leak() {
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

    #[tokio::test(start_paused = true)]
    async fn a_named_task_that_is_left_is_reported_by_its_name() {
        let mut kept = NamedTasks::default();
        let check = leak_check(async { kept.spawn("kept", pending()) });
        let panic = AssertUnwindSafe(check).catch_unwind().await.unwrap_err();
        let told = panic_message(panic);
        assert!(told.starts_with("leaked: kept, spawned at leaks/src/check.rs:"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_task_that_ends_hides_no_named_one() {
        let (mut kept, mut old) = (NamedTasks::default(), tokio::task::JoinSet::new());
        old.spawn(sleep(GRACE / 2));
        let check = leak_check(async { kept.spawn("new", pending()) });
        let panic = AssertUnwindSafe(check).catch_unwind().await.unwrap_err();
        assert!(panic_message(panic).starts_with("leaked: new, "));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_named_task_that_ends_hides_none() {
        let mut old = NamedTasks::default();
        old.spawn("old", sleep(GRACE / 2));
        let mut new = tokio::task::JoinSet::new();
        let check = leak_check(async { drop(new.spawn(pending::<()>())) });
        let panic = AssertUnwindSafe(check).catch_unwind().await.unwrap_err();
        assert_eq!(panic_message(panic), "1 leaked: 0 tasks before, 1 after");
    }

    #[tokio::test(start_paused = true)]
    async fn named_tasks_from_before_are_not_leaks() {
        let mut old = NamedTasks::default();
        old.spawn("old", pending());
        leak_check(async {}).await;
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
