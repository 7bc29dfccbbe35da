use std::time::Duration;

use cancellation::forward;
use common::{Cause, Context};
use model::future::block_on;
use tokio::spawn;
use tokio::sync::mpsc;
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

pub fn waiters() {
    block_on(async {
        let root = Context::background();
        let ctx = root.with_timeout(SECOND);
        let below = ctx.with_cancel();
        let done = spawn({
            let ctx = ctx.clone();
            async move { ctx.done().await }
        });
        let work = spawn(async move { below.run(sleep(2 * SECOND)).await });
        let cancel = spawn(async move { root.cancel() });
        let clock = spawn(async { advance(SECOND) });
        let cause = done.await.expect("it does not panic");
        assert_eq!(ctx.err(), Some(cause));
        // The instants decide: a cancel at the very moment of the deadline comes too late.
        let below = work.await.expect("it does not panic");
        assert_eq!(below, Err(cause), "one cause, for the context and below it");
        cancel.await.expect("it does not panic");
        clock.await.expect("it does not panic");
        assert_eq!(ctx.err(), Some(cause), "and it stands");
    });
}

pub fn loses_nothing() {
    block_on(async {
        let ctx = Context::background();
        let (source, mut from) = mpsc::channel(3);
        let (to, mut sink) = mpsc::channel(1);
        for item in 1..=3 {
            source.send(item).await.expect("there is room");
        }
        drop(source);
        let canceling = ctx.clone();
        let cancel = spawn(async move { canceling.cancel() });
        let forwarding = spawn(async move {
            let end = forward(&ctx, &mut from, &to).await;
            (end, from)
        });
        let mut items = Vec::new();
        while let Some(item) = sink.recv().await {
            items.push(item);
        }
        let (end, mut from) = forwarding.await.expect("it does not panic");
        let sent = items.len();
        while let Some(item) = from.recv().await {
            items.push(item);
        }
        assert_eq!(items, [1, 2, 3], "in order, forwarded or still there");
        assert!(end == Err(Cause::Canceled) || sent == 3, "{end:?} after {sent}");
        cancel.await.expect("it does not panic");
    });
}
