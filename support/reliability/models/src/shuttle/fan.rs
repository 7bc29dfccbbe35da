use fan_out_fan_in::{Receiver, channel, fan_out, fan_out_ordered, generate};
use model::future::block_on;
use model::sync::Arc;
use tokio::task::{JoinSet, yield_now};

use std::time::Duration;

use super::quiet_panic;

async fn all(results: Receiver<u64>) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(result) = results.recv().await {
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
        assert_eq!(all(fan_out_ordered(&mut tasks, numbers, 2, double)).await, [2, 4, 6, 8]);
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
        assert!(results.recv().await.is_some());
        drop(results);
        tasks.join_all().await;
        assert_eq!(Arc::strong_count(&item), 1, "an item is still somewhere");
    });
}

pub fn panics() {
    block_on(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 1..=4, Duration::ZERO);
        let results = fan_out(&mut tasks, numbers, 2, async |item| {
            yield_now().await;
            if item == 2 {
                quiet_panic("a bad item");
            }
            item
        });
        let mut results = all(results).await;
        results.sort_unstable();
        assert_eq!(results, [1, 3, 4]);
        let mut panics = 0;
        while let Some(ended) = tasks.join_next().await {
            panics += usize::from(ended.is_err_and(|err| err.is_panic()));
        }
        assert_eq!(panics, 1);
    });
}

pub fn given_up() {
    block_on(async {
        let (sender, receiver) = channel(1);
        let other = receiver.clone();
        let waiting = tokio::spawn(async move {
            tokio::select! {
                biased;
                item = receiver.recv() => item,
                () = yield_now() => None, // it may have been woken by now
            }
        });
        let staying = tokio::spawn(async move { other.recv().await });
        assert!(sender.send(7).await.is_ok());
        let taken = waiting.await.expect("it does not panic");
        if taken.is_some() {
            drop(sender); // nothing is left
        }
        let left = staying.await.expect("it does not panic"); // it ends
        assert_eq!([taken, left].iter().flatten().collect::<Vec<_>>(), [&7]);
    });
}
