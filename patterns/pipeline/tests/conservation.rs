//! Nothing is lost: an item is read, fails, or is dropped by an early stop or a panic.

use std::panic::resume_unwind;
use std::sync::Arc;

use leaks::leak_check;
use pipeline::{Receiver, filter_map, generate, map, par_map};
use proptest::prelude::*;
use tokio::task::yield_now;

/// An item's number, and a token that shows whether the item is still alive.
type Tracked = (usize, Arc<()>);

/// A stage of a pipeline.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Map,
    /// Takes out every item that this number divides.
    Fails(usize),
    /// Works on this many items at once.
    Parallel(usize),
    /// Panics at this item.
    Panics(usize),
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        3 => Just(Stage::Map),
        3 => (2..9_usize).prop_map(Stage::Fails),
        3 => (1..5_usize).prop_map(Stage::Parallel),
        1 => (0..200_usize).prop_map(Stage::Panics),
    ]
}

fn add(input: Receiver<Tracked>, stage: Stage) -> Receiver<Tracked> {
    match stage {
        Stage::Map => map(input, |item| item),
        Stage::Fails(by) => filter_map(input, move |item| (item.0 % by != 0).then_some(item)),
        Stage::Parallel(limit) => par_map(input, limit, async |item| {
            yield_now().await;
            item
        }),
        Stage::Panics(at) => map(input, move |item: Tracked| {
            if item.0 == at {
                resume_unwind(Box::new("planned")); // prints nothing on stderr
            }
            item
        }),
    }
}

/// What a stage lets through, one item after the other.
fn kept(item: usize, stages: &[Stage]) -> bool {
    !stages.iter().any(|stage| matches!(stage, Stage::Fails(by) if item.is_multiple_of(*by)))
}

/// Reads `stop_after` items at most, in a task of its own, where a panic of a stage resumes.
async fn read(mut output: Receiver<Tracked>, stop_after: Option<usize>) -> (Vec<usize>, bool) {
    let reader = tokio::spawn(async move {
        let mut items = Vec::new();
        while stop_after.is_none_or(|stop| items.len() < stop) {
            match output.next().await {
                Some((item, _held)) => items.push(item),
                None => break,
            }
        }
        items
    });
    match reader.await {
        Ok(items) => (items, false),
        Err(err) => {
            assert!(err.is_panic(), "nobody aborts it");
            (Vec::new(), true)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn items_in_are_read_and_failed_and_cancelled(
        items in 0..200_usize,
        bound in 1..40_usize,
        stages in prop::collection::vec(stage(), 0..5),
        stop_after in prop::option::of(0..200_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let held = Arc::new(());
        let made: Vec<Tracked> = (0..items).map(|at| (at, held.clone())).collect();
        let (read, panicked) = runtime.block_on(leak_check(async {
            let output = stages.iter().fold(generate(made, bound), |input, at| add(input, *at));
            read(output, stop_after).await
        }));
        let expected = (0..items).filter(|item| kept(*item, &stages));
        let expected: Vec<_> = expected.take(stop_after.unwrap_or(usize::MAX)).collect();
        let may_panic = stages.iter().any(|stage| matches!(stage, Stage::Panics(at) if *at < items));
        if panicked {
            prop_assert!(may_panic);
        } else {
            prop_assert_eq!(read, expected, "all, in their order");
        }
        prop_assert_eq!(Arc::strong_count(&held), 1, "the others have been dropped");
    }
}
