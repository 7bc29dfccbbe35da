#![doc = include_str!("../README.md")]

mod ordered;
mod source;
mod team;

use tokio::task::{JoinSet, consume_budget};

pub use async_channel::{Receiver, Sender, bounded};
pub use ordered::{Panicked, WINDOW, fan_out_ordered};
pub use source::{from_stream, generate, merge};

/// Most results that wait to be read, in items. When it is reached, the workers wait for the
/// reader.
pub const RESULT_BOUND: usize = 64;

/// Fans `input` out to `workers` tasks, which call `work` for one item after the other, and fans
/// their results in to the returned receiver, in the order in which they are ready.
///
/// Each worker works on one item at a time, and [`RESULT_BOUND`] results wait to be read: a slow
/// reader slows `input` down. Where items are tiny, let the item be a batch.
///
/// The stage ends when `input` does; or at once, with work in progress dropped where it waits,
/// when the returned receiver is dropped. A panic in `work` costs its item; another worker takes
/// the place of the one that panicked, and the first panic surfaces in `tasks` when all is done.
///
/// # Panics
///
/// Without workers, and outside a runtime.
#[must_use = "dropping the results stops the stage"]
pub fn fan_out<T: Send + 'static, F: Future<Output: Send + 'static> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    input: Receiver<T>,
    workers: usize,
    work: impl Fn(T) -> F + Clone + Send + 'static,
) -> Receiver<F::Output> {
    let (output, results) = bounded(RESULT_BOUND);
    let sender = output.clone();
    // Makes the workers, and new ones in their places after a panic. For these it keeps an end of
    // each channel until the stage ends.
    let worker = move || worker(input.clone(), sender.clone(), work.clone());
    tasks.spawn(team::own(workers, worker, output));
    results
}

async fn worker<T, F: Future>(
    input: Receiver<T>,
    output: Sender<F::Output>,
    work: impl Fn(T) -> F,
) {
    while let Ok(item) = input.recv().await {
        let result = work(item).await;
        if output.send(result).await.is_err() {
            return; // nobody reads any more
        }
        consume_budget().await; // a channel that is always ready never waits
    }
}

#[cfg(test)]
mod tests;
