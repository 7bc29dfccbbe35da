use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Receiver, Sender};

/// What a worker has taken and not begun, and what it has done and not sent.
struct Hand<T, R> {
    input: Receiver<T>,
    items: VecDeque<T>,
    done: VecDeque<R>,
    results: Sender<R>,
}

/// Calls `work` for one item after the other, until the input ends or nobody reads the results.
pub(crate) async fn run<T, R, F>(input: Receiver<T>, results: Sender<R>, work: impl Fn(T) -> F)
where
    F: Future<Output = R>,
{
    let mut hand = Hand { input, items: VecDeque::new(), done: VecDeque::new(), results };
    while hand.take().await {
        while let Some(item) = hand.items.pop_front() {
            let mut doing = pin!(work(item));
            let steps = poll_fn(|cx| {
                let polled = doing.as_mut().poll(cx);
                if polled.is_pending() {
                    hand.empty(); // others can go on meanwhile
                }
                polled
            });
            let result = steps.await;
            hand.done.push_back(result);
        }
        if hand.results.send_all(&mut hand.done).await.is_err() {
            return; // nobody reads any more
        }
    }
}

impl<T, R> Hand<T, R> {
    /// Takes one item. Where no other task can run anyway until this one waits, takes all that are
    /// ready, as far as there is room for their results. Before it waits the hand is emptied, so no
    /// other worker ever finds the input at its end while there are items in a hand.
    async fn take(&mut self) -> bool {
        let limit = if on_one_thread() { self.results.room().max(1) } else { 1 };
        self.input.recv_ready(&mut self.items, limit).await
    }

    /// Gives back what has not been begun, and sends what is done.
    fn empty(&mut self) {
        if !self.items.is_empty() {
            self.input.put_back(&mut self.items);
        }
        if !self.done.is_empty() {
            self.results.force(&mut self.done);
        }
    }
}

impl<T, R> Drop for Hand<T, R> {
    /// A panic costs the item that it was about, and none beside it.
    fn drop(&mut self) {
        self.empty();
    }
}

/// Whether no other task can run while this one does.
fn on_one_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}
