use std::any::{Any, TypeId};
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter::successors;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use event_listener::Event;
use tokio::time::{Instant, sleep_until};

use crate::sync::{Arc, OnceLock, Ordering, fence};

/// Go's `context.Context` for tasks: cancellation, a deadline and typed values, handed down a tree.
///
/// Every `with_…` makes a child. A child ends with its parent and never outlives its parent's
/// deadline; ending a child leaves its parent alone. Cloning makes another handle to the *same*
/// context.
///
/// A context owns no task and no timer, and its parent does not know it. The deadline is data, and
/// so is a cancellation: whoever waits brings the timer, and listens to every context up to the
/// root. So a context without waiters costs one allocation, two with a value, and dropping its last handle leaves
/// nothing behind.
///
/// | Go | here |
/// |---|---|
/// | `context.Background()` | [`Context::background`] |
/// | `context.WithCancel(ctx)` | [`ctx.with_cancel()`](Context::with_cancel) |
/// | `context.WithTimeout(ctx, d)` | [`ctx.with_timeout(d)`](Context::with_timeout) |
/// | `<-ctx.Done()` | [`ctx.done().await`](Context::done) |
/// | `select { case <-ctx.Done(): … case v := <-work: … }` | [`ctx.run(work).await`](Context::run) |
/// | `ctx.Value(key).(T)` | [`ctx.value::<T>()`](Context::value) |
#[derive(Clone)]
pub struct Context {
    node: Arc<Node>,
}

/// Why a context ended. Prints what Go's `ctx.Err()` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// [`Context::cancel`] was called on the context or on one above it.
    Canceled,
    /// The deadline passed.
    DeadlineExceeded,
}

struct Node {
    parent: Option<Context>,
    /// Wakes whoever waits for this context or for one below it.
    canceled: Event,
    /// When `cancel` was called on this very context.
    canceled_at: OnceLock<Instant>,
    /// The earliest deadline from here to the root.
    deadline: Option<Instant>,
    /// The cause once somebody has seen it: from then on it stands.
    cause: OnceLock<Cause>,
    value: Option<Value>,
}

/// A value under its type, which is compared without a look at the value itself.
struct Value {
    key: TypeId,
    value: Box<dyn Any + Send + Sync>,
}

impl Context {
    /// The root of a tree: no deadline, no values, and it ends only if it is cancelled itself.
    pub fn background() -> Self {
        Self::from_node(Node::below(None))
    }

    /// A child that can be cancelled without touching this context.
    #[must_use]
    pub fn with_cancel(&self) -> Self {
        Self::from_node(self.child())
    }

    /// A child that ends `timeout` from now at the latest. A timeout beyond what the clock can
    /// express is no deadline.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            None => self.with_cancel(),
        }
    }

    /// A child that ends at `deadline`, or at this context's own deadline if that is earlier.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let mut child = self.child();
        child.deadline = Some(child.deadline.map_or(deadline, |ours| ours.min(deadline)));
        if let Some(cause) = self.err() {
            child.cause = cause.into(); // even if the new deadline lies further back
        }
        Self::from_node(child)
    }

    /// A child that carries `value`, found again by its type. A type of your own as the key cannot
    /// collide with anybody else's.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        let mut child = self.child();
        child.value = Some(Value { key: TypeId::of::<T>(), value: Box::new(value) });
        Self::from_node(child)
    }

    /// Ends this context and everything below it, never its parent. Calling it again, or after the
    /// deadline has passed, changes nothing.
    pub fn cancel(&self) {
        self.node.canceled_at.get_or_init(Instant::now);
        // Where nobody waits, no list of waiters is made. The fences order this and `canceled`:
        // either a waiter sees the instant, or it is seen here.
        fence(Ordering::SeqCst);
        if self.node.canceled.total_listeners() > 0 {
            self.node.canceled.notify(usize::MAX);
        }
    }

    /// Why the context ended, or `None` while it is alive. The first cause stands for ever.
    pub fn err(&self) -> Option<Cause> {
        if let Some(cause) = self.node.cause.get() {
            return Some(*cause);
        }
        // A context that adds nothing asks the one above it that does, so that both give the same
        // cause, also while a deadline passes in the midst of a `cancel`.
        let decides = self.to_root().find(|context| context.may_end_alone()).unwrap_or(self);
        let cause = match decides.node.cause.get() {
            Some(cause) => *cause,
            None => decides.first_cause()?,
        };
        let cause = *decides.node.cause.get_or_init(|| cause);
        Some(*self.node.cause.get_or_init(|| cause))
    }

    /// Waits until the context ends; forever, if nothing ends it. Needs a runtime with its timer
    /// enabled if the context has a deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; call it as often as you like.
    pub async fn done(&self) -> Cause {
        if let Some(cause) = self.err() {
            return cause;
        }
        let Some(deadline) = self.node.deadline else {
            self.canceled().await;
            return self.err().expect("a context that woke its waiter is cancelled");
        };
        // In a box, or whoever waits without a deadline would have room for a timer as well.
        let ended = Box::pin(async {
            tokio::select! {
                () = self.canceled() => {}
                () = sleep_until(deadline) => {}
            }
        });
        ended.await;
        self.err().expect("a context is cancelled, or past its deadline, once it has woken")
    }

    /// Drives `future` to its end, or drops it at the first cause to end this context. A context
    /// that has ended does not poll the future at all.
    ///
    /// # Cancel safety
    ///
    /// Dropping this drops `future`; it is as cancel safe as `future` is.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Cause> {
        if let Some(cause) = self.err() {
            return Err(cause);
        }
        let mut future = pin!(future);
        // A future that is ready at once, such as a receive from a full queue, needs no listener.
        let first = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = first {
            return Ok(output);
        }
        tokio::select! {
            biased; // when both are ready, the end of the context wins
            cause = self.done() => Err(cause),
            output = future => Ok(output),
        }
    }

    /// When the context ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// The nearest value of type `T` from here to the root.
    pub fn value<T: Any>(&self) -> Option<&T> {
        let key = TypeId::of::<T>();
        let values = self.to_root().filter_map(|context| context.node.value.as_ref());
        values.filter(|value| value.key == key).find_map(|value| value.value.downcast_ref())
    }

    fn from_node(node: Node) -> Self {
        Self { node: Arc::new(node) }
    }

    fn child(&self) -> Node {
        Node::below(Some(self))
    }

    /// Ends when this context, or one above it, is cancelled.
    async fn canceled(&self) {
        // Listen first and look afterwards: a cancellation in between is seen by one or the other.
        let mut listeners: Vec<_> =
            self.to_root().map(|context| context.node.canceled.listen()).collect();
        fence(Ordering::SeqCst); // the other half of the one in `cancel`
        if self.to_root().any(|context| context.node.canceled_at.get().is_some()) {
            return;
        }
        poll_fn(|cx| {
            let any = listeners.iter_mut().any(|one| Pin::new(one).poll(cx).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether this context can have ended before, or without, the one above it.
    fn may_end_alone(&self) -> bool {
        let node = &self.node;
        let above = node.parent.as_ref().map(|parent| parent.node.deadline);
        node.canceled_at.get().is_some() || above != Some(node.deadline)
    }

    /// What came first: a `cancel` on the way to the root, or the deadline. The instants decide,
    /// so nobody has to be watching when one of them passes.
    fn first_cause(&self) -> Option<Cause> {
        let canceled =
            self.to_root().filter_map(|context| context.node.canceled_at.get().copied()).min();
        match (canceled, self.node.deadline) {
            (Some(canceled), Some(deadline)) if deadline <= canceled => {
                Some(Cause::DeadlineExceeded)
            }
            (Some(_), _) => Some(Cause::Canceled),
            (None, deadline) => (deadline? <= Instant::now()).then_some(Cause::DeadlineExceeded),
        }
    }

    fn to_root(&self) -> impl Iterator<Item = &Self> {
        successors(Some(self), |context| context.node.parent.as_ref())
    }
}

impl Node {
    /// A child has its parent's deadline, and its cause if that stands already.
    fn below(parent: Option<&Context>) -> Self {
        Self {
            parent: parent.cloned(),
            canceled: Event::new(),
            canceled_at: OnceLock::new(),
            deadline: parent.and_then(|parent| parent.node.deadline),
            cause: parent.map(|parent| parent.node.cause.clone()).unwrap_or_default(),
            value: None,
        }
    }
}

impl Drop for Node {
    /// Takes a long chain of last handles apart one by one: left to itself it would recurse, and
    /// a chain of 100,000 contexts would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut node) = next.and_then(|context| Arc::into_inner(context.node)) {
            next = node.parent.take();
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("err", &self.err())
            .field("deadline", &self.node.deadline)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl std::error::Error for Cause {}
