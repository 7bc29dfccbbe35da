use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::{RESULT_BOUND, team};

/// Most items, worked on or done, that wait behind a slow one. When it is reached, no further item
/// is taken from the input.
pub const WINDOW: usize = 64;

/// The work on this item panicked. The panic itself resumes where the tasks are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work on this item panicked")]
pub struct Panicked;

/// [`fan_out`](crate::fan_out), but the results come in the order of `input`, one for each item: an
/// item whose work panicked leaves an error in its place.
///
/// A slow item holds back those behind it: up to [`WINDOW`] of them are worked on meanwhile, then
/// `input` has to wait. So the memory stays bounded however slow the item is.
///
/// # Panics
///
/// As [`fan_out`](crate::fan_out).
#[must_use = "dropping the results stops the stage"]
pub fn fan_out_ordered<T: Send + 'static, F: Future<Output: Send + 'static> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    input: Receiver<T>,
    workers: usize,
    work: impl Fn(T) -> F + Clone + Send + 'static,
) -> Receiver<Result<F::Output, Panicked>> {
    let (output, results) = bounded(RESULT_BOUND);
    let (places, order) = mpsc::channel(WINDOW);
    let line = Arc::new(Mutex::new((input, places)));
    let worker = move || worker(line.clone(), work.clone());
    tasks.spawn(team::own(workers, worker, output.clone()));
    tasks.spawn(collect(order, output));
    results
}

/// The input, and the places in the order of the results.
type Line<T, R> = Arc<Mutex<(Receiver<T>, mpsc::Sender<oneshot::Receiver<R>>)>>;

async fn worker<T, F: Future>(line: Line<T, F::Output>, work: impl Fn(T) -> F) {
    loop {
        // The holder of the lock takes an item and its place, so both are in the same order. The
        // place is reserved first: an item without a place stays with its source.
        let taking = line.lock().await;
        let (input, places) = &*taking;
        let Ok(place) = places.reserve().await else { return };
        let Ok(item) = input.recv().await else { return };
        let (sender, result) = oneshot::channel();
        place.send(result);
        drop(taking);
        if sender.send(work(item).await).is_err() {
            return; // nobody reads any more
        }
    }
}

async fn collect<R>(
    mut order: mpsc::Receiver<oneshot::Receiver<R>>,
    results: Sender<Result<R, Panicked>>,
) {
    while let Some(result) = order.recv().await {
        // A panic drops the sender of its item's result.
        if results.send(result.await.map_err(|_dropped| Panicked)).await.is_err() {
            return; // nobody reads any more
        }
    }
}
