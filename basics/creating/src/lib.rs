#![doc = include_str!("../README.md")]

use std::thread::{self, ScopedJoinHandle};

use common::resume_panic;
use tokio::task::{JoinError, JoinSet, yield_now};

/// How many tasks are spawned before those already spawned get a turn.
const BURST: usize = 32;

/// Runs each piece of work in a thread of its own, all at the same time, and gives the results in
/// the order of the work. The work may borrow from the caller, because the caller waits for it.
///
/// # Panics
///
/// If a piece of work panics: with one such panic, once all threads have ended. If the system
/// cannot start a thread.
pub fn in_threads<R, F>(work: impl IntoIterator<Item = F>) -> Vec<R>
where
    R: Send,
    F: FnOnce() -> R + Send,
{
    let mut joined: Vec<_> = thread::scope(|scope| {
        // `collect` starts all threads before the first one is joined.
        let threads: Vec<_> = work.into_iter().map(|piece| scope.spawn(piece)).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    joined.sort_by_key(Result::is_err); // the results in their order, and then the panics
    if let Some(Err(panic)) = joined.pop_if(|last| last.is_err()) {
        resume_panic(panic, joined);
    }
    joined.into_iter().flatten().collect()
}

/// Runs each piece of work in a task of its own, all at the same time, and gives the results
/// roughly in the order in which they are ready.
///
/// Tasks that have ended are joined while others are still being spawned, so a million short ones
/// never take the memory of a million.
///
/// # Panics
///
/// If a piece of work panics: with its panic, and the other tasks are cancelled. Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future cancels all tasks.
pub async fn in_tasks<F>(work: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (mut tasks, mut results) = (JoinSet::new(), Vec::new());
    for (spawned, piece) in (1..).zip(work) {
        tasks.spawn(piece);
        if spawned % BURST == 0 {
            yield_now().await;
            while let Some(joined) = tasks.try_join_next() {
                keep(joined, &mut results);
            }
        }
    }
    while let Some(joined) = tasks.join_next().await {
        keep(joined, &mut results);
    }
    results
}

/// Keeps the result of a task, or resumes its panic. Only a runtime that has shut down cancels it.
/// The other results are discarded before a panic resumes: a second panic, from the drop of a
/// result, would abort the process.
fn keep<R>(joined: Result<R, JoinError>, results: &mut Vec<R>) {
    match joined.map_err(JoinError::into_panic) {
        Ok(result) => results.push(result),
        Err(panic) => resume_panic(panic, results.drain(..)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::mem;
    use std::panic::{catch_unwind, panic_any};
    use std::sync::{Arc, Barrier};

    use leaks::leak_check;

    use super::*;

    #[test]
    fn threads_run_at_the_same_time_and_keep_the_order_of_the_work() {
        let meet = &Barrier::new(8); // opens for eight at once
        let work = (0..8).map(|number| {
            move || {
                meet.wait();
                number
            }
        });
        assert_eq!(in_threads(work), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn threads_may_borrow_from_the_caller_that_waits() {
        let names = ["Charlie".to_owned(), "Diana".to_owned()];
        let lengths = in_threads(names.iter().map(|name| || name.len()));
        assert_eq!(lengths, [7, 5]);
    }

    #[test]
    fn a_panic_in_a_thread_resumes_in_the_caller() {
        let panic = catch_unwind(|| in_threads([|| (), || panic!("a bad thread")])).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"a bad thread"));
    }

    #[leak_check]
    #[tokio::test]
    async fn tasks_run_at_the_same_time() {
        let meet = Arc::new(tokio::sync::Barrier::new(1000));
        let work = (0..1000).map(|_| {
            let meet = meet.clone();
            async move { meet.wait().await.is_leader() }
        });
        let leaders = in_tasks(work).await;
        assert_eq!(leaders.len(), 1000);
        assert_eq!(leaders.into_iter().filter(|leader| *leader).count(), 1);
    }

    #[leak_check]
    #[tokio::test]
    async fn a_hundred_thousand_tasks_give_as_many_results() {
        let sum: u64 = in_tasks((0..100_000).map(async |n| n)).await.into_iter().sum();
        assert_eq!(sum, 4_999_950_000);
    }

    #[leak_check]
    #[tokio::test]
    async fn short_tasks_end_while_others_are_still_being_spawned() {
        let alive = Arc::new(());
        let work = (0..10 * BURST).map(|_| {
            let held = Arc::clone(&alive);
            assert!(Arc::strong_count(&alive) <= 1 + BURST, "those before have not ended");
            async move { drop(held) }
        });
        assert_eq!(in_tasks(work).await.len(), 10 * BURST);
    }

    #[leak_check]
    #[tokio::test]
    async fn a_panic_in_a_task_resumes_in_the_caller_and_cancels_the_others() {
        let work = [false, true, false].map(|bad| async move {
            assert!(!bad, "a bad task");
            pending::<()>().await;
        });
        let panic = tokio::spawn(in_tasks(work)).await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"a bad task"));
    }

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    /// The outcomes of three: a value whose drop panics, a panic, and a payload whose drop panics.
    fn give(number: u32) -> PanicsWhenDropped {
        match number {
            1 => panic!("the first"),
            2 => panic_any(PanicsWhenDropped),
            _ => PanicsWhenDropped,
        }
    }

    #[test]
    fn a_panic_in_a_drop_does_not_hide_a_threads_panic() {
        for last in [2, 3] {
            // Of two panics one is resumed, and the other is dropped.
            let work = || in_threads((0..last).map(|number| move || give(number)));
            let panic = catch_unwind(work).err().unwrap();
            let own = panic.downcast_ref() == Some(&"the first") || panic.is::<PanicsWhenDropped>();
            mem::forget(panic);
            assert!(own);
        }
    }

    #[leak_check]
    #[tokio::test]
    async fn a_panic_in_a_drop_does_not_hide_a_tasks_panic() {
        let work = (0..2).map(async |number| give(number));
        let panic = tokio::spawn(in_tasks(work)).await.err().unwrap().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"the first"));
    }
}
