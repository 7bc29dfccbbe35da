#![doc = include_str!("../README.md")]

mod channel;
mod ordered;
mod stage;
mod sync;
mod worker;

use tokio::task::JoinSet;

pub use channel::{Closed, Receiver, Sender, channel};
pub use ordered::{WINDOW, fan_out_ordered};
pub use stage::generate;

/// How many results wait to be read before the workers wait for their reader.
pub const RESULT_BOUND: usize = 64;

/// Fans `input` out to `workers` tasks, which call `work` for one item after the other, and fans
/// their results in to the returned receiver, in the order in which they are ready.
///
/// Each worker works on one item at a time, and [`RESULT_BOUND`] results wait to be read: whoever
/// reads slowly slows `input` down. On a runtime of one thread a worker takes all the items that are
/// ready, since nobody else could begin one meanwhile; as soon as its work waits, it gives back
/// those that it has not begun. Where items are tiny, let the item be a batch.
///
/// The stage ends when `input` does; or at once, with work in progress dropped where it waits,
/// when the returned receiver is dropped. A panic in `work` costs its item and its worker, and
/// surfaces in `tasks` when the other workers are done.
///
/// # Panics
///
/// Without workers, and outside a runtime.
pub fn fan_out<T, R, W, F>(
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
    let mut team = JoinSet::new();
    for _ in 0..workers {
        team.spawn(worker::run(input.clone(), sender.clone(), work.clone()));
    }
    drop(input); // the workers' clones are the only ones left: when they are gone, the source ends
    tasks.spawn(stage::own(team, sender));
    results
}

#[cfg(test)]
mod tests;
