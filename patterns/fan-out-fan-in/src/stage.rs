use std::any::Any;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Receiver, Sender, channel};

/// A source: sends `items` with a `pause` after each, until nobody receives any more. It notices
/// that at once, also in a pause.
///
/// # Panics
///
/// Outside a runtime.
pub fn generate<T, I>(tasks: &mut JoinSet<()>, items: I, pause: Duration) -> Receiver<T>
where
    T: Send + 'static,
    I: Iterator<Item = T> + Send + 'static,
{
    let (sender, receiver) = channel(1);
    tasks.spawn(async move {
        for item in items {
            if sender.send(item).await.is_err() {
                return;
            }
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = sleep(pause) => {}
            }
        }
    });
    receiver
}

/// Owns the tasks of a stage: joins all of them, and stops them when nobody reads `results`.
///
/// Watching for the dropped receiver here, once for all, stops a task wherever it waits: for the
/// next item, in its work, or for room among the results.
pub(crate) async fn own<R>(mut team: JoinSet<()>, results: Sender<R>) {
    let mut panic = None;
    tokio::select! {
        biased;
        () = results.closed() => team.abort_all(),
        () = join(&mut team, &mut panic) => {}
    }
    join(&mut team, &mut panic).await; // those that were stopped
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// Waits until all tasks have ended, and keeps the first panic.
///
/// # Cancel safety
///
/// What is not joined yet stays in `team`.
async fn join(team: &mut JoinSet<()>, panic: &mut Option<Box<dyn Any + Send>>) {
    while let Some(ended) = team.join_next().await {
        if let Some(payload) = ended.err().and_then(|err| err.try_into_panic().ok()) {
            panic.get_or_insert(payload);
        }
    }
}
