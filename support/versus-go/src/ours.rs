use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Cause, Context};
use creating::in_tasks;
use fan_out_fan_in::{Receiver, bounded, fan_out};
use pipeline::{filter, generate, map};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;
use wait_group::TaskGroup;
use worker_pool::{Bounds, WorkerPool};

use crate::row::Run;
use performance::peak_memory;

const NAP: Duration = Duration::from_millis(10);

/// Most items between two tasks: as many as fit into Go's channels.
pub(super) const CAPACITY: usize = 64;

/// Most jobs that wait for a worker of a pool: enough that its threads seldom go to sleep.
pub(super) const LONG_QUEUE: usize = 1024;

/// Items that are handed over at once, where the row's contract is a batch.
const CHUNK: u64 = 1024;

/// Tasks that are spawned or woken in a row before they get a turn.
const BURST: u64 = 128;

/// How many tasks run before the runtime looks at its timer and at tasks that have yielded: more
/// than a burst, or tasks would pile up.
const TASKS_A_TURN: u32 = 512;

/// `n` tasks that do nothing, in a group that is waited for.
pub(super) fn spawn(n: u64) -> Run {
    grouped(n, |done| async {
        done.fetch_add(1, Ordering::Relaxed);
    })
}

/// `n` tasks that sleep, all at once.
pub(super) fn sleeping(n: u64) -> Run {
    grouped(n, |done| async {
        sleep(NAP).await;
        done.fetch_add(1, Ordering::Relaxed);
    })
}

fn grouped<F>(n: u64, work: impl Fn(&'static AtomicU64) -> F) -> Run
where
    F: Future<Output = ()> + Send + 'static,
{
    on_one_thread(measure(async || {
        let done: &AtomicU64 = Box::leak(Box::default()); // for all tasks, as on the other side
        let mut group = TaskGroup::new();
        spawn_all(&mut group, n, || work(done)).await;
        assert!(group.wait().await.is_empty(), "no task panics");
        done.load(Ordering::Relaxed)
    }))
}

async fn spawn_all<F>(group: &mut TaskGroup, n: u64, mut work: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    in_bursts(n, || group.spawn(work())).await;
}

/// Does something `n` times, and lets the tasks that can run have their turn after each burst.
async fn in_bursts(n: u64, mut step: impl FnMut()) {
    for at in 0..n {
        step();
        if at % BURST == BURST - 1 {
            yield_now().await;
        }
    }
}

/// `n` tasks that each return an empty result at once.
pub(super) fn spawn_for_results(n: u64) -> Run {
    on_one_thread(measure(async || in_tasks((0..n).map(async |_| ())).await.len() as u64))
}

/// `n` tasks that all wait before the first of them is let go.
pub(super) fn parked(n: u64) -> Run {
    struct Gate {
        waiting: AtomicU64,
        released: AtomicU64,
        open: Notify,
    }
    let gate = Gate { waiting: 0.into(), released: 0.into(), open: Notify::new() };
    let gate = Arc::new(gate);
    on_one_thread(measure(async || {
        let mut group = TaskGroup::new();
        spawn_all(&mut group, n, || {
            let gate = Arc::clone(&gate);
            async move {
                let opened = gate.open.notified();
                gate.waiting.fetch_add(1, Ordering::Relaxed);
                opened.await;
                gate.released.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
        while gate.waiting.load(Ordering::Relaxed) < n {
            yield_now().await;
        }
        // If all were woken at once, the queue of runnable tasks would take 17 MB.
        in_bursts(n, || gate.open.notify_one()).await;
        assert!(group.wait().await.is_empty(), "no task panics");
        gate.released.load(Ordering::Relaxed)
    }))
}

/// One task sends `n` numbers to another.
pub(super) fn channel(n: u64, bound: usize) -> Run {
    on_one_thread(async move {
        measure(async || {
            let mut numbers = generate(0..n, bound);
            let mut sum = 0_u64;
            while let Some(number) = numbers.next().await {
                sum += number;
            }
            sum
        })
        .await
    })
}

/// The same, and the receiver stops as soon as its context ends.
pub(super) fn receive_cancellable(n: u64, bound: usize) -> Run {
    on_one_thread(async move {
        let ctx = Context::background().with_cancel();
        measure(async || {
            let mut numbers = generate(0..n, bound);
            let mut sum = 0_u64;
            while let Ok(Some(number)) = ctx.run(numbers.next()).await {
                sum += number;
            }
            sum
        })
        .await
    })
}

/// The chapter's pipeline over the numbers from 0.
pub(super) fn chapter_pipeline(n: u64, bound: usize) -> Run {
    on_one_thread(measure(async move || pipeline_sum(n, bound).await))
}

/// The stages' arithmetic wraps, as Go's does: the chapter's own stages check every number, and the
/// row of the whole program measures these.
async fn pipeline_sum(n: u64, bound: usize) -> u64 {
    let squared = map(generate(0..n.cast_signed(), bound), |n| n.wrapping_mul(n));
    let added = map(squared, |n| n.wrapping_add(10));
    let mut results = filter(added, |n| n % 2 == 0);
    let mut sum = 0_u64;
    while let Some(chunk) = results.next_chunk().await {
        sum = chunk.fold(sum, |sum, n| sum.wrapping_add(n.cast_unsigned()));
    }
    sum
}

/// The same with vectors of 1,024 numbers as the items, one between two stages as in Go's channels of
/// chunks.
pub(super) fn chapter_pipeline_in_chunks(n: u64) -> Run {
    on_one_thread(measure(async move || {
        let chunks = chunks(n).map(|chunk| chunk.map(u64::cast_signed).collect::<Vec<_>>());
        let squared = map(generate(chunks, 1), |chunk| each(chunk, |n| n.wrapping_mul(n)));
        let added = map(squared, |chunk| each(chunk, |n| n.wrapping_add(10)));
        let mut results = map(added, |mut chunk: Vec<i64>| {
            chunk.retain(|n| n % 2 == 0);
            chunk
        });
        let mut sum = 0_u64;
        while let Some(chunk) = results.next().await {
            sum = chunk.into_iter().fold(sum, |sum, n| sum.wrapping_add(n.cast_unsigned()));
        }
        sum
    }))
}

/// The numbers from 0, in chunks.
fn chunks(n: u64) -> impl Iterator<Item = Range<u64>> {
    (0..n).step_by(CHUNK as usize).map(move |first| first..n.min(first + CHUNK))
}

fn each<T>(chunk: Vec<T>, work: impl Fn(T) -> T) -> Vec<T> {
    chunk.into_iter().map(work).collect()
}

/// `workers` tasks square the numbers from 0, one by one.
pub(super) fn fan(n: u64, workers: usize) -> Run {
    on_one_thread(measure(async move || {
        let mut tasks = JoinSet::new();
        let input = source(&mut tasks, CAPACITY, 0..n);
        let results = fan_out(&mut tasks, input, workers, async |n| n.wrapping_mul(n));
        let mut sum = 0_u64;
        while let Ok(square) = results.recv().await {
            sum = sum.wrapping_add(square);
        }
        tasks.join_all().await;
        sum
    }))
}

/// The same with vectors of 1,024 numbers as the items.
pub(super) fn fan_in_chunks(n: u64, workers: usize) -> Run {
    on_one_thread(measure(async move || {
        let mut tasks = JoinSet::new();
        let input = source(&mut tasks, 1, chunks(n).map(Iterator::collect::<Vec<_>>));
        let work = async |chunk| each(chunk, |n: u64| n.wrapping_mul(n));
        let results = fan_out(&mut tasks, input, workers, work);
        let mut sum = 0_u64;
        while let Ok(squares) = results.recv().await {
            sum = squares.into_iter().fold(sum, u64::wrapping_add);
        }
        tasks.join_all().await;
        sum
    }))
}

/// Sends `items` one by one into a channel of `bound`.
fn source<T: Send + 'static>(
    tasks: &mut JoinSet<()>,
    bound: usize,
    items: impl Iterator<Item = T> + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = bounded(bound);
    tasks.spawn(async move {
        for item in items {
            if sender.send(item).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// FNV-1a over the 64 bytes that job `j` stands for, a word of eight at a time.
fn hash(job: u64) -> u64 {
    (0..8).fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
        (hash ^ job.wrapping_add(word)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A pool of two threads hashes `n` jobs, one at a time.
pub(super) fn pool(n: u64, queue: usize) -> Run {
    measure_now(|| {
        let bounds = Bounds::new(2, queue).with_result_limit(queue);
        let pool = WorkerPool::start(bounds, |_, job| hash(job));
        let results = pool.results();
        thread::scope(|scope| {
            scope.spawn(move || {
                for job in 0..n {
                    pool.submit(job);
                }
                drop(pool.close());
            });
            results.fold(0, |sum: u64, done| {
                sum.wrapping_add(done.result.expect("hashing does not panic"))
            })
        })
    })
}

/// The same with 256 jobs at a time.
pub(super) fn pool_in_batches(n: u64, workers: usize) -> Run {
    const BATCH: u64 = 256;
    measure_now(|| {
        let work = |_, batch: Vec<u64>| batch.into_iter().map(hash).collect::<Vec<_>>();
        let bounds = Bounds::new(workers, CAPACITY).with_result_limit(CAPACITY);
        let pool = WorkerPool::start(bounds, work);
        let results = pool.results();
        thread::scope(|scope| {
            scope.spawn(move || {
                for first in (0..n).step_by(BATCH as usize) {
                    pool.submit((first..n.min(first + BATCH)).collect());
                }
                drop(pool.close());
            });
            let batches = results.map(|done| done.result.expect("no hash panics"));
            batches.flatten().fold(0, u64::wrapping_add)
        })
    })
}

/// The chapter's limited pool: ten threads, `n` naps.
pub(super) fn pool_of_sleepers(n: u64) -> Run {
    measure_now(|| {
        let pool = WorkerPool::start(Bounds::new(10, CAPACITY), |_, ()| thread::sleep(NAP));
        for _ in 0..n {
            pool.submit(());
        }
        pool.close().count() as u64
    })
}

/// From `cancel` to the end of the last of `n` tasks that wait for it.
pub(super) fn cancel(n: u64) -> Run {
    cancel_all(n, Context::clone)
}

/// The same with a child context for each task.
pub(super) fn cancel_children(n: u64) -> Run {
    cancel_all(n, Context::with_cancel)
}

fn cancel_all(n: u64, derive: fn(&Context) -> Context) -> Run {
    on_one_thread(async move {
        let root = Context::background().with_cancel();
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let mut group = TaskGroup::new();
        spawn_all(&mut group, n, || {
            let (own, counts) = (derive(&root), Arc::clone(&counts));
            async move {
                let (waiting, canceled) = &*counts;
                waiting.fetch_add(1, Ordering::Relaxed);
                if own.done().await == Cause::Canceled {
                    canceled.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await;
        while counts.0.load(Ordering::Relaxed) < n {
            yield_now().await;
        }
        measure(async || {
            root.cancel();
            assert!(group.wait().await.is_empty(), "no task panics");
            counts.1.load(Ordering::Relaxed)
        })
        .await
    })
}

/// `n` child contexts under one parent, one after the other.
pub(super) fn create_contexts(n: u64) -> Run {
    let parent = Context::background().with_cancel();
    measure_now(|| {
        (0..n).fold(0, |alive, _| {
            let child = parent.with_cancel();
            let err = child.err();
            child.cancel();
            alive + u64::from(err.is_none())
        })
    })
}

/// `n` look-ups of a value, ten contexts below the one that holds it.
pub(super) fn look_up_value(n: u64) -> Run {
    struct Key<const DEPTH: usize>(u64);
    let context = Context::background().with_value(7_u64).with_value(Key::<0>(0));
    let context = context.with_value(Key::<1>(1)).with_value(Key::<2>(2)).with_value(Key::<3>(3));
    let context = context.with_value(Key::<4>(4)).with_value(Key::<5>(5)).with_value(Key::<6>(6));
    let context = context.with_value(Key::<7>(7)).with_value(Key::<8>(8)).with_value(Key::<9>(9));
    assert_eq!(context.value::<Key<9>>().map(|key| key.0), Some(9));
    measure_now(|| {
        (0..n).fold(0, |sum, _| {
            sum + black_box(&context).value::<u64>().expect("the root carries it")
        })
    })
}

/// Measures `work`, which gives the check value, in seconds.
async fn measure(work: impl AsyncFnOnce() -> u64) -> (f64, u64) {
    let started = Instant::now();
    let check = work().await;
    (started.elapsed().as_secs_f64(), check)
}

fn measure_now(work: impl FnOnce() -> u64) -> Run {
    let started = Instant::now();
    let check = work();
    run((started.elapsed().as_secs_f64(), check))
}

fn on_one_thread(work: impl Future<Output = (f64, u64)>) -> Run {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().event_interval(TASKS_A_TURN).build();
    run(runtime.expect("the system has room for a runtime").block_on(work))
}

fn run((seconds, check): (f64, u64)) -> Run {
    Run { seconds, memory: peak_memory().unwrap_or(0), check }
}
