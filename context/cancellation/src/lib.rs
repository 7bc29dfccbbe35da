#![doc = include_str!("../README.md")]

use common::{Cause, Context};
use tokio::sync::mpsc::{Receiver, Sender};

/// Does `work` again and again until the context ends, and drops it where it waits. Returns why the
/// context ended, at the moment it does.
///
/// # Cancel safety
///
/// As cancel safe as `work` is.
pub async fn repeat<F: Future<Output = ()>>(ctx: &Context, mut work: impl FnMut() -> F) -> Cause {
    loop {
        // Begun inside `run`, which polls nothing once the context has ended.
        if let Err(cause) = ctx.run(async { work().await }).await {
            return cause;
        }
    }
}

/// Hands on every item from one queue to the next, until there are no more items, the receiver is
/// gone, or the context ends. Only the end of the context is an error. No item is lost on the way.
///
/// # Cancel safety
///
/// Dropping the future loses nothing either: an item stays in `from` until it has a place in `to`.
pub async fn forward<T>(
    ctx: &Context,
    from: &mut Receiver<T>,
    to: &Sender<T>,
) -> Result<(), Cause> {
    // The place first and the item second: between the two waits, nothing is held in hand.
    while let Ok(place) = ctx.run(to.reserve()).await? {
        let Some(item) = ctx.run(from.recv()).await? else { break };
        place.send(item);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::Ready;
    use std::time::Duration;

    use leaks::leak_check;
    use tokio::sync::mpsc::channel;
    use tokio::time::{Instant, sleep};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MOMENT: Duration = Duration::from_millis(1234);

    /// Cancels the context of `waits` after a moment, and asserts that it ends right then.
    async fn ends_at_once<T>(waits: impl AsyncFnOnce(&Context) -> T) -> T {
        let ctx = Context::background();
        tokio::spawn({
            let ctx = ctx.clone();
            async move {
                sleep(MOMENT).await;
                ctx.cancel();
            }
        });
        let started = Instant::now();
        let result = waits(&ctx).await;
        assert_eq!(started.elapsed(), MOMENT);
        result
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn wakes_at_once_in_a_sleep() {
        let mut calls = 0;
        let work = || {
            calls += 1;
            sleep(HOUR)
        };
        let cause = ends_at_once(async |ctx| repeat(ctx, work).await).await;
        assert_eq!((cause, calls), (Cause::Canceled, 1));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn wakes_at_once_in_a_receive() {
        let (source, mut from) = channel::<i32>(1);
        let (to, sink) = channel(1);
        let end = ends_at_once(async |ctx| forward(ctx, &mut from, &to).await).await;
        assert_eq!(end, Err(Cause::Canceled));
        drop((source, sink)); // kept open until here: it was the cancel that ended it
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn wakes_at_once_in_a_send_and_loses_nothing() {
        let (source, mut from) = channel(3);
        let (to, mut sink) = channel(1);
        for item in 1..=3 {
            source.send(item).await.unwrap();
        }
        let end = ends_at_once(async |ctx| forward(ctx, &mut from, &to).await).await;
        assert_eq!(end, Err(Cause::Canceled));

        drop((source, to));
        assert_eq!((sink.recv().await, sink.recv().await), (Some(1), None));
        assert_eq!((from.recv().await, from.recv().await), (Some(2), Some(3)));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn an_ended_context_starts_no_work() {
        let ctx = Context::background();
        ctx.cancel();
        let cause = repeat(&ctx, || -> Ready<()> { panic!("there is no more work") }).await;
        assert_eq!(cause, Cause::Canceled);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn forwarding_ends_with_either_side() {
        let ctx = Context::background();
        let (source, mut from) = channel(1);
        let (to, mut sink) = channel(1);
        source.send("last").await.unwrap();
        drop(source); // no more items
        let forwarder = tokio::spawn(async move { forward(&ctx, &mut from, &to).await });
        assert_eq!((sink.recv().await, sink.recv().await), (Some("last"), None));
        assert_eq!(forwarder.await.unwrap(), Ok(()));

        let (_source, mut from) = channel::<i32>(1);
        let (to, sink) = channel(1);
        drop(sink); // nobody takes them
        let ctx = Context::background().with_timeout(HOUR); // a guard against a hang
        assert_eq!(forward(&ctx, &mut from, &to).await, Ok(()));
    }
}
