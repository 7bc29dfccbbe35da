use std::future::poll_fn;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use common::bad;
use model::future::block_on;
use model::sync::Arc;
use model::thread::spawn;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

/// What a future gives that was sent to it after the end.
fn after_the_end(_: &mut task::Context<'_>) -> Poll<&'static str> {
    Poll::Ready("too late")
}

macro_rules! models {
    ($name:ident of $context:path) => {
        #[allow(dead_code)]
        pub mod $name {
            use super::*;
            use $context::*;

            pub fn cancel_wakes() {
                let ctx = Context::background();
                let waits =
                    [ctx.clone(), ctx.with_cancel()].map(|ctx| spawn(move || block_on(ctx.done())));
                ctx.cancel();
                for wait in waits {
                    assert_eq!(wait.join().expect("it does not panic"), Cause::Canceled);
                }
            }

            pub fn first_cause() {
                let root = Context::background();
                let ctx = root.with_timeout(SECOND);
                let looks = [true, false].map(|cancels| {
                    let (ctx, root) = (ctx.with_cancel(), root.clone());
                    spawn(move || {
                        if cancels {
                            root.cancel();
                        }
                        (ctx.err(), ctx.err())
                    })
                });
                advance(SECOND);
                let stands = ctx.err().expect("its deadline has passed");
                for look in looks {
                    let (first, second) = look.join().expect("it does not panic");
                    assert!(first.is_none_or(|cause| cause == stands), "{first:?}, {stands}");
                    assert!(second.is_none_or(|cause| cause == stands), "{second:?}, {stands}");
                    assert!(first.is_none() || second.is_some());
                }
            }

            /// The child looks at a clock that another thread turns while its parent is cancelled.
            pub fn child_agrees() {
                let request = Context::background().with_timeout(SECOND);
                let parent = request.with_value("a value");
                let child = parent.with_cancel();
                let canceling = parent.clone();
                let cancel = spawn(move || canceling.cancel());
                let looking = child.clone();
                let look = spawn(move || looking.err());
                advance(SECOND);
                let heard = look.join().expect("it does not panic");
                cancel.join().expect("it does not panic");
                let stands = parent.err().expect("it is cancelled, and its deadline has passed");
                assert_eq!(child.err(), Some(stands), "a child ends with its parent");
                assert!(heard.is_none_or(|cause| cause == stands), "{heard:?}, {stands}");
            }

            pub fn hears_at_once() {
                let root = Context::background();
                let ctx = root.with_value("a value").with_cancel();
                let cancel = spawn(move || root.cancel());
                let (mut done, mut run) = (pin!(ctx.done()), pin!(ctx.run(poll_fn(after_the_end))));
                for _ in 0..2 {
                    let ended = ctx.err().is_some();
                    let mut cx = task::Context::from_waker(Waker::noop());
                    if ended {
                        assert!(done.as_mut().poll(&mut cx).is_ready(), "done is behind err");
                        assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(Err(Cause::Canceled)));
                        break;
                    }
                    if done.as_mut().poll(&mut cx).is_ready() {
                        assert!(ctx.err().is_some(), "err is behind done");
                        break;
                    }
                }
                cancel.join().expect("it does not panic");
            }

            pub fn new_child() {
                let parent = Context::background();
                let canceling = parent.clone();
                let cancel = spawn(move || canceling.cancel());
                let child = parent.with_cancel();
                assert_eq!(block_on(child.with_timeout(SECOND).done()), Cause::Canceled);
                cancel.join().expect("it does not panic");
                assert_eq!(child.err(), Some(Cause::Canceled));
            }

            pub fn deadline_wakes() {
                let ctx = Context::background().with_timeout(2 * SECOND);
                let late = ctx.with_timeout(3 * SECOND);
                let wait = spawn(move || block_on(late.done()));
                advance(SECOND);
                assert_eq!(ctx.err(), None);
                advance(SECOND);
                let cancel = spawn(move || ctx.cancel()); // too late
                assert_eq!(wait.join().expect("it does not panic"), Cause::DeadlineExceeded);
                cancel.join().expect("it does not panic");
            }

            pub fn freed() {
                let value = Arc::new(());
                let root = Context::background().with_value(value.clone());
                let drops = [root.with_cancel(), root.with_cancel()].map(|child| {
                    let below = child.with_value(Arc::clone(&value));
                    spawn(move || {
                        below.cancel();
                        drop(child);
                        drop(below);
                    })
                });
                drop(root);
                drops.into_iter().for_each(|dropped| dropped.join().expect("it does not panic"));
                assert_eq!(Arc::strong_count(&value), 1, "a context is still there");
            }
        }
    };
}

models!(good of common);
models!(decision_does_not_stand of bad::decision_does_not_stand);
models!(cancel_looks_at_no_clock of bad::cancel_looks_at_no_clock);
models!(run_polls_first of bad::run_polls_first);
models!(one_is_woken of bad::one_is_woken);
