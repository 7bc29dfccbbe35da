use fan_out_fan_in::{Panicked, Receiver, fan_out, fan_out_ordered, generate, merge};
use model::future::block_on;
use model::sync::Arc;
use tokio::task::{JoinSet, yield_now};

use std::time::Duration;

use super::quiet_panic;

async fn all<R>(results: Receiver<R>) -> Vec<R> {
    let mut all = Vec::new();
    while let Ok(result) = results.recv().await {
        all.push(result);
    }
    all
}

async fn double(item: u64) -> u64 {
    yield_now().await;
    item * 2
}

pub fn every_item() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 1..=4, Duration::ZERO);
        let mut results = all(fan_out(&mut tasks, numbers, 2, double)).await;
        results.sort_unstable();
        assert_eq!(results, [2, 4, 6, 8]);
        tasks.join_all().await;
    });
}

pub fn ordered() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 1..=4, Duration::ZERO);
        assert_eq!(
            all(fan_out_ordered(&mut tasks, numbers, 2, double)).await,
            [2, 4, 6, 8].map(Ok)
        );
        tasks.join_all().await;
    });
}

pub fn early_stop() {
    block_on(async {
        let item = Arc::new(());
        let mut tasks = JoinSet::new();
        let items = std::iter::repeat_n(item.clone(), 4);
        let numbers = generate(&mut tasks, items, Duration::ZERO);
        let results = fan_out(&mut tasks, numbers, 2, async |item| item);
        let results = fan_out_ordered(&mut tasks, results, 2, async |item| item);
        assert!(results.recv().await.is_ok());
        drop(results);
        tasks.join_all().await;
        assert_eq!(Arc::strong_count(&item), 1, "an item is still somewhere");
    });
}

/// Fails for every second item, so that each worker may fail twice.
async fn odd(item: u64) -> u64 {
    yield_now().await;
    if item.is_multiple_of(2) {
        quiet_panic("a bad item");
    }
    item
}

pub fn panics() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 1..=5, Duration::ZERO);
        let mut results = all(fan_out(&mut tasks, numbers, 2, odd)).await;
        results.sort_unstable();
        assert_eq!(results, [1, 3, 5]);
        assert_eq!(panicked(tasks).await, 1);
    });
}

pub fn gaps() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 1..=4, Duration::ZERO);
        let results = all(fan_out_ordered(&mut tasks, numbers, 2, odd)).await;
        assert_eq!(results, [Ok(1), Err(Panicked), Ok(3), Err(Panicked)]);
        assert_eq!(panicked(tasks).await, 1);
    });
}

async fn panicked(mut tasks: JoinSet<()>) -> usize {
    let mut panics = 0;
    while let Some(ended) = tasks.join_next().await {
        panics += usize::from(ended.is_err_and(|err| err.is_panic()));
    }
    panics
}

pub fn merged() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let few = generate(&mut tasks, 1..=2, Duration::ZERO);
        let more = generate(&mut tasks, 3..=5, Duration::ZERO);
        let mut items = all(merge(&mut tasks, [few, more])).await;
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5]);
        tasks.join_all().await;
    });
}
