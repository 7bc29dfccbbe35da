//! What the stages promise to code that builds its own pipeline.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use leaks::leak_check;
use pipeline::{
    Item, Receiver, add_constant, filter, filter_even, filter_map, from_stream, generate,
    generate_blocking, map, par_map, square, stage,
};
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Lets every task run until all of them wait.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

#[leak_check]
#[tokio::test]
async fn the_chapters_stages_compose() {
    let numbers = generate((1..=10).map(Item::Ok), 1);
    let results = filter_even(add_constant(square(numbers), 10)).collect().await;
    assert_eq!(
        results.into_iter().map(Result::ok).collect::<Vec<_>>(),
        [Some(14), Some(26), Some(46), Some(74), Some(110)]
    );
}

#[leak_check]
#[tokio::test]
async fn a_stage_receives_the_items_left_after_the_first_was_read() {
    let mut numbers = generate(1..=100, 4);
    assert_eq!(numbers.next().await, Some(1));
    settle().await; // the channel is full again
    assert_eq!(map(numbers, |item| item).collect().await, (2..=100).collect::<Vec<_>>());
}

#[leak_check]
#[tokio::test]
async fn an_item_can_be_read_after_its_stage_has_ended() {
    let mut ended = generate(1..=3, 8);
    settle().await;
    for item in 1..=3 {
        assert_eq!(ended.next().await, Some(item));
    }
    assert_eq!(ended.next().await, None);
}

#[leak_check]
#[tokio::test]
async fn an_overflow_is_an_error_in_its_numbers_place() {
    let numbers = generate([2, i64::MAX, 3_037_000_499, 4].map(Item::Ok), 8);
    let results = filter_even(add_constant(square(numbers), i64::MAX - 100)).collect().await;
    let texts =
        results.into_iter().map(|item| item.map_or_else(|err| err.to_string(), |n| n.to_string()));
    let expected = [
        "9223372036854775807 * 9223372036854775807 does not fit into 64 bits",
        "9223372030926249001 + 9223372036854775707 does not fit into 64 bits",
    ];
    // 4 and 16 become odd numbers, which the filter takes out.
    assert_eq!(texts.collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_reordered(
        items in prop::collection::vec(any::<i32>(), 0..300),
        bound in 1..80_usize,
        parallel in 1..5_usize,
    ) {
        let expected: Vec<i64> = items
            .iter()
            .filter(|item| **item % 3 != 0)
            .map(|item| i64::from(*item) * 2)
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let results = runtime.block_on(async move {
            let kept = filter(generate(items, bound), |item| item % 3 != 0);
            let wide = par_map(kept, parallel, async |item| { yield_now().await; i64::from(item) });
            map(wide, |item| item * 2).collect().await
        });
        prop_assert_eq!(results, expected);
    }
}

#[leak_check]
#[tokio::test]
async fn dropping_the_receiver_stops_every_stage_even_one_that_waits_for_input() {
    let (alive, mut ended) = oneshot::channel::<()>();
    let (idle_alive, idle_ended) = oneshot::channel::<()>();
    let source = generate([1], 4);
    let idle = stage(source, move |_input, output| async move {
        let _held = (output, alive);
        pending::<()>().await;
    });
    let waits_for_input = filter_map(idle, move |item: i32| {
        let _held = &idle_alive;
        Some(item)
    });
    settle().await;
    assert!(ended.try_recv().is_err_and(|err| err == oneshot::error::TryRecvError::Empty));
    drop(waits_for_input);
    assert!(ended.await.is_err());
    assert!(idle_ended.await.is_err());
}

#[leak_check]
#[tokio::test]
async fn a_stage_that_ends_early_ends_the_stages_before_it_even_waiting_ones() {
    let waits = stage(generate([1], 4), |mut input, output| async move {
        while let Some(item) = input.recv().await {
            output.send(item).await.expect("its reader has not ended yet");
        }
        pending::<()>().await; // neither sends nor ends
    });
    let takes_one = stage(waits, |mut input, output| async move {
        let item: i32 = input.recv().await.expect("it is sent");
        output.send(item).await.expect("somebody reads");
    });
    assert_eq!(timeout(SECOND * 10, takes_one.collect()).await, Ok(vec![1]));
}

/// An endless source, and how many items it has made.
fn counted() -> (impl Iterator<Item = usize> + Send + 'static, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let items = (0..).inspect(move |_| {
        count.fetch_add(1, Relaxed);
    });
    (items, made)
}

#[leak_check]
#[tokio::test]
async fn the_bound_counts_items_and_none_is_made_without_room() {
    for bound in [1, 4, 100] {
        let (items, made) = counted();
        let mut results = generate(items, bound);
        settle().await;
        assert_eq!(made.load(Relaxed), bound);
        results.next().await; // takes all that are there
        settle().await;
        assert_eq!(made.load(Relaxed), 2 * bound);
        for _ in 1..bound {
            results.next().await;
        }
        settle().await;
        assert_eq!(made.load(Relaxed), 2 * bound, "some are still in its hands");
    }
}

#[leak_check]
#[tokio::test]
async fn a_bound_of_any_size_takes_no_memory() {
    let items = par_map(generate(0..9, usize::MAX), usize::MAX, async |item| item);
    assert_eq!(map(items, |item| item).collect().await, (0..9).collect::<Vec<_>>());
}

#[leak_check]
#[tokio::test]
async fn a_slow_reader_slows_the_source() {
    let (source, made) = counted();
    let mut results = map(generate(source, 4), |item| item);
    for read in 1..=100 {
        results.next().await;
        settle().await;
        // Two channels of 4, and what the stage and the reader have taken from them.
        assert!(made.load(Relaxed) <= read + 4 * 4, "{made:?} made, {read} read");
    }
}

/// An item each second, from a clock that a test turns.
fn ticks(count: u32) -> Receiver<u32> {
    let every_second = async |at| {
        sleep(SECOND * u32::from(at > 1)).await;
        at
    };
    from_stream(futures_util::stream::iter(1..=count).then(every_second), 1024)
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn an_item_waits_for_no_other() {
    let started = Instant::now();
    let mut results = map(map(ticks(5), |item| item), |item| item);
    for item in 1..=5 {
        assert_eq!(results.next().await, Some(item));
        assert_eq!(started.elapsed(), SECOND * (item - 1));
    }
    assert_eq!(results.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_item_can_be_received_as_soon_as_it_is_made() {
    let (sender, made) = std::sync::mpsc::channel();
    let mut results = generate(made, 1024);
    for item in 1..=5 {
        sender.send(item).unwrap();
        let received = timeout(SECOND * 10, results.next()).await;
        assert_eq!(received, Ok(Some(item)));
    }
}

#[leak_check]
#[tokio::test]
async fn a_slow_source_yields_after_each_item() {
    let (items, made) = counted();
    let slow = items.inspect(|_| std::thread::sleep(Duration::from_millis(2)));
    let mut results = generate(slow, 1024);
    for item in 0..5 {
        assert_eq!(results.next().await, Some(item));
        assert_eq!(made.load(Relaxed), item + 1, "made before the first could be read");
    }
}

/// Counts the items that are handled while no other task has its turn.
#[derive(Clone, Default)]
struct Turns(Arc<[AtomicUsize; 3]>);

impl Turns {
    fn item(&self) {
        let [all, since, most] = &*self.0;
        all.fetch_add(1, Relaxed);
        most.fetch_max(since.fetch_add(1, Relaxed) + 1, Relaxed);
    }

    fn turn(&self) {
        self.0[1].store(0, Relaxed);
    }

    /// How many items there were, and the most without a turn. Restarts the count.
    fn take(&self) -> (usize, usize) {
        (self.0[0].swap(0, Relaxed), self.0[2].swap(0, Relaxed))
    }

    async fn wait_for(&self, items: usize) {
        while self.0[0].load(Relaxed) < items {
            yield_now().await;
        }
    }
}

#[leak_check]
#[tokio::test]
async fn no_stage_and_no_reader_hogs_its_thread() {
    const ITEMS: usize = 100_000;
    let turns = Turns::default();
    let (other, source, stage) = (turns.clone(), turns.clone(), turns.clone());
    let other = tokio::spawn(async move {
        loop {
            other.turn();
            yield_now().await;
        }
    });
    let assert_fair = |what| {
        let (items, most) = turns.take();
        assert!(items >= ITEMS);
        assert!(most <= 1024, "{what}: {most} items without a turn of another task");
    };

    let items = generate((0..2 * ITEMS).inspect(move |_| source.item()), 2 * ITEMS);
    turns.wait_for(2 * ITEMS).await;
    assert_fair("generate");

    let mut items = map(items, move |_| stage.item());
    turns.wait_for(2 * ITEMS).await;
    assert_fair("map");

    let (source, stage) = (turns.clone(), turns.clone());
    let ready = generate((0..ITEMS).inspect(move |_| source.item()), ITEMS);
    turns.wait_for(ITEMS).await;
    turns.take();
    let nothing = filter(ready, move |_| {
        stage.item();
        false
    });
    assert!(nothing.collect().await.is_empty());
    assert_fair("filter");

    for _ in 0..ITEMS {
        items.next().await;
        turns.item();
    }
    assert_fair("next");
    while let Some(chunk) = items.next_chunk().await {
        chunk.for_each(|()| turns.item());
    }
    assert_fair("next_chunk");
    other.abort();
    assert!(other.await.is_err());
}

#[leak_check]
#[tokio::test]
async fn a_panic_in_map_loses_no_earlier_result() {
    let mut results = map(generate(0..100, 64), |item| {
        assert_ne!(item, 50, "a bad item");
        item
    });
    let (sender, mut read) = tokio::sync::mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        while let Some(item) = results.next().await {
            sender.send(item).unwrap();
        }
    });
    assert!(reader.await.expect_err("it panics").is_panic());
    let mut items = Vec::new();
    read.recv_many(&mut items, 100).await;
    assert_eq!(items, (0..50).collect::<Vec<_>>());
}

#[leak_check]
#[tokio::test]
async fn a_panic_in_a_stage_resumes_in_the_reader() {
    let failing = map(generate(1..=3, 1), |item| {
        assert_ne!(item, 3, "a bad item");
        item
    });
    let reader = tokio::spawn(map(failing, |item| item).collect());
    let panic = reader.await.expect_err("the reader panics").into_panic();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("a bad item")));
}

#[leak_check]
#[tokio::test]
async fn a_panic_in_a_parallel_item_resumes_in_the_reader_after_earlier_results() {
    let mut failing = par_map(generate(1..=9, 1), 4, async |item| {
        assert_ne!(item, 3, "a bad item");
        item
    });
    assert_eq!(failing.next().await, Some(1));
    assert_eq!(failing.next().await, Some(2));
    let panic = tokio::spawn(failing.collect()).await.expect_err("it panics").into_panic();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("a bad item")));
}

#[leak_check]
#[tokio::test]
async fn where_there_are_no_items_there_are_no_results() {
    let none = par_map(map(generate(Vec::<i32>::new(), 4), |item| item), 4, async |item| item);
    assert!(none.collect().await.is_empty());
}

#[leak_check]
#[tokio::test]
async fn the_first_error_can_end_the_whole_pipeline() {
    let (items, made) = counted();
    let checked = par_map(generate(items, 4), 2, async |item| {
        if item < 10 { Ok(item) } else { Err(format!("{item} is too large")) }
    });
    let results: Result<Vec<_>, _> = map(checked, |item| item).try_collect().await;
    assert_eq!(results, Err("10 is too large".to_owned()));
    settle().await;
    let after = made.load(Relaxed);
    settle().await;
    assert_eq!(made.load(Relaxed), after, "the source has ended");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn parallel_items_overlap_up_to_the_limit_and_keep_their_order() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (count, peak) = (running, most.clone());
    let items = generate(1..=9_u32, 16);
    let started = Instant::now();
    let results = par_map(items, 3, move |item| {
        let (count, peak) = (count.clone(), peak.clone());
        async move {
            peak.fetch_max(count.fetch_add(1, Relaxed) + 1, Relaxed);
            sleep(SECOND * (4 - item % 3)).await; // the first of three takes the longest
            count.fetch_sub(1, Relaxed);
            item
        }
    });
    assert_eq!(results.collect().await, (1..=9).collect::<Vec<_>>());
    assert_eq!(most.load(Relaxed), 3);
    assert!(started.elapsed() < SECOND * 27, "one after another it takes 27 seconds");
}

#[leak_check]
#[tokio::test]
async fn dropping_the_receiver_aborts_parallel_items() {
    let (alive, ended) = oneshot::channel::<()>();
    let alive = Arc::new(alive);
    let items = generate(1..=2, 1);
    let stuck = par_map(items, 2, move |_| {
        let held = alive.clone();
        async move {
            let _held = held;
            pending::<()>().await;
        }
    });
    settle().await;
    drop(stuck);
    assert!(ended.await.is_err());
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_stream_is_a_source_and_a_receiver_is_a_stream() {
    let both = futures_util::stream::select(ticks(3), map(ticks(3), |item| item * 10));
    let mut items: Vec<_> = from_stream(both, 1).collect().await;
    items.sort_unstable();
    assert_eq!(items, [1, 2, 3, 10, 20, 30]);
}

#[leak_check]
#[tokio::test]
async fn a_stream_that_waits_is_dropped_with_the_receiver() {
    let (alive, ended) = oneshot::channel::<()>();
    let waits = futures_util::stream::once(async move {
        let _held = alive;
        pending::<()>().await;
    });
    let idle = map(from_stream(waits, 1), |()| ());
    settle().await;
    drop(idle);
    assert!(ended.await.is_err());
}

#[leak_check]
#[tokio::test]
async fn a_panic_in_a_stream_resumes_in_the_reader() {
    let failing = map(generate(1..=3, 1), |item| {
        assert_ne!(item, 2, "a bad item");
        item
    });
    let again = from_stream(failing, 1);
    assert!(tokio::spawn(again.collect()).await.expect_err("it panics").is_panic());
}

#[test]
fn a_blocking_source_ends_with_its_runtime() {
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let full = runtime.block_on(async {
            let mut numbers = generate_blocking(0.., 4);
            assert_eq!(numbers.next().await, Some(0));
            numbers
        });
        drop(runtime); // waits for its threads, even for one that waits for room
        sender.send(full).unwrap();
    });
    assert!(ended.recv_timeout(SECOND * 20).is_ok(), "the runtime waits for its thread for ever");
}

// Without the leak check: the runtime keeps the thread of a blocking source for some seconds.
#[tokio::test]
async fn a_blocking_source_makes_no_item_that_nobody_would_read() {
    let (asked, asking) = std::sync::mpsc::channel();
    let (answer, answers) = std::sync::mpsc::channel();
    let items = std::iter::from_fn(move || {
        asked.send(()).unwrap();
        answers.recv().ok()
    });
    let mut numbers = generate_blocking(items, 1024);
    answer.send(1).unwrap();
    assert_eq!(numbers.next().await, Some(1));
    asking.recv().unwrap();
    asking.recv().unwrap(); // it blocks in the second
    drop(numbers);
    answer.send(2).unwrap();
    assert!(asking.recv().is_err(), "it was asked for a third item");
}

#[leak_check]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_items_cross_two_threads() {
    let numbers = generate(0..1_000_000_u64, 64);
    let mut results: Receiver<u64> = map(map(numbers, |item| item + 1), |item| item * 2);
    let (mut count, mut sum) = (0_u64, 0);
    while let Some(chunk) = results.next_chunk().await {
        for item in chunk {
            count += 1;
            sum += item;
        }
    }
    assert_eq!((count, sum), (1_000_000, 1_000_001_000_000));
}
