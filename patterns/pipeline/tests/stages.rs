//! What the stages promise to whoever builds a pipeline of their own.

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use leaks::leak_check;
use pipeline::{
    Item, Limits, Receiver, add_constant, chunk_channel, filter, filter_even, filter_map, generate,
    map, par_map, pause, square, stage,
};
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn limits(buffer: usize, chunk: usize) -> Limits {
    let limit = |items| NonZeroUsize::new(items).expect("limits start at 1");
    Limits { buffer: limit(buffer), chunk: limit(chunk) }
}

/// Lets every task run until all of them wait.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

#[tokio::test]
async fn the_chapters_stages_compose() {
    leak_check(async {
        let numbers = generate((1..=10).map(Item::Ok), limits(1, 1));
        let results = filter_even(add_constant(square(numbers), 10)).collect().await;
        assert_eq!(
            results.into_iter().map(Result::ok).collect::<Vec<_>>(),
            [Some(14), Some(26), Some(46), Some(74), Some(110)]
        );
    })
    .await;
}

#[tokio::test]
async fn a_stage_gets_what_is_left_after_a_first_item_has_been_read() {
    leak_check(async {
        let mut numbers = generate(1..=100, limits(4, 4));
        assert_eq!(numbers.next().await, Some(1));
        settle().await; // the channel is full again
        assert_eq!(map(numbers, |item| item).collect().await, (2..=100).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn an_overflow_is_an_error_in_its_numbers_place() {
    leak_check(async {
        let numbers = generate([2, i64::MAX, 3_037_000_499, 4].map(Item::Ok), limits(8, 8));
        let results = filter_even(add_constant(square(numbers), i64::MAX - 100)).collect().await;
        let texts = results
            .into_iter()
            .map(|item| item.map_or_else(|err| err.to_string(), |n| n.to_string()));
        let expected = [
            "9223372036854775807 * 9223372036854775807 does not fit into 64 bits",
            "9223372030926249001 + 9223372036854775707 does not fit into 64 bits",
        ];
        // 4 and 16 become odd numbers, which the filter takes out.
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_reordered(
        items in prop::collection::vec(any::<i32>(), 0..300),
        buffer in 1..80_usize,
        chunk in 1..80_usize,
        parallel in 1..5_usize,
    ) {
        let expected: Vec<i64> = items
            .iter()
            .filter(|item| **item % 3 != 0)
            .map(|item| i64::from(*item) * 2)
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let results = runtime.block_on(async move {
            let kept = filter(generate(items, limits(buffer, chunk)), |item| item % 3 != 0);
            let parallel = NonZeroUsize::new(parallel).unwrap();
            let wide = par_map(kept, parallel, async |item| { yield_now().await; i64::from(item) });
            map(wide, |item| item * 2).collect().await
        });
        prop_assert_eq!(results, expected);
    }
}

#[tokio::test]
async fn dropping_the_receiver_stops_every_stage_also_one_that_waits_for_input() {
    leak_check(async {
        let (alive, mut ended) = oneshot::channel::<()>();
        let (idle_alive, idle_ended) = oneshot::channel::<()>();
        let source = generate([1], limits(4, 4));
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
    })
    .await;
}

#[tokio::test]
async fn a_stage_that_ends_early_ends_those_before_it_also_one_that_waits() {
    leak_check(async {
        let waits = stage(generate([1], limits(4, 4)), |mut input, mut output| async move {
            let mut chunk = VecDeque::new();
            while input.recv_all(&mut chunk).await {
                output.send_all(&mut chunk).await.expect("its reader has not ended yet");
            }
            pending::<()>().await; // neither sends nor ends
        });
        let takes_one = stage(waits, |mut input, mut output| async move {
            let mut chunk = VecDeque::new();
            input.recv_all(&mut chunk).await;
            output.send_all(&mut chunk).await.expect("somebody reads");
        });
        assert_eq!(timeout(SECOND * 10, takes_one.collect()).await, Ok(vec![1]));
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_source() {
    leak_check(async {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let source = (0..1_000_000).inspect(move |_| {
            count.fetch_add(1, Relaxed);
        });
        let mut results = map(generate(source, limits(4, 2)), |item| item);
        for read in 1..=100 {
            results.next().await;
            settle().await;
            // Two channels of 4, and a chunk of 2 in the hands of each stage and of the reader.
            assert!(made.load(Relaxed) <= read + 2 * 4 + 3 * 2, "{made:?} made, {read} read");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_item_never_waits_for_a_chunk_to_fill() {
    leak_check(async {
        let started = Instant::now();
        let items = pause(generate(1..=5, limits(1024, 1024)), "rest", SECOND);
        let mut results = map(map(items, |item| item), |item| item);
        for item in 1..=5 {
            assert_eq!(results.next().await, Some(item));
            assert_eq!(started.elapsed(), SECOND * (item - 1));
        }
        assert_eq!(results.next().await, None);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_stage_goes_on_in_the_reader() {
    leak_check(async {
        let failing = map(generate(1..=3, limits(1, 1)), |item| {
            assert_ne!(item, 3, "a bad item");
            item
        });
        let reader = tokio::spawn(map(failing, |item| item).collect());
        let panic = reader.await.expect_err("the reader panics").into_panic();
        assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("a bad item")));
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_parallel_item_goes_on_in_the_reader() {
    leak_check(async {
        let four = NonZeroUsize::new(4).unwrap();
        let failing = par_map(generate(1..=9, limits(1, 1)), four, async |item| {
            assert_ne!(item, 3, "a bad item");
        });
        assert!(tokio::spawn(failing.collect()).await.expect_err("it panics").is_panic());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn parallel_items_overlap_up_to_the_limit_and_keep_their_order() {
    leak_check(async {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (count, peak) = (running, most.clone());
        let items = generate(1..=9_u32, limits(16, 16));
        let started = Instant::now();
        let results = par_map(items, NonZeroUsize::new(3).unwrap(), move |item| {
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
    })
    .await;
}

#[tokio::test]
async fn dropping_the_receiver_aborts_parallel_items() {
    leak_check(async {
        let (alive, ended) = oneshot::channel::<()>();
        let alive = Arc::new(alive);
        let items = generate(1..=2, limits(1, 1));
        let stuck = par_map(items, NonZeroUsize::new(2).unwrap(), move |_| {
            let held = alive.clone();
            async move {
                let _held = held;
                pending::<()>().await;
            }
        });
        settle().await;
        drop(stuck);
        assert!(ended.await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_send_that_is_given_up_keeps_what_was_not_sent() {
    leak_check(async {
        let (mut sender, mut receiver) = chunk_channel(limits(2, 8));
        let mut chunk = VecDeque::from([1, 2, 3, 4, 5]);
        tokio::select! {
            biased;
            _ = sender.send_all(&mut chunk) => panic!("there is room for two only"),
            () = async {} => {}
        }
        assert_eq!(chunk, [3, 4, 5]);
        let mut taken = VecDeque::new();
        assert!(receiver.recv_all(&mut taken).await);
        assert_eq!(taken, [1, 2]);
        drop(receiver);
        assert!(sender.send_all(&mut chunk).await.is_err());
        assert_eq!(chunk, [3, 4, 5]);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_gets_what_was_sent_before_the_sender_was_dropped() {
    leak_check(async {
        let (mut sender, mut receiver) = chunk_channel(limits(8, 2));
        sender.send_all(&mut VecDeque::from([1, 2, 3])).await.unwrap();
        drop(sender);
        let mut taken = VecDeque::new();
        while receiver.recv_all(&mut taken).await {}
        assert_eq!(taken, [1, 2, 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_items_cross_two_threads() {
    leak_check(async {
        let numbers = generate(0..1_000_000_u64, limits(64, 64));
        let mut results: Receiver<u64> = map(map(numbers, |item| item + 1), |item| item * 2);
        let (mut count, mut sum) = (0_u64, 0);
        while let Some(chunk) = results.next_chunk().await {
            for item in chunk {
                count += 1;
                sum += item;
            }
        }
        assert_eq!((count, sum), (1_000_000, 1_000_001_000_000));
    })
    .await;
}
