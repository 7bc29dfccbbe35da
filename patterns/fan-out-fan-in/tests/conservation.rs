//! Nothing is lost: an item gives a result, panics, or is dropped by an early stop.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use fan_out_fan_in::{Panicked, fan_out, fan_out_ordered, generate};
use futures_util::StreamExt;
use leaks::leak_check;
use proptest::prelude::*;
use tokio::task::{JoinSet, yield_now};

/// An item's number, and a token that shows whether the item is still alive.
type Tracked = (usize, Arc<()>);

/// The outcome of a run.
#[derive(Debug)]
struct Ended {
    results: Vec<usize>,
    gaps: usize,
    panics: usize,
    held: usize,
}

async fn run(bad: Vec<bool>, workers: usize, ordered: bool, stop_after: Option<usize>) -> Ended {
    let held = Arc::new(());
    let mut tasks = JoinSet::new();
    let items: Vec<Tracked> = (0..bad.len()).map(|at| (at, held.clone())).collect();
    let items = generate(&mut tasks, items.into_iter(), Duration::ZERO);
    let work = move |item: Tracked| {
        let bad = bad[item.0];
        async move {
            for _ in 0..item.0 % 3 {
                yield_now().await;
            }
            if bad {
                resume_unwind(Box::new("planned")); // prints nothing on stderr
            }
            item
        }
    };
    let mut output = if ordered {
        fan_out_ordered(&mut tasks, items, workers, work).boxed()
    } else {
        fan_out(&mut tasks, items, workers, work).map(Ok).boxed()
    };
    let (mut results, mut gaps) = (Vec::new(), 0);
    while stop_after.is_none_or(|stop| results.len() < stop)
        && let Some(result) = output.next().await
    {
        match result {
            Ok((item, _held)) => results.push(item),
            Err(Panicked) => gaps += 1,
        }
    }
    drop(output);
    let mut panics = 0;
    while let Some(ended) = tasks.join_next().await {
        panics += usize::from(ended.is_err_and(|err| err.is_panic()));
    }
    Ended { results, gaps, panics, held: Arc::strong_count(&held) - 1 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn items_in_are_results_and_panicked_and_cancelled(
        bad in prop::collection::vec(prop::bool::weighted(0.05), 0..100),
        workers in 1..6_usize,
        ordered in any::<bool>(),
        stop_after in prop::option::of(0..100_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let run = run(bad.clone(), workers, ordered, stop_after);
        let ended = runtime.block_on(leak_check(run));
        prop_assert_eq!(ended.held, 0, "what was cancelled has been dropped");

        let mut results = ended.results.clone();
        results.sort_unstable();
        prop_assert!(!ordered || results == ended.results, "the order: {:?}", ended);
        results.dedup();
        prop_assert_eq!(results.len(), ended.results.len(), "none twice: {:?}", ended);
        prop_assert!(results.iter().all(|item| !bad[*item]), "{:?}", ended);

        let panicked = bad.iter().filter(|bad| **bad).count();
        let to_its_end = stop_after.is_none_or(|stop| stop > bad.len() - panicked);
        if to_its_end {
            prop_assert_eq!(ended.results.len() + panicked, bad.len(), "{:?}", ended);
            prop_assert_eq!(ended.gaps, if ordered { panicked } else { 0 }, "{:?}", ended);
            prop_assert_eq!(ended.panics, usize::from(panicked > 0), "it is told: {:?}", ended);
        }
    }
}
