//! Stages: functions from receiver to receiver.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, consume_budget, spawn_blocking, yield_now};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::receiver::{MANY, Receiver, unless_canceled};

/// The first stage: hands out `items`, and ends with them.
///
/// At most `bound` items wait between this stage and the next one, and between any two later
/// stages. An item is made when there is room for it, and can be received as soon as it is made. An
/// iterator that blocks belongs in [`generate_blocking`].
///
/// # Panics
///
/// If `bound` is 0: a channel holds one item at least.
pub fn generate<I>(items: I, bound: usize) -> Receiver<I::Item>
where
    I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
{
    let items = items.into_iter();
    start(JoinSet::new(), bound, |output| async move {
        let mut output = Output { items: output, burst: 1 };
        output.send_all(items.map(Some)).await;
    })
}

/// [`generate`] for an iterator that blocks, such as the lines of stdin: it runs on a thread of its
/// own.
///
/// A thread that blocks cannot be aborted. Once the receiver or its runtime has been dropped, no
/// further item is asked for.
pub fn generate_blocking<I>(items: I, bound: usize) -> Receiver<I::Item>
where
    I: IntoIterator<Item: Send + 'static> + Send + 'static,
{
    start(JoinSet::new(), bound, |output| {
        // Nothing is ever sent: the channel only tells the thread that `owner` was dropped. That
        // happens with the task below, at an early stop or at the end of the runtime.
        let (owner, dropped) = oneshot::channel::<Infallible>();
        let runtime = Handle::current();
        let thread = spawn_blocking(move || {
            let mut output = Output { items: output, burst: 1 };
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = dropped => {} // even while it waits for room
                    _ = output.send_all(items.into_iter().map(Some)) => {}
                }
            });
        });
        async move {
            let _owner = owner;
            unless_canceled(thread.await);
        }
    })
}

/// A first stage that hands out the items of an asynchronous source: a socket, a timer, another
/// receiver. It asks for an item when there is room for it.
pub fn from_stream<S>(stream: S, bound: usize) -> Receiver<S::Item>
where
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    start(JoinSet::new(), bound, |output| async move {
        let mut stream = pin!(stream);
        while let Ok(place) = output.reserve().await
            && let Some(item) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await
        {
            place.send(item);
        }
    })
}

/// A stage that hands on what `work` makes of each item.
pub fn map<T: Send + 'static, U: Send + 'static>(
    input: Receiver<T>,
    mut work: impl FnMut(T) -> U + Send + 'static,
) -> Receiver<U> {
    filter_map(input, move |item| Some(work(item)))
}

/// A stage that hands on the items that `keep` wants.
pub fn filter<T: Send + 'static>(
    input: Receiver<T>,
    mut keep: impl FnMut(&T) -> bool + Send + 'static,
) -> Receiver<T> {
    filter_map(input, move |item| keep(&item).then_some(item))
}

/// A stage that hands on what `work` makes of each item, if it makes anything.
///
/// It takes all items that are there, and never waits for more. `work` runs on the runtime's
/// thread, so it must not block; work that waits, or takes milliseconds, belongs in [`par_map`].
pub fn filter_map<T: Send + 'static, U: Send + 'static>(
    input: Receiver<T>,
    mut work: impl FnMut(T) -> Option<U> + Send + 'static,
) -> Receiver<U> {
    stage(input, |mut input, output| async move {
        let (mut items, mut output) = (Vec::new(), Output { items: output, burst: 1 });
        while input.recv_many(&mut items, MANY).await > 0 {
            if !output.send_all(items.drain(..).map(&mut work)).await {
                return;
            }
        }
    })
}

/// A stage that works on up to `limit` items at once, each in a task of its own, and hands on the
/// results in the order of the items.
///
/// An item that takes long holds back those behind it: at most `limit` of them are started.
///
/// # Panics
///
/// If `limit` is 0: no item would ever be started.
pub fn par_map<T, U, Fut>(
    input: Receiver<T>,
    limit: usize,
    mut work: impl FnMut(T) -> Fut + Send + 'static,
) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
    Fut: Future<Output = U> + Send + 'static,
{
    assert!(limit > 0, "the limit must be at least 1");
    stage(input, move |mut input, output| async move {
        let mut running = VecDeque::new();
        let mut more = true;
        loop {
            // Neither arm loses anything when the other one wins: a handle can be awaited again,
            // and a receive that is dropped has taken no item. With nothing running the first arm
            // gives `None`, and leaves the select to the other one.
            tokio::select! {
                biased; // results first: sending them makes room for the next items
                Some(result) = async { Some(running.front_mut()?.await) } => {
                    running.pop_front();
                    let Some(result) = unless_canceled(result) else { return };
                    if output.send(result).await.is_err() {
                        return;
                    }
                }
                item = input.recv(), if more && running.len() < limit => match item {
                    Some(item) => running.push_back(AbortOnDropHandle::new(tokio::spawn(work(item)))),
                    None => more = false,
                },
                else => return,
            }
        }
    })
}

/// Any other stage: a task that receives from one channel and sends to another. The returned
/// receiver owns this stage and all stages before it.
///
/// The stage may end before its input does; then the stages before it end too. Once nobody receives
/// from it, `run` is dropped wherever it waits, and the stages before it end as well.
pub fn stage<T: Send + 'static, U: Send + 'static, Fut>(
    mut input: Receiver<T>,
    run: impl FnOnce(mpsc::Receiver<T>, mpsc::Sender<U>) -> Fut,
) -> Receiver<U>
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let bound = input.items.max_capacity();
    if !input.ahead.is_empty() {
        input = from_stream(input, bound); // items already taken go through a channel again
    }
    let Receiver { items, stages, .. } = input;
    start(stages, bound, |output| run(items, output))
}

/// Starts one more stage in a task, behind those that are there. As soon as nobody receives from
/// the stage, the task drops `run`, and with it the receiver of the stage's input: so the stage
/// before it ends, too.
fn start<U: Send + 'static, Fut: Future<Output = ()> + Send + 'static>(
    mut stages: JoinSet<()>,
    bound: usize,
    run: impl FnOnce(mpsc::Sender<U>) -> Fut,
) -> Receiver<U> {
    // tokio allows no larger bound, and takes memory for the items that are there, not for the
    // bound.
    let (output, items) = mpsc::channel(bound.min(Semaphore::MAX_PERMITS));
    let dropped = output.clone();
    let run = run(output);
    stages.spawn(async move {
        tokio::select! {
            biased; // check the receiver first: without it no step is needed
            () = dropped.closed() => {}
            () = run => {}
        }
    });
    Receiver { items, ahead: VecDeque::new(), taken: 0, stages }
}

/// Sends the results of a stage: each reservation takes all the room that the channel has.
struct Output<T> {
    items: mpsc::Sender<T>,
    /// Most items to make before the next look at the clock: few while an item takes long.
    burst: usize,
}

/// After a burst that takes longer than this, a stage gives other tasks a turn.
const LONG: Duration = Duration::from_millis(1);

impl<T> Output<T> {
    /// Sends each of `items` as soon as it is made, and makes none without room for it. `None` is
    /// an item that a filter takes out. `false` once nobody receives any more.
    async fn send_all(&mut self, mut items: impl Iterator<Item = Option<T>>) -> bool {
        // At a known end there is no room to wait for.
        while items.size_hint().1 != Some(0) {
            // As many as are free, and one if none is: `reserve_many` waits until it has all
            // that it asks for.
            let free = self.items.capacity().clamp(1, self.burst);
            let Ok(mut room) = self.items.reserve_many(free).await else { return false };
            let started = Instant::now();
            for _ in 0..free {
                if self.items.is_closed() {
                    return false;
                }
                let Some(made) = items.next() else { return true };
                if let Some(item) = made {
                    room.next().expect("there is a place for each").send(item);
                }
                consume_budget().await; // one item, one unit: others have their turn after 128
            }
            if started.elapsed() < LONG {
                self.burst = MANY.min(self.burst * 2);
            } else {
                self.burst = 1;
                yield_now().await;
            }
        }
        true
    }
}
