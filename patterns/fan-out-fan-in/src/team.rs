use std::panic::resume_unwind;

use async_channel::Sender;
use common::discard;
use tokio::task::JoinSet;

/// Owns the `workers` of a stage: starts them, puts a new one in the place of one that panicked,
/// joins all of them, and stops them when nobody reads `results`. The first panic resumes at the
/// end.
///
/// Watching for the dropped receiver here, once for all, stops a task wherever it waits: for the
/// next item, in its work, or for room among the results.
pub(crate) fn own<R, F: Future<Output = ()> + Send + 'static>(
    workers: usize,
    mut worker: impl FnMut() -> F,
    results: Sender<R>,
) -> impl Future<Output = ()> {
    assert!(workers > 0, "at least one worker is needed");
    let mut team: JoinSet<()> = (0..workers).map(|_| worker()).collect(); // spawns each
    async move {
        let (mut stopped, mut first) = (false, None);
        loop {
            let ended = tokio::select! {
                biased;
                () = results.closed(), if !stopped => {
                    stopped = true;
                    team.abort_all();
                    continue; // and join those that were stopped
                }
                ended = team.join_next() => ended,
            };
            let Some(ended) = ended else { break };
            if let Some(panic) = ended.err().and_then(|err| err.try_into_panic().ok()) {
                if !stopped {
                    team.spawn(worker());
                }
                match first {
                    None => first = Some(panic),
                    Some(_) => discard(panic), // it may panic once more when it is dropped
                }
            }
        }
        if let Some(panic) = first {
            resume_unwind(panic);
        }
    }
}
