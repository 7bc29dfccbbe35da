use std::collections::BTreeSet;
use std::future::{Ready, pending, ready};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{
    TryStreamExt,
    stream::{self, StreamExt},
};
use leaks::leak_check;
use tokio::sync::Barrier;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

async fn all<R>(results: Receiver<R>) -> Vec<R> {
    let mut all = Vec::new();
    while let Ok(result) = results.recv().await {
        all.push(result);
    }
    all
}

/// Joins everything. On the paused clock, a task that waits for ever makes it fail at once.
async fn assert_ends(tasks: JoinSet<()>) {
    timeout(HOUR, tasks.join_all()).await.expect("a task is still waiting");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn every_item_gives_one_result_and_the_results_end() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..1000, Duration::ZERO);
    let results = fan_out(&mut tasks, numbers, 8, async |n| n * 2);
    let results: BTreeSet<u64> = all(results).await.into_iter().collect();
    assert_eq!(results, (0..1000).map(|n| n * 2).collect());
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn all_workers_are_at_work_at_the_same_time() {
    let mut tasks = JoinSet::new();
    let meet = Arc::new(Barrier::new(3)); // opens for three at once
    let numbers = generate(&mut tasks, 0..3, Duration::ZERO);
    let results = fan_out(&mut tasks, numbers, 3, move |_| {
        let meet = Arc::clone(&meet);
        async move { meet.wait().await.is_leader() }
    });
    assert_eq!(timeout(HOUR, all(results)).await.expect("three at once").len(), 3);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_order_is_kept_whatever_the_work_takes() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..1000_u64, Duration::ZERO);
    let results = fan_out_ordered(&mut tasks, numbers, 8, async |n| {
        sleep(Duration::from_millis(n * 7919 % 100)).await;
        n
    });
    assert_eq!(all(results).await, (0..1000).map(Ok).collect::<Vec<_>>());
    assert_ends(tasks).await;
}

#[test]
fn a_source_without_pauses_needs_no_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap(); // it has none
    let numbers = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        all(generate(&mut tasks, 0..1000, Duration::ZERO)).await
    });
    assert_eq!(numbers.len(), 1000);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn several_streams_become_one_in_the_order_in_which_items_are_ready() {
    let mut tasks = JoinSet::new();
    let often = generate(&mut tasks, 0..6, HOUR);
    let seldom = generate(&mut tasks, 10..12, HOUR * 4);
    let merged = merge(&mut tasks, [often, seldom]);
    assert_eq!(all(merged).await.len(), 8);
    assert_ends(tasks).await;

    let mut tasks = JoinSet::new();
    let slow = stream::once(sleep(HOUR)).map(|()| "slow").boxed();
    let merged = merge(&mut tasks, [slow, stream::iter(["fast"]).boxed()]);
    assert_eq!(all(merged).await, ["fast", "slow"]);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn merging_no_streams_ends_at_once() {
    let mut tasks = JoinSet::new();
    let merged = merge(&mut tasks, [] as [Receiver<()>; 0]);
    assert_eq!(timeout(HOUR, all(merged)).await, Ok(vec![]));
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn workers_that_get_no_item_end_with_the_others() {
    let mut tasks = JoinSet::new();
    let few = generate(&mut tasks, 0..3, Duration::ZERO);
    let none = generate(&mut tasks, 0..0, Duration::ZERO);
    let few = fan_out_ordered(&mut tasks, few, 100, async |n| n);
    let none = fan_out(&mut tasks, none, 100, async |n| n);
    assert_eq!(all(few).await, [Ok(0), Ok(1), Ok(2)]);
    assert!(all(none).await.is_empty());
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn all_errors_can_be_collected_or_the_first_can_end_the_run() {
    let odd = async |n: u64| if n % 2 == 1 { Ok(n) } else { Err(n) };
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..10, Duration::ZERO);
    let results = all(fan_out_ordered(&mut tasks, numbers, 3, odd)).await;
    let failed: Vec<_> =
        results.into_iter().filter_map(|n| n.expect("none panics").err()).collect();
    assert_eq!(failed, [0, 2, 4, 6, 8]);

    let endless = generate(&mut tasks, 1.., Duration::ZERO);
    let results: Result<Vec<_>, _> = fan_out(&mut tasks, endless, 3, odd).try_collect().await;
    assert_eq!(results.map(|_| ()), Err(2));
    assert_ends(tasks).await; // nobody reads on
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn dropping_what_was_merged_stops_idle_streams() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..10, HOUR * 24);
    let waits = from_stream(&mut tasks, stream::pending());
    let merged = merge(&mut tasks, [numbers, waits]);
    assert_eq!(merged.recv().await, Ok(0));
    drop(merged);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn results_are_a_stream() {
    let mut tasks = JoinSet::new();
    let numbers = from_stream(&mut tasks, stream::iter(0..100));
    let results = fan_out_ordered(&mut tasks, numbers, 3, async |n| n * 2);
    let results: Result<Vec<_>, Panicked> = results.try_collect().await;
    assert_eq!(results, Ok((0..100).map(|n| n * 2).collect()));
    assert_ends(tasks).await;
}

/// Counts the items that are handled while no other task has its turn, and reads the results at
/// once, so that nobody ever waits for room.
#[derive(Clone, Default)]
struct Turns(Arc<(AtomicUsize, AtomicUsize, OnceLock<Receiver<usize>>)>);

impl Turns {
    fn item(&self) {
        let (since, most, results) = &*self.0;
        most.fetch_max(since.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _ = results.get().and_then(|results| results.try_recv().ok());
    }

    async fn of(&self, results: Receiver<usize>, tasks: JoinSet<()>) -> usize {
        self.0.2.set(results).expect("there are results once");
        tokio::select! {
            _ = tasks.join_all() => {}
            () = async {
                loop {
                    self.0.0.store(0, Ordering::SeqCst);
                    yield_now().await;
                }
            } => {}
        }
        self.0.1.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn neither_a_worker_nor_a_source_hogs_its_thread() {
    const ITEMS: usize = 100_000;
    fn ready() -> Receiver<usize> {
        let (sender, input) = bounded(ITEMS);
        (0..ITEMS).for_each(|n| assert!(sender.try_send(n).is_ok()));
        input
    }
    type FanOut = fn(&mut JoinSet<()>, Turns) -> Receiver<usize>;
    let stages: [(&str, FanOut); 3] = [
        ("worker", |tasks, turns| {
            let input = ready();
            fan_out(tasks, input, 1, move |n| {
                turns.item();
                std::future::ready(n)
            })
        }),
        ("merge", |tasks, turns| merge(tasks, [ready().inspect(move |_| turns.item())])),
        ("source", |tasks, turns| {
            from_stream(tasks, stream::iter(0..ITEMS).inspect(move |_| turns.item()))
        }),
    ];
    for (what, stage) in stages {
        let (turns, mut tasks) = (Turns::default(), JoinSet::new());
        let results = stage(&mut tasks, turns.clone());
        let most = turns.of(results, tasks).await;
        assert!((1..=1024).contains(&most), "{what}: {most} items without a turn of another task");
    }
}

/// An endless source, and how many items have been taken from it.
fn counted(tasks: &mut JoinSet<()>) -> (Receiver<usize>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let numbers = (0..).inspect(move |n| count.store(*n, Ordering::SeqCst));
    (generate(tasks, numbers, Duration::ZERO), taken)
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_slow_item_holds_back_the_source_when_the_order_is_kept() {
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
        assert_eq!(results.recv().await, Ok(Ok(n))); // and nothing was lost
    }
    drop(results);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_reading_holds_back_the_source() {
    let mut tasks = JoinSet::new();
    let (numbers, taken) = counted(&mut tasks);
    let results = fan_out(&mut tasks, numbers, 3, async |n| n);
    sleep(HOUR).await;
    // The results that wait, one with each worker, one each with the source and in its channel.
    assert_eq!(taken.load(Ordering::SeqCst) + 1, RESULT_BOUND + 3 + 2);
    drop(results);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn dropping_the_results_stops_idle_stages_and_their_source() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..10_u64, HOUR * 24); // all wait for the second number
    let doubled = fan_out(&mut tasks, numbers, 3, async |n| n * 2);
    let ordered = fan_out_ordered(&mut tasks, doubled, 3, async |n| n + 1);
    assert_eq!(ordered.recv().await, Ok(Ok(1)));
    drop(ordered);
    assert_ends(tasks).await;
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn dropping_the_results_stops_work_in_progress() {
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
}

/// Joins everything, and counts the panics.
async fn panics(mut tasks: JoinSet<()>) -> usize {
    let mut panics = 0;
    while let Some(ended) = tasks.join_next().await {
        panics += usize::from(ended.is_err_and(|err| err.is_panic()));
    }
    panics
}

fn not_by_ten(n: usize) -> Ready<usize> {
    if n.is_multiple_of(10) {
        resume_unwind(Box::new("planned")); // prints nothing on stderr
    }
    ready(n)
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_item_and_no_worker_and_surfaces_at_the_join() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..1000, Duration::ZERO);
    let mut results = all(fan_out(&mut tasks, numbers, 3, not_by_ten)).await;
    results.sort_unstable();
    assert_eq!(results, (0..1000).filter(|n| n % 10 != 0).collect::<Vec<_>>());
    assert_eq!(panics(tasks).await, 1);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_panic_leaves_a_gap_in_the_order() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..1000, Duration::ZERO);
    let results = all(fan_out_ordered(&mut tasks, numbers, 3, not_by_ten)).await;
    let expected = (0..1000).map(|n| if n % 10 == 0 { Err(Panicked) } else { Ok(n) });
    assert_eq!(results, expected.collect::<Vec<_>>());
    assert_eq!(panics(tasks).await, 1);
}

/// A panic's payload whose drop panics as well.
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        resume_unwind(Box::new("once more"));
    }
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_payload_that_panics_when_it_is_dropped_costs_nothing_else() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..10, Duration::ZERO);
    let results = fan_out(&mut tasks, numbers, 2, async |n| {
        if n < 3 {
            resume_unwind(Box::new(Again));
        }
        n
    });
    assert_eq!(all(results).await.len(), 7);
    let panic = tasks.join_next().await.expect("the source");
    assert!(panic.is_ok());
    let panic = tasks.join_next().await.expect("the stage").expect_err("it panicked");
    std::mem::forget(panic.into_panic());
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn work_that_always_panics_ends_with_the_input() {
    let mut tasks = JoinSet::new();
    let numbers = generate(&mut tasks, 0..100, Duration::ZERO);
    let results =
        fan_out(&mut tasks, numbers, 3, |_| -> Ready<()> { resume_unwind(Box::new("planned")) });
    assert_eq!(all(results).await.len(), 0);
    assert_eq!(timeout(HOUR, panics(tasks)).await, Ok(1));
}

/// A channel with `items` in it, and no more to come.
fn sent<T, const N: usize>(items: [T; N]) -> Receiver<T> {
    let (sender, receiver) = bounded(N);
    for item in items {
        assert!(sender.try_send(item).is_ok(), "there is room");
    }
    receiver
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_result_does_not_wait_for_the_next_item() {
    let mut tasks = JoinSet::new();
    let results = fan_out(&mut tasks, sent([Duration::ZERO, HOUR]), 1, async |pause| {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        pause
    });
    let first = timeout(Duration::from_secs(1), results.recv()).await;
    assert_eq!(first, Ok(Ok(Duration::ZERO)));
    drop(results);
    assert_ends(tasks).await;
}
