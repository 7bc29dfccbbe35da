use std::pin::pin;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::{JoinSet, consume_budget};
use tokio::time::sleep;

use super::RESULT_BOUND;

/// A source: sends `items` with a `pause` after each, until nobody receives any more. It notices
/// that at once, even in a pause.
///
/// # Panics
///
/// Outside a runtime.
#[must_use = "dropping the receiver stops the source"]
pub fn generate<T: Send + 'static>(
    tasks: &mut JoinSet<()>,
    items: impl Iterator<Item = T> + Send + 'static,
    pause: Duration,
) -> Receiver<T> {
    let (output, receiver) = bounded(1);
    tasks.spawn(forward(stream::iter(items), output, pause));
    receiver
}

/// A source that waits: sends what `stream` gives, until nobody receives any more.
///
/// # Panics
///
/// Outside a runtime.
#[must_use = "dropping the receiver stops the source"]
pub fn from_stream<S>(tasks: &mut JoinSet<()>, stream: S) -> Receiver<S::Item>
where
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    merge(tasks, [stream])
}

/// Fan-in: makes one stream of several, in the order in which their items are ready. It ends with
/// the last of `inputs`.
///
/// # Panics
///
/// Outside a runtime.
#[must_use = "dropping the receiver stops the source"]
pub fn merge<S>(tasks: &mut JoinSet<()>, inputs: impl IntoIterator<Item = S>) -> Receiver<S::Item>
where
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    let (output, merged) = bounded(RESULT_BOUND);
    for input in inputs {
        tasks.spawn(forward(input, output.clone(), Duration::ZERO));
    }
    merged
}

/// Sends what `stream` gives, until nobody receives any more: wherever it waits, it notices that.
async fn forward<S: Stream>(stream: S, output: Sender<S::Item>, pause: Duration) {
    let sending = async {
        let mut stream = pin!(stream);
        while let Some(item) = stream.next().await {
            if output.send(item).await.is_err() {
                return;
            }
            if pause.is_zero() {
                consume_budget().await; // a sleep would last until the timer's next millisecond
            } else {
                sleep(pause).await;
            }
        }
    };
    tokio::select! {
        biased;
        () = output.closed() => {}
        () = sending => {}
    }
}
