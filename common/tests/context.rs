//! What a context promises, case by case.

use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{self, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::Cause::{Canceled, DeadlineExceeded};
use common::Context;
use leaks::leak_check;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, advance, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut task::Context::from_waker(Waker::noop()))
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_context_and_its_children_but_not_its_parent() {
    let parent = Context::background();
    let context = parent.with_cancel();
    let child = context.with_cancel();
    context.cancel();
    assert_eq!((parent.err(), context.err(), child.err()), (None, Some(Canceled), Some(Canceled)));
}

/// A tree in which each context has a child of every kind, down to `depth`.
fn tree(parent: &Context, depth: usize) -> Vec<Context> {
    if depth == 0 {
        return vec![parent.clone()];
    }
    let hour = 3600 * SECOND;
    let children = [parent.with_cancel(), parent.with_value(depth), parent.with_timeout(hour)];
    let below = children.iter().flat_map(|child| tree(child, depth - 1));
    [parent.clone()].into_iter().chain(below).collect()
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_cancel_inside_a_tree_ends_what_is_below_and_wakes_every_waiter_there() {
    let root = Context::background();
    let [ended, alive] = [root.with_value("ends"), root.with_value("lives")];
    let mut waiters = JoinSet::new();
    for ctx in tree(&ended, 5) {
        waiters.spawn(async move { ctx.done().await });
    }
    yield_now().await;
    ended.cancel();
    let count = waiters.len();
    assert_eq!(waiters.join_all().await, vec![Canceled; count]);
    let all_alive = tree(&alive, 5).iter().chain([&root, &alive]).all(|ctx| ctx.err().is_none());
    assert!(all_alive, "beside and above it nothing ends");
}

#[test]
fn contexts_of_a_tree_that_are_cancelled_at_once_all_end() {
    for _ in 0..20 {
        let root = Context::background();
        let contexts = tree(&root.with_cancel(), 4);
        thread::scope(|scope| {
            for part in contexts.chunks(contexts.len() / 4) {
                scope.spawn(|| part.iter().for_each(Context::cancel));
            }
        });
        assert!(contexts.iter().all(|ctx| ctx.err() == Some(Canceled)));
        assert_eq!(root.err(), None);
    }
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_waiter_may_cancel_what_others_wait_for() {
    let outer = Context::background();
    let inner = outer.with_cancel();
    let passes_on = tokio::spawn({
        let (outer, inner) = (outer.clone(), inner.clone());
        async move {
            inner.done().await;
            outer.cancel();
        }
    });
    let waits = tokio::spawn({
        let beside = outer.with_value("beside").with_timeout(3600 * SECOND);
        async move { beside.done().await }
    });
    yield_now().await;
    inner.cancel();
    assert_eq!(waits.await.unwrap(), Canceled);
    passes_on.await.unwrap();
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_ends_the_context_at_once() {
    let parent = Context::background().with_timeout(3600 * SECOND);
    for ctx in [
        parent.with_deadline(Instant::now()),
        parent.with_deadline(Instant::now() - SECOND),
        parent.with_timeout(Duration::ZERO),
    ] {
        assert_eq!(ctx.err(), Some(DeadlineExceeded));
        assert_eq!(poll_once(pin!(ctx.done())), Poll::Ready(DeadlineExceeded));
        assert_eq!(ctx.with_cancel().err(), Some(DeadlineExceeded), "a child ends with it");
    }
    assert_eq!(parent.err(), None);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_of_a_chain_ends_that_context_and_its_descendants() {
    let mut tower = vec![Context::background()];
    for seconds in [50, 40, 45, 10, 20, 30] {
        let top = tower.last().expect("there is a root").with_value(seconds).with_cancel();
        tower.push(top.with_timeout(seconds * SECOND));
    }
    let started = Instant::now();
    assert_eq!(tower[6].done().await, DeadlineExceeded);
    assert_eq!(started.elapsed(), 10 * SECOND);
    let ended: Vec<_> = tower.iter().map(|ctx| ctx.err().is_some()).collect();
    assert_eq!(ended, [false, false, false, false, true, true, true]);
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
async fn an_ended_context_wins_over_a_ready_future() {
    for _ in 0..100 {
        let context = Context::background().with_timeout(SECOND);
        let outcome = context.run(sleep(SECOND)).await;
        assert_eq!(outcome, Err(DeadlineExceeded));
    }
}

/// The timer of a runtime is up to a millisecond late: the clock decides, not the timer.
#[tokio::test]
async fn a_waiter_sees_a_deadline_as_soon_as_any_other_observer() {
    for _ in 0..20 {
        let ctx = Context::background().with_timeout(Duration::from_micros(200));
        let (sender, receiver) = oneshot::channel();
        let (mut done, mut run) = (pin!(ctx.done()), pin!(ctx.run(receiver)));
        let (_, _) = (poll_once(done.as_mut()), poll_once(run.as_mut()));
        while ctx.err().is_none() {
            thread::yield_now();
        }
        sender.send("after the end").unwrap();
        assert_eq!(poll_once(done), Poll::Ready(DeadlineExceeded));
        assert_eq!(poll_once(run), Poll::Ready(Err(DeadlineExceeded)));
    }
}

#[test]
fn a_waiter_sees_a_cancel_as_soon_as_any_other_observer() {
    for _ in 0..2000 {
        let root = Context::background();
        let ctx = root.with_value(7).with_cancel();
        let (sender, receiver) = oneshot::channel();
        let (mut done, mut run) = (pin!(ctx.done()), pin!(ctx.run(receiver)));
        assert!(poll_once(done.as_mut()).is_pending() && poll_once(run.as_mut()).is_pending());
        let cancels = thread::spawn(move || root.cancel());
        while ctx.err().is_none() {
            thread::yield_now();
        }
        sender.send("after the end").unwrap();
        assert_eq!(poll_once(done), Poll::Ready(Canceled));
        assert_eq!(poll_once(run), Poll::Ready(Err(Canceled)));
        cancels.join().unwrap();
    }
}

#[test]
fn a_cancel_wakes_every_waiter_directly() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let root = Context::background();
    let contexts = [root.clone(), root.clone(), root.with_cancel(), root.with_value(7)];
    let mut waits = contexts.each_ref().map(|ctx| Box::pin(ctx.done()));
    let woken = waits.each_mut().map(|wait| {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = woken.clone().into();
        assert!(wait.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
        woken
    });
    root.cancel();
    assert!(woken.iter().all(|woken| woken.0.load(Relaxed)));
}

#[test]
fn a_result_from_the_poll_that_cancels_is_not_lost() {
    let ctx = Context::background();
    let takes = async {
        ctx.cancel();
        "an item"
    };
    assert_eq!(poll_once(pin!(ctx.run(takes))), Poll::Ready(Ok("an item")));
    let waits = async {
        ctx.cancel();
        pending::<()>().await;
    };
    assert_eq!(poll_once(pin!(ctx.run(waits))), Poll::Ready(Err(Canceled)));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_sleeps_on_while_others_are_cancelled() {
    let parent = Context::background().with_cancel();
    let [ctx, other] = [1, 2].map(|value| parent.with_value(value));
    let polls = AtomicUsize::new(0);
    let counts = poll_fn(|_| {
        polls.fetch_add(1, Relaxed);
        Poll::<()>::Pending
    });
    let mut run = pin!(ctx.run(counts));
    assert!(poll_once(run.as_mut()).is_pending());
    for _ in 0..3 {
        other.with_value("below").cancel();
        other.cancel();
        assert!(poll_once(run.as_mut()).is_pending());
    }
    assert_eq!(polls.load(Relaxed), 4, "once for each time that it was polled itself");
    parent.cancel();
    assert_eq!(run.await, Err(Canceled));
}

#[test]
fn a_future_is_held_once_however_deep_the_contexts_are() {
    let ctx = Context::background();
    let large = async {
        let buffer = [7_u8; 4096]; // held across the wait
        pending::<()>().await;
        buffer.len()
    };
    let own = size_of_val(&large);
    let nested = ctx.run(ctx.run(ctx.run(large)));
    assert!(size_of_val(&nested) <= own + 3 * 64, "{} for {own}", size_of_val(&nested));
    let done = size_of_val(&ctx.done());
    assert!(done <= 64, "{done}");
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
async fn a_timeout_beyond_the_clock_sets_no_deadline() {
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
                waiting.fetch_add(1, Relaxed); // even in the poll that starts to listen
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
    drop(context);
    let mut context = Context::background();
    for depth in 0..100_000 {
        context = match depth % 3 {
            0 => context.with_value(depth),
            1 => context.with_cancel(),
            _ => context.without_cancel(),
        };
    }
    assert_eq!(context.value(), Some(&99_999));
}

#[test]
fn a_chain_of_a_hundred_thousand_contexts_ends_without_overflowing_the_stack() {
    let root = Context::background();
    let mut context = root.clone();
    for depth in 0..50_000 {
        context = context.with_value(depth).with_cancel();
    }
    assert_eq!(context.err(), None);
    root.cancel();
    assert_eq!(context.err(), Some(Canceled));
}
