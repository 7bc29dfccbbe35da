//! Shows the traps that the page warns of.

use common::{Cause, Context};
use tokio::sync::mpsc;
use tokio::task::yield_now;

#[tokio::test]
async fn work_that_does_not_await_is_not_cancelled() {
    let ctx = Context::background();
    let (mut steps, mut asked_steps) = (0, 0);
    let outcome = ctx.run(async {
        for _ in 0..1000 {
            steps += 1;
            ctx.cancel();
        }
        yield_now().await; // here it is noticed
        steps += 1;
    });
    assert_eq!(outcome.await, Err(Cause::Canceled));
    assert_eq!(steps, 1000);

    let ctx = Context::background();
    while ctx.err().is_none() {
        asked_steps += 1;
        ctx.cancel();
    }
    assert_eq!(asked_steps, 1);
}

#[tokio::test]
async fn a_cancelled_send_drops_its_item() {
    let ctx = Context::background();
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(1).await.unwrap(); // the channel is full
    let (sent, ()) = tokio::join!(ctx.run(sender.send(2)), async { ctx.cancel() });
    assert_eq!(sent, Err(Cause::Canceled));
    drop(sender);
    assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), None));
}
