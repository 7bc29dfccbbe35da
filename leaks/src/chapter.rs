use std::future::Future;
use std::time::Duration;

use common::{Cause, Context};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::SendError};
use tokio::task::JoinError;

use crate::NamedTasks;

/// Most values that wait to be read before the sender waits. It is the smallest possible: tokio has
/// no unbuffered channel.
const VALUE_BOUND: usize = 1;

/// Bad: the sender waits for ever, because the receiver is kept and never read. The receiver is
/// returned; dropping it is what ends the task.
pub fn bad(tasks: &mut NamedTasks) -> Receiver<i32> {
    let (sender, receiver) = channel(VALUE_BOUND);
    tasks.spawn("bad example's sender", async move {
        send_until_refused(sender).await;
    });
    receiver
}

/// The chapter's bad example word for word, where the receiver goes out of scope. Here that is an
/// error for the sender, and the task ends with it.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn literal() -> Result<SendError<i32>, JoinError> {
    let sending = {
        let (sender, _receiver) = channel(VALUE_BOUND);
        tokio::spawn(send_until_refused(sender))
    }; // the receiver is dropped here
    sending.await
}

/// The first value may find room in the buffer, a later one has to wait.
async fn send_until_refused(sender: Sender<i32>) -> SendError<i32> {
    loop {
        if let Err(refused) = sender.send(42).await {
            return refused;
        }
    }
}

/// Good: the buffer has room for the only value, so the sender ends whether or not it is read.
/// `None` if the value was not there within `timeout`; the work itself is not cut short.
///
/// # Cancel safety
///
/// Dropping the future drops the value; the task ends when `work` does.
pub async fn good(
    timeout: Duration,
    work: impl Future<Output = i32> + Send + 'static,
) -> Result<Option<i32>, JoinError> {
    let (sender, mut receiver) = channel(VALUE_BOUND);
    let sending = tokio::spawn(async move { sender.send(work.await).await });
    let value = Context::background().with_timeout(timeout).run(receiver.recv()).await;
    drop(receiver); // tells the sender that the wait was given up
    let _too_late = sending.await?;
    Ok(value.ok().flatten())
}

/// The outcome of both sides of the best example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Whether the task could send, or what stopped it.
    pub sent: Result<(), Cause>,
    /// What was received, or what stopped the wait.
    pub received: Result<i32, Cause>,
}

/// Best: sender and receiver share a context, so both end with it, whether at work or in the send.
///
/// # Cancel safety
///
/// Dropping the future drops the value; the task ends with its context, after `timeout`.
pub async fn best(
    timeout: Duration,
    work: impl Future<Output = i32> + Send + 'static,
) -> Result<Best, JoinError> {
    let ctx = Context::background().with_timeout(timeout);
    let (sender, mut receiver) = channel(VALUE_BOUND);
    let sending = tokio::spawn({
        let ctx = ctx.clone();
        async move { ctx.run(async { sender.send(work.await).await }).await }
    });
    let value = ctx.run(receiver.recv()).await;
    let sent = sending.await?.map(|sent| sent.expect("the receiver is still there"));
    let stopped = || ctx.err().expect("only the context stops a sender before it has sent");
    Ok(Best { sent, received: value.and_then(|value| value.ok_or_else(stopped)) })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{GRACE, leak_check, live_tasks, settled};

    const SOON: Duration = Duration::from_millis(100);
    const LATER: Duration = Duration::from_millis(200);

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn the_bad_example_leaks_as_long_as_its_receiver_is_kept() {
        let mut tasks = NamedTasks::default();
        let receiver = bad(&mut tasks);
        assert_eq!(settled(0, GRACE).await, 1);
        assert_eq!(tasks.alive()[0].name, "bad example's sender");
        drop(receiver);
        assert_eq!(settled(0, GRACE).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_literal_translation_does_not_leak() {
        let refused = leak_check(literal()).await.unwrap();
        assert_eq!(refused.to_string(), "channel closed");
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn the_good_example_receives_or_gives_up() {
        assert_eq!(good(SOON, ready(42)).await.unwrap(), Some(42));
        assert_eq!(good(Duration::ZERO, ready(42)).await.unwrap(), None);
        let late = async {
            sleep(LATER).await;
            42
        };
        assert_eq!(good(SOON, late).await.unwrap(), None);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn the_best_example_ends_both_sides_at_the_deadline() {
        let done = best(SOON, ready(42)).await.unwrap();
        assert_eq!(done, Best { sent: Ok(()), received: Ok(42) });

        let started = Instant::now();
        let late = Err(Cause::DeadlineExceeded);
        let stopped = best(SOON, pending()).await.unwrap();
        assert_eq!((stopped.sent, stopped.received), (late.map(drop), late));
        assert_eq!(started.elapsed(), SOON);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_work_surfaces() {
        assert!(good(SOON, async { panic!("work") }).await.unwrap_err().is_panic());
        assert!(best(SOON, async { panic!("work") }).await.unwrap_err().is_panic());
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn giving_up_leaves_the_task_to_its_context() {
        let given_up = tokio::time::timeout(SOON, best(LATER, pending())).await;
        assert!(given_up.is_err());
        assert_eq!(live_tasks(), 1); // until its deadline, which it has of its own
    }
}
