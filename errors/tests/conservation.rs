//! Nothing is lost: every task is counted as successful, failed or cancelled.

use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use common::Context;
use errors::{Failure, Summary, process_all};
use leaks::leak_check;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

/// What a task does after a number of milliseconds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Succeeds(u64),
    Fails(u64),
    Panics(u64),
    Hangs,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => (0..50_u64).prop_map(Kind::Succeeds),
        2 => (0..50_u64).prop_map(Kind::Fails),
        1 => (0..50_u64).prop_map(Kind::Panics),
        1 => Just(Kind::Hangs),
    ]
}

async fn work(kind: Kind) -> io::Result<()> {
    let rest = |millis| sleep(Duration::from_millis(millis));
    match kind {
        Kind::Succeeds(millis) => rest(millis).await,
        Kind::Fails(millis) => {
            rest(millis).await;
            return Err(io::Error::other("planned"));
        }
        Kind::Panics(millis) => {
            rest(millis).await;
            resume_unwind(Box::new("planned")); // prints nothing on stderr
        }
        Kind::Hangs => pending().await,
    }
    Ok(())
}

/// The summary, and which tasks gave a result that is not their own.
async fn run(
    kinds: Vec<Kind>,
    workers: usize,
    cancel_after: Option<usize>,
    patience: u64,
) -> (Summary, Vec<u64>, Vec<u64>) {
    let ctx = Context::background().with_timeout(Duration::from_secs(1));
    let tasks = (0..).zip(kinds.clone()).map(|(id, kind)| (id, work(kind)));
    let mut results = process_all(&ctx, workers, tasks);
    let (mut summary, mut ids, mut wrong) = (Summary::default(), Vec::new(), Vec::new());
    loop {
        if cancel_after == Some(ids.len()) {
            ctx.cancel();
        }
        // Now and then the wait for a result is dropped and begun again.
        let Ok(next) = timeout(Duration::from_millis(patience), results.next()).await else {
            continue;
        };
        let Some(ended) = next else { break };
        summary.count(&ended.result);
        ids.push(ended.id);
        let kind = kinds[usize::try_from(ended.id).expect("there are few")];
        let its_own = match &ended.result {
            Ok(()) => matches!(kind, Kind::Succeeds(_)),
            Err(Failure::Failed(_)) => matches!(kind, Kind::Fails(_)),
            Err(Failure::Panicked(_)) => matches!(kind, Kind::Panics(_)),
            Err(Failure::Cancelled(_)) => true,
        };
        if !its_own {
            wrong.push(ended.id);
        }
    }
    ids.sort_unstable();
    (summary, ids, wrong)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn tasks_in_are_successful_and_failed_and_cancelled(
        kinds in prop::collection::vec(kind(), 0..30),
        workers in 1..6_usize,
        cancel_after in prop::option::of(0..30_usize),
        patience in 1..60_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let run = run(kinds.clone(), workers, cancel_after, patience);
        let (summary, ids, wrong) = runtime.block_on(leak_check(run));
        prop_assert_eq!(ids, (0..).take(kinds.len()).collect::<Vec<u64>>(), "one result for each");
        let Summary { successful, failed, cancelled } = summary;
        prop_assert_eq!(successful + failed + cancelled, kinds.len());
        prop_assert_eq!(wrong, Vec::<u64>::new());
    }
}
