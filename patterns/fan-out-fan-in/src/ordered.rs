use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{RESULT_BOUND, Receiver, Sender, channel, stage};

/// How many items, worked on or done, wait behind a slow one before nothing more is taken in.
pub const WINDOW: usize = 64;

/// An item, and where its result goes.
type Job<T, R> = (T, oneshot::Sender<R>);

/// [`fan_out`](crate::fan_out), but the results come in the order of `input`.
///
/// A slow item holds back those behind it: up to [`WINDOW`] of them are worked on meanwhile, then
/// `input` has to wait. So the memory stays bounded however slow the item is.
///
/// # Panics
///
/// As [`fan_out`](crate::fan_out).
pub fn fan_out_ordered<T, R, W, F>(
    tasks: &mut JoinSet<()>,
    input: Receiver<T>,
    workers: usize,
    work: W,
) -> Receiver<R>
where
    T: Send + 'static,
    R: Send + 'static,
    W: Fn(T) -> F + Clone + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    assert!(workers > 0, "without workers nothing would be done");
    let (sender, results) = channel(RESULT_BOUND);
    let (places, order) = mpsc::channel(WINDOW);
    let (jobs, queue) = channel(WINDOW);
    let mut team = JoinSet::new();
    team.spawn(line_up(input, places, jobs));
    for _ in 0..workers {
        team.spawn(worker(queue.clone(), work.clone()));
    }
    team.spawn(collect(order, sender.clone()));
    tasks.spawn(stage::own(team, sender));
    results
}

/// Gives each item its place in the order. The place is reserved before the item is taken: an
/// item that nobody can take in stays with its source.
async fn line_up<T, R>(
    input: Receiver<T>,
    places: mpsc::Sender<oneshot::Receiver<R>>,
    jobs: Sender<Job<T, R>>,
) {
    while let Ok(place) = places.reserve().await
        && let Some(item) = input.recv().await
    {
        let (sender, result) = oneshot::channel();
        place.send(result);
        if jobs.send((item, sender)).await.is_err() {
            return; // all workers have panicked
        }
    }
}

async fn worker<T, R, F>(queue: Receiver<Job<T, R>>, work: impl Fn(T) -> F)
where
    F: Future<Output = R>,
{
    while let Some((item, sender)) = queue.recv().await {
        if sender.send(work(item).await).is_err() {
            return; // nobody reads any more
        }
    }
}

async fn collect<R>(mut order: mpsc::Receiver<oneshot::Receiver<R>>, results: Sender<R>) {
    while let Some(result) = order.recv().await {
        // An item whose worker panicked leaves its place empty: the next one moves up.
        if let Ok(result) = result.await
            && results.send(result).await.is_err()
        {
            return; // nobody reads any more
        }
    }
}
