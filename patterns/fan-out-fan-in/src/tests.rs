use std::collections::{BTreeSet, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use leaks::leak_check;
use tokio::sync::Barrier;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

async fn all<R>(results: Receiver<R>) -> Vec<R> {
    let mut all = Vec::new();
    while let Some(result) = results.recv().await {
        all.push(result);
    }
    all
}

/// Joins everything. On the paused clock, a task that waits for ever makes it fail at once.
async fn assert_ends(tasks: JoinSet<()>) {
    timeout(HOUR, tasks.join_all()).await.expect("a task is still waiting");
}

#[tokio::test(start_paused = true)]
async fn every_item_gives_one_result_and_the_results_end() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 0..1000, Duration::ZERO);
        let results = fan_out(&mut tasks, numbers, 8, async |n| n * 2);
        let results: BTreeSet<u64> = all(results).await.into_iter().collect();
        assert_eq!(results, (0..1000).map(|n| n * 2).collect());
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_workers_are_at_work_at_the_same_time() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let meet = Arc::new(Barrier::new(3)); // passed only by three at once
        let numbers = generate(&mut tasks, 0..3, Duration::ZERO);
        let results = fan_out(&mut tasks, numbers, 3, move |_| {
            let meet = Arc::clone(&meet);
            async move { meet.wait().await.is_leader() }
        });
        assert_eq!(timeout(HOUR, all(results)).await.expect("three at once").len(), 3);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_order_is_kept_whatever_the_work_takes() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 0..1000_u64, Duration::ZERO);
        let results = fan_out_ordered(&mut tasks, numbers, 8, async |n| {
            sleep(Duration::from_millis(n * 7919 % 100)).await;
            n
        });
        assert_eq!(all(results).await, (0..1000).collect::<Vec<_>>());
        assert_ends(tasks).await;
    })
    .await;
}

/// An endless source, and how many items have been taken from it.
fn counted(tasks: &mut JoinSet<()>) -> (Receiver<usize>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let numbers = (0..).inspect(move |n| count.store(*n, Ordering::SeqCst));
    (generate(tasks, numbers, Duration::ZERO), taken)
}

#[tokio::test(start_paused = true)]
async fn a_slow_item_holds_back_the_source_when_the_order_is_kept() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let (numbers, taken) = counted(&mut tasks);
        let results = fan_out_ordered(&mut tasks, numbers, 3, async |n| {
            sleep(if n == 0 { HOUR } else { Duration::ZERO }).await;
            n
        });
        sleep(HOUR / 2).await;
        // Behind the slow item the window is full. Beside it: the slow item, and one item each with
        // the source and in its channel.
        assert_eq!(taken.load(Ordering::SeqCst), WINDOW + 2);
        for n in 0..1000 {
            assert_eq!(results.recv().await, Some(n)); // and nothing was lost
        }
        drop(results);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stands_still_holds_back_the_source() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let (numbers, taken) = counted(&mut tasks);
        let results = fan_out(&mut tasks, numbers, 3, async |n| n);
        sleep(HOUR).await;
        // The results that wait, one with each worker, one each with the source and in its channel.
        assert_eq!(taken.load(Ordering::SeqCst) + 1, RESULT_BOUND + 3 + 2);
        drop(results);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_results_stops_idle_stages_and_their_source() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let numbers = generate(&mut tasks, 0..10_u64, HOUR * 24); // all wait for the second number
        let doubled = fan_out(&mut tasks, numbers, 3, async |n| n * 2);
        let ordered = fan_out_ordered(&mut tasks, doubled, 3, async |n| n + 1);
        assert_eq!(ordered.recv().await, Some(1));
        drop(ordered);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_results_stops_work_in_progress() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let held = Arc::new(());
        let work = {
            let held = Arc::clone(&held);
            move |_| {
                let held = Arc::clone(&held);
                async move {
                    pending::<()>().await;
                    drop(held);
                }
            }
        };
        let numbers = generate(&mut tasks, 0..10, Duration::ZERO);
        let results = fan_out(&mut tasks, numbers, 3, work.clone());
        let numbers = generate(&mut tasks, 0..10, Duration::ZERO);
        let ordered = fan_out_ordered(&mut tasks, numbers, 3, work);
        sleep(HOUR).await; // all workers are at work
        drop((results, ordered));
        assert_ends(tasks).await;
        assert_eq!(Arc::strong_count(&held), 1, "work is still held");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_item_and_surfaces_at_the_join() {
    leak_check(async {
        type FanOut = fn(&mut JoinSet<()>, Receiver<i32>, usize, Work) -> Receiver<i32>;
        type Work = fn(i32) -> std::future::Ready<i32>;
        for fan_out in [fan_out as FanOut, fan_out_ordered] {
            let mut tasks = JoinSet::new();
            let numbers = generate(&mut tasks, 0..10, Duration::ZERO);
            let results = fan_out(&mut tasks, numbers, 2, |n| {
                assert_ne!(n, 3, "a bad number");
                std::future::ready(n)
            });
            let mut results = all(results).await;
            results.sort_unstable();
            assert_eq!(results, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
            let mut panics = 0;
            while let Some(ended) = tasks.join_next().await {
                panics += i32::from(ended.is_err_and(|err| err.is_panic()));
            }
            assert_eq!(panics, 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_source_stops_when_every_worker_has_panicked() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let (numbers, _) = counted(&mut tasks);
        let results = fan_out(&mut tasks, numbers, 3, async |n: usize| assert!(n == usize::MAX));
        assert_eq!(all(results).await.len(), 0);
        timeout(HOUR, async { while tasks.join_next().await.is_some() {} }).await.expect("all end");
    })
    .await;
}

/// A channel with `items` in it, and no more to come.
fn ready<T>(items: impl IntoIterator<Item = T>) -> Receiver<T> {
    let mut items: VecDeque<T> = items.into_iter().collect();
    let (sender, receiver) = channel(items.len());
    sender.force(&mut items);
    receiver
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_work_waits_gives_back_what_it_has_not_begun() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let meet = Arc::new(Barrier::new(3)); // passed only by three at once
        let results = fan_out(&mut tasks, ready(0..3), 3, move |_| {
            let meet = Arc::clone(&meet);
            async move { meet.wait().await.is_leader() }
        });
        assert_eq!(timeout(HOUR, all(results)).await.expect("three at once").len(), 3);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_that_yields_lets_another_worker_begin() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let begun = Arc::new(AtomicUsize::new(0));
        let results = fan_out(&mut tasks, ready(0..2), 2, move |_| {
            let begun = Arc::clone(&begun);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                begun.load(Ordering::Relaxed)
            }
        });
        assert_eq!(all(results).await, [2, 2]);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_does_not_wait_for_the_next_item() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let results = fan_out(&mut tasks, ready([Duration::ZERO, HOUR]), 1, async |pause| {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            pause
        });
        let first = timeout(Duration::from_secs(1), results.recv()).await;
        assert_eq!(first, Ok(Some(Duration::ZERO)));
        drop(results);
        assert_ends(tasks).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_nothing_of_what_was_taken_along() {
    leak_check(async {
        let mut tasks = JoinSet::new();
        let results = fan_out(&mut tasks, ready(0..10), 2, async |n| {
            assert_ne!(n, 3, "a bad number");
            n
        });
        let results: BTreeSet<i32> = all(results).await.into_iter().collect();
        assert_eq!(results, (0..10).filter(|n| *n != 3).collect());
        assert!(tasks.join_next().await.is_some_and(|ended| ended.is_err()));
    })
    .await;
}

#[tokio::test]
async fn workers_on_other_threads_take_one_item_each() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let meet = Arc::new(std::sync::Barrier::new(2)); // blocks its thread until both are there
    let both = threads.spawn(async move {
        let mut tasks = JoinSet::new();
        let results = fan_out(&mut tasks, ready(0..2), 2, move |_| {
            let meet = Arc::clone(&meet);
            async move { meet.wait().is_leader() }
        });
        let count = all(results).await.len();
        tasks.join_all().await;
        count
    });
    assert_eq!(both.await.unwrap(), 2);
    threads.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_gives_up_leaves_the_item_to_another() {
    leak_check(async {
        let (sender, receiver) = channel(1);
        let mut first = Box::pin(receiver.recv());
        let mut second = Box::pin(receiver.recv());
        assert!(poll_once(first.as_mut()).await.is_pending());
        assert!(poll_once(second.as_mut()).await.is_pending());
        sender.send(1).await.unwrap();
        drop(first); // it has been woken, and does not look any more
        assert_eq!(timeout(HOUR, second).await, Ok(Some(1)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_sender_and_every_receiver_hears_of_the_end() {
    leak_check(async {
        let (sender, receiver) = channel::<u8>(1);
        let mut receiving = JoinSet::new();
        for receiver in [receiver.clone(), receiver.clone(), receiver] {
            receiving.spawn(async move { assert_eq!(receiver.recv().await, None) });
        }
        yield_now().await;
        drop(sender);
        assert_ends(receiving).await;

        let (sender, receiver) = channel(1);
        sender.send(0).await.unwrap();
        let mut sending = JoinSet::new();
        for sender in [sender.clone(), sender.clone(), sender] {
            sending.spawn(async move { assert_eq!(sender.send(1).await, Err(Closed)) });
        }
        yield_now().await;
        drop(receiver);
        assert_ends(sending).await;
    })
    .await;
}

async fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut future = Some(future);
    poll_fn(|cx| Poll::Ready(future.take().expect("polled once").poll(cx))).await
}
