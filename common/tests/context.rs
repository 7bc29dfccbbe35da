//! What a context promises, case by case.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::Cause::{Canceled, DeadlineExceeded};
use common::Context;
use leaks::leak_check;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, advance, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[leak_check]
#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_context_and_its_children_but_not_its_parent() {
    let parent = Context::background();
    let context = parent.with_cancel();
    let child = context.with_cancel();
    context.cancel();
    assert_eq!((parent.err(), context.err(), child.err()), (None, Some(Canceled), Some(Canceled)));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_child_never_outlives_the_deadline_of_its_parent() {
    let parent = Context::background().with_timeout(SECOND);
    let child = parent.with_timeout(2 * SECOND);
    assert_eq!(child.deadline(), parent.deadline());
    let started = Instant::now();
    assert_eq!(child.done().await, DeadlineExceeded);
    assert_eq!(started.elapsed(), SECOND);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_deadline_that_nobody_watched_still_comes_before_a_later_cancel() {
    let context = Context::background().with_timeout(SECOND);
    advance(2 * SECOND).await;
    context.cancel();
    assert_eq!(context.err(), Some(DeadlineExceeded));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_cancel_stands_when_the_deadline_passes_later() {
    let parent = Context::background();
    let context = parent.with_timeout(SECOND);
    parent.cancel();
    advance(2 * SECOND).await;
    assert_eq!(context.err(), Some(Canceled));
}

#[tokio::test(start_paused = true)]
async fn an_ended_context_does_not_poll_the_future() {
    leak_check(async {
        let context = Context::background().with_cancel();
        context.cancel();
        let outcome = context.run(async { panic!("polled") }).await;
        assert_eq!(outcome, Err::<(), _>(Canceled));
    })
    .await;
    assert_eq!(Canceled.to_string(), "context canceled");
    assert_eq!(DeadlineExceeded.to_string(), "context deadline exceeded");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_end_of_the_context_wins_over_a_future_that_is_ready_as_well() {
    for _ in 0..100 {
        let context = Context::background().with_timeout(SECOND);
        let outcome = context.run(sleep(SECOND)).await;
        assert_eq!(outcome, Err(DeadlineExceeded));
    }
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_future_that_ends_in_time_gives_its_output() {
    let context = Context::background().with_timeout(SECOND);
    assert_eq!(context.run(ready(7)).await, Ok(7));
    assert_eq!(context.err(), None);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_nearest_value_of_a_type_is_found() {
    #[derive(Debug, PartialEq)]
    struct UserId(u32);
    let outer = Context::background().with_value(UserId(1)).with_value("a request");
    let inner = outer.with_value(UserId(2)).with_cancel();
    assert_eq!(inner.value(), Some(&UserId(2)));
    assert_eq!(outer.value(), Some(&UserId(1)));
    assert_eq!(inner.value(), Some(&"a request"));
    assert_eq!(inner.value::<u64>(), None);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_timeout_beyond_the_clock_is_no_deadline() {
    let context = Context::background().with_timeout(Duration::MAX);
    assert_eq!(context.deadline(), None);
    assert_eq!(context.err(), None);
}

#[test]
fn a_context_without_a_deadline_needs_no_runtime() {
    let context = Context::background().with_cancel();
    assert_eq!(context.err(), None);
    context.cancel();
    assert_eq!(context.err(), Some(Canceled));
}

#[leak_check]
#[tokio::test]
async fn cancel_wakes_a_hundred_thousand_waiters() {
    let root = Context::background();
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut waiters = JoinSet::new();
    for waiter in 0..100_000 {
        // Half of them wait on one context, half on a child each.
        let context = if waiter % 2 == 0 { root.clone() } else { root.with_cancel() };
        let waiting = Arc::clone(&waiting);
        waiters.spawn(async move {
            let wait = async {
                waiting.fetch_add(1, Relaxed); // in the poll that begins to listen as well
                pending::<()>().await;
            };
            context.run(wait).await
        });
    }
    while waiting.load(Relaxed) < 100_000 {
        yield_now().await;
    }
    root.cancel();
    let outcomes = timeout(60 * SECOND, waiters.join_all()).await.expect("all of them wake");
    assert_eq!(outcomes.len(), 100_000);
    assert!(outcomes.iter().all(|outcome| *outcome == Err(Canceled)));
}

#[test]
fn a_chain_of_a_hundred_thousand_contexts_is_dropped_without_overflowing_the_stack() {
    let mut context = Context::background();
    for depth in 0..100_000 {
        context = context.with_value(depth);
    }
    assert_eq!(context.value(), Some(&99_999));
}
