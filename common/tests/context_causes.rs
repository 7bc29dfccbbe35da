//! Why a context ended, as an error of the caller's own type.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use common::Cause::{Canceled, DeadlineExceeded};
use common::{Cause, Context};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// An error of the caller's own type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Full(&'static str);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is full", self.0)
    }
}

impl Error for Full {}

const DISK: Full = Full("the disk");
const QUEUE: Full = Full("the queue");

fn cause<E: Error + Clone + 'static>(ctx: &Context) -> Option<E> {
    ctx.cause().and_then(|cause| cause.downcast_ref::<E>().cloned())
}

#[test]
fn a_context_that_is_alive_has_no_cause() {
    assert!(Context::background().cause().is_none());
    assert!(Context::background().with_cancel().with_value(1).cause().is_none());
}

#[test]
fn the_error_given_to_a_cancel_is_the_cause_and_the_context_is_canceled() {
    let ctx = Context::background().with_cancel();
    ctx.cancel_with(DISK);
    assert_eq!((ctx.err(), cause(&ctx)), (Some(Canceled), Some(DISK)));
    let text = Context::background();
    text.cancel_with("no more work");
    assert_eq!(text.cause().unwrap().to_string(), "no more work");
}

#[test]
fn after_a_plain_cancel_the_cause_is_that_it_was_canceled() {
    let ctx = Context::background();
    ctx.cancel();
    assert_eq!((cause(&ctx), cause::<Full>(&ctx)), (Some(Canceled), None));
    assert_eq!(ctx.cause().unwrap().to_string(), "context canceled");
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_the_cause_is_the_deadline() {
    let ctx = Context::background().with_timeout(SECOND);
    advance(SECOND).await;
    assert_eq!(cause(&ctx), Some(DeadlineExceeded));
    ctx.cancel_with(DISK);
    assert_eq!(cause(&ctx), Some(DeadlineExceeded), "the first one stands");
}

#[tokio::test(start_paused = true)]
async fn an_error_stands_when_the_deadline_passes_later() {
    let parent = Context::background().with_timeout(SECOND);
    let ctx = parent.with_cancel();
    ctx.cancel_with(DISK);
    advance(SECOND).await;
    assert_eq!((cause(&ctx), cause(&parent)), (Some(DISK), Some(DeadlineExceeded)));
}

#[test]
fn the_first_error_is_kept_and_later_ones_change_nothing() {
    for later in [Context::cancel, |ctx: &Context| ctx.cancel_with(QUEUE)] {
        let ctx = Context::background();
        ctx.cancel_with(DISK);
        later(&ctx);
        assert_eq!(cause(&ctx), Some(DISK));
    }
    let ctx = Context::background();
    ctx.cancel();
    ctx.cancel_with(DISK);
    assert_eq!(cause(&ctx), Some(Canceled), "a plain cancel is the first as well");
}

#[tokio::test(start_paused = true)]
async fn a_child_has_the_cause_of_the_parent_that_it_ends_with() {
    type Make = fn(&Context) -> Context;
    let children: [Make; 5] = [
        Context::with_cancel,
        |ctx| ctx.with_timeout(SECOND),
        |ctx| ctx.with_deadline(Instant::now() - SECOND), // in the past
        |ctx| ctx.with_value(7),
        |ctx| ctx.with_value(7).with_cancel().with_value(8),
    ];
    for (number, child) in children.into_iter().enumerate() {
        let parent = Context::background().with_cancel();
        let before = child(&parent);
        parent.cancel_with(DISK);
        let after = child(&parent);
        let ended_before_its_parent = number == 2;
        if !ended_before_its_parent {
            assert_eq!((before.err(), cause(&before)), (Some(Canceled), Some(DISK)));
        }
        assert_eq!((after.err(), cause(&after)), (Some(Canceled), Some(DISK)));
    }
}

#[test]
fn the_cause_of_a_child_is_not_that_of_its_parent() {
    let parent = Context::background().with_cancel();
    let child = parent.with_cancel();
    let below = child.with_value("below");
    child.cancel_with(QUEUE);
    assert!(parent.cause().is_none());
    parent.cancel_with(DISK);
    assert_eq!((cause(&parent), cause(&child)), (Some(DISK), Some(QUEUE)));
    assert_eq!(cause(&below), Some(QUEUE), "the nearest that ended first");
}

#[test]
fn a_context_that_carries_a_value_is_cancelled_alone_with_those_below_it() {
    let parent = Context::background().with_cancel();
    let [above, beside] = [1, 2].map(|value| parent.with_value(value));
    let carries = above.with_value("a value");
    let (plain, value) = (carries.with_cancel(), carries.with_value("another"));
    carries.cancel_with(DISK);
    let ended = [&carries, &plain, &value].map(cause);
    assert_eq!(ended, [const { Some(DISK) }; 3]);
    assert!([&parent, &above, &beside].iter().all(|ctx| ctx.err().is_none()));
    assert!(parent.with_value(3).with_cancel().err().is_none(), "nor who comes later");
}

#[tokio::test(start_paused = true)]
async fn without_cancel_has_the_values_and_neither_the_end_nor_the_deadline() {
    let request = Context::background().with_value("a value").with_timeout(SECOND);
    let before = request.without_cancel();
    request.cancel_with(DISK);
    let after = request.without_cancel();
    for kept in [before, after] {
        assert_eq!((kept.err(), kept.deadline()), (None, None));
        assert!(kept.cause().is_none());
        assert_eq!(kept.value(), Some(&"a value"));

        let below = kept.with_value(7).with_cancel();
        assert_eq!((below.value(), below.value()), (Some(&"a value"), Some(&7)));
        kept.cancel_with(QUEUE);
        assert_eq!((cause(&kept), cause(&below)), (Some(QUEUE), Some(QUEUE)));
    }
    assert_eq!(cause(&request), Some(DISK), "nor does it end the one it came from");
}

#[test]
fn one_of_many_simultaneous_errors_is_the_cause_for_all() {
    const THREADS: usize = 4;
    for _ in 0..200 {
        let ctx = Context::background();
        let child = ctx.with_value(1).with_cancel();
        let start = Barrier::new(THREADS);
        let heard = thread::scope(|scope| {
            let cancel = |number: usize| {
                let (ctx, child, start) = (&ctx, &child, &start);
                scope.spawn(move || {
                    start.wait();
                    ctx.cancel_with(number.to_string());
                    [ctx, child].map(|ctx| ctx.cause().map(|cause| cause.to_string()))
                })
            };
            let threads: Vec<_> = (0..THREADS).map(cancel).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(heard[0].is_some() && heard.iter().all(|one| *one == heard[0]), "{heard:?}");
    }
}

#[test]
fn an_error_is_shared_and_freed_with_the_last_context() {
    #[derive(Debug)]
    struct Counted(#[expect(dead_code, reason = "counted, not read")] Arc<()>);
    impl fmt::Display for Counted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("counted")
        }
    }
    impl Error for Counted {}

    let count = Arc::new(());
    let ctx = Context::background();
    let child = ctx.with_cancel();
    ctx.cancel_with(Counted(count.clone()));
    assert_eq!(child.err(), Some(Cause::Canceled));
    drop(ctx);
    assert_eq!(Arc::strong_count(&count), 2, "the child keeps it");
    drop(child);
    assert_eq!(Arc::strong_count(&count), 1);
}
