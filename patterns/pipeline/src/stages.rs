//! Stages: functions from receiver to receiver.

use std::collections::{VecDeque, vec_deque::Drain};
use std::future::Future;
use std::mem;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::time::Duration;

use common::bar;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::{ChunkReceiver, ChunkSender, Limits, chunk_channel};

/// The results of a pipeline so far, and the owner of its stages.
///
/// Dropping it stops every stage at once, also one that waits for its input. A stage that panics
/// ends the results early, and its panic goes on in whoever reads them.
#[derive(Debug)]
pub struct Receiver<T> {
    items: ChunkReceiver<T>,
    /// What has been taken from the channel and not yet been read.
    chunk: VecDeque<T>,
    limits: Limits,
    /// Every stage before this point. A `JoinSet` aborts its tasks when it is dropped.
    stages: JoinSet<()>,
}

/// The first stage: hands out `items`, and ends with them.
pub fn generate<I>(items: I, limits: Limits) -> Receiver<I::Item>
where
    I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
{
    let mut items = items.into_iter();
    let (mut output, receiver) = chunk_channel(limits);
    let mut stages = JoinSet::new();
    stages.spawn(async move {
        let mut chunk = VecDeque::new();
        loop {
            chunk.extend(items.by_ref().take(limits.chunk.get()));
            if chunk.is_empty() || output.send_all(&mut chunk).await.is_err() {
                return;
            }
        }
    });
    Receiver { items: receiver, chunk: VecDeque::new(), limits, stages }
}

/// A first stage that blocks, on a thread of its own: `fill` adds what is there to a chunk, and
/// gives `false` once it has added the last.
///
/// A thread that blocks cannot be aborted. Once the receiver has been dropped, `fill` is not called
/// again.
pub fn generate_blocking<T: Send + 'static>(
    mut fill: impl FnMut(&mut VecDeque<T>) -> bool + Send + 'static,
    limits: Limits,
) -> Receiver<T> {
    let (mut output, receiver) = chunk_channel(limits);
    let mut stages = JoinSet::new();
    let runtime = Handle::current();
    stages.spawn_blocking(move || {
        let mut chunk = VecDeque::new();
        let mut more = true;
        while more {
            more = fill(&mut chunk);
            if runtime.block_on(output.send_all(&mut chunk)).is_err() {
                return;
            }
        }
    });
    Receiver { items: receiver, chunk: VecDeque::new(), limits, stages }
}

/// A stage that hands on what `work` makes of each item.
pub fn map<T, U>(input: Receiver<T>, mut work: impl FnMut(T) -> U + Send + 'static) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
{
    map_chunks(input, move |chunk| chunk.into_iter().map(&mut work).collect())
}

/// A stage that hands on the items that `keep` wants.
pub fn filter<T>(
    input: Receiver<T>,
    mut keep: impl FnMut(&T) -> bool + Send + 'static,
) -> Receiver<T>
where
    T: Send + 'static,
{
    map_chunks(input, move |mut chunk| {
        chunk.retain(&mut keep);
        chunk
    })
}

/// A stage that hands on what `work` makes of each item, if it makes anything. It works through a
/// chunk before it sends the results on, so `work` should be short and must not block.
pub fn filter_map<T, U>(
    input: Receiver<T>,
    mut work: impl FnMut(T) -> Option<U> + Send + 'static,
) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
{
    map_chunks(input, move |chunk| chunk.into_iter().filter_map(&mut work).collect())
}

/// Collecting a vector from one whose items have the same size happens in place, and what a send
/// leaves behind is used again: no allocation.
fn map_chunks<T, U>(
    input: Receiver<T>,
    mut work: impl FnMut(Vec<T>) -> Vec<U> + Send + 'static,
) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
{
    stage(input, |mut input, mut output| async move {
        let mut chunk = VecDeque::new();
        while input.recv_all(&mut chunk).await {
            let mut results = work(mem::take(&mut chunk).into()).into();
            if output.send_all(&mut results).await.is_err() {
                return;
            }
            chunk = recycle(results);
        }
    })
}

/// The memory of an empty queue for items of another type.
fn recycle<T, U>(empty: VecDeque<T>) -> VecDeque<U> {
    let nothing = Vec::from(empty).into_iter().map(|_| unreachable!("all has been sent"));
    nothing.collect::<Vec<_>>().into()
}

/// A stage that works on up to `limit` items at once, each in a task of its own, and hands on the
/// results in the order of the items.
///
/// An item that takes long holds back those behind it: at most `limit` of them are started.
pub fn par_map<T, U, Fut>(
    input: Receiver<T>,
    limit: NonZeroUsize,
    mut work: impl FnMut(T) -> Fut + Send + 'static,
) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
    Fut: Future<Output = U> + Send + 'static,
{
    stage(input, move |mut input, mut output| async move {
        let mut running = VecDeque::with_capacity(limit.get());
        let mut waiting = VecDeque::new();
        let mut more = true;
        loop {
            while running.len() < limit.get()
                && let Some(item) = waiting.pop_front()
            {
                running.push_back(AbortOnDropHandle::new(tokio::spawn(work(item))));
            }
            // Neither arm loses anything when the other one wins: a handle can be awaited again,
            // and a receive that is dropped has taken no item.
            tokio::select! {
                biased; // results first: their room is what the next items wait for
                Some(result) = front(&mut running) => {
                    running.pop_front();
                    let Some(result) = unless_canceled(result) else { return };
                    if output.send(result).await.is_err() {
                        return;
                    }
                }
                received = input.recv_all(&mut waiting), if more && waiting.is_empty() => {
                    more = received;
                }
                else => return,
            }
        }
    })
}

async fn front<U>(running: &mut VecDeque<AbortOnDropHandle<U>>) -> Option<Result<U, JoinError>> {
    Some(running.front_mut()?.await)
}

/// A stage that hands on each item and then rests: simulated work, which a picture of the run shows
/// under `name`. No pause is no stage.
pub fn pause<T: Send + 'static>(
    input: Receiver<T>,
    name: &'static str,
    pause: Duration,
) -> Receiver<T> {
    if pause.is_zero() {
        return input;
    }
    stage(input, move |mut input, mut output| async move {
        let mut chunk = VecDeque::new();
        while input.recv_all(&mut chunk).await {
            for item in chunk.drain(..) {
                if output.send(item).await.is_err() {
                    return;
                }
                bar(name, "item").of(sleep(pause)).await;
            }
        }
    })
}

/// Any other stage: a task that receives chunks and sends chunks. What has been built before it,
/// and it, is now owned by the receiver that comes out.
///
/// The stage may end before its input does. Those before it end then too, as they do when it is
/// dropped itself: `run` is dropped, wherever it waits, once nobody receives from it.
pub fn stage<T, U, Fut>(
    input: Receiver<T>,
    run: impl FnOnce(ChunkReceiver<T>, ChunkSender<U>) -> Fut,
) -> Receiver<U>
where
    U: Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let Receiver { mut items, chunk, limits, mut stages } = input;
    items.put_back(chunk);
    let (output, receiver) = chunk_channel(limits);
    let (closed, run) = (output.closed(), run(items, output));
    stages.spawn(async move {
        tokio::select! {
            biased; // what nobody receives is not worth another step
            () = closed => {}
            () = run => {}
        }
    });
    Receiver { items: receiver, chunk: VecDeque::new(), limits, stages }
}

impl<T> Receiver<T> {
    /// The next item, or `None` after the last one.
    ///
    /// # Panics
    ///
    /// After the last item, if a stage panicked: with that panic.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, no item is lost.
    pub async fn next(&mut self) -> Option<T> {
        if self.chunk.is_empty() {
            self.receive().await;
        }
        self.chunk.pop_front()
    }

    /// All the items that are there, at least one, or `None` after the last one. Panics and is
    /// cancel safe as [`next`](Receiver::next) is.
    pub async fn next_chunk(&mut self) -> Option<Drain<'_, T>> {
        if self.chunk.is_empty() {
            self.receive().await;
        }
        if self.chunk.is_empty() { None } else { Some(self.chunk.drain(..)) }
    }

    /// All the items that are left.
    pub async fn collect(mut self) -> Vec<T> {
        let mut items = Vec::new();
        while let Some(chunk) = self.next_chunk().await {
            items.extend(chunk);
        }
        items
    }

    async fn receive(&mut self) {
        if self.items.recv_all(&mut self.chunk).await {
            return;
        }
        while let Some(ended) = self.stages.join_next().await {
            unless_canceled(ended);
        }
    }
}

/// What a task gave. Its panic goes on here; only a runtime that shuts down cancels it.
fn unless_canceled<T>(joined: Result<T, JoinError>) -> Option<T> {
    joined.map_err(|err| err.try_into_panic().map(|panic| resume_unwind(panic))).ok()
}
