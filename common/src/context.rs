use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use event_listener::{Event, EventListener};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::sync::{Arc, AtomicBool, OnceLock, Ordering, fence};

/// Go's `context.Context` for tasks: cancellation, a deadline and typed values, handed down a tree.
///
/// Every `with_…` makes a child. A child ends with its parent and never outlives its parent's
/// deadline; ending a child leaves its parent alone. Cloning makes another handle to the *same*
/// context.
///
/// A context owns no task and no timer, and its parent keeps no reference to it. The deadline is
/// data, and so is a cancellation: the waiter brings the timer, and listens to every context up to
/// the root. So a context without waiters costs one allocation, two with a value, and dropping its
/// last handle leaves nothing behind. A look-up skips the contexts without a value; a wait and a
/// check for the end skip those that only carry one.
///
/// | Go | here |
/// |---|---|
/// | `context.Background()` | [`Context::background`] |
/// | `context.WithCancel(ctx)` | [`ctx.with_cancel()`](Context::with_cancel) |
/// | `context.WithTimeout(ctx, d)` | [`ctx.with_timeout(d)`](Context::with_timeout) |
/// | `<-ctx.Done()` | [`ctx.done().await`](Context::done) |
/// | `select { case <-ctx.Done(): … case v := <-work: … }` | [`ctx.run(work).await`](Context::run) |
/// | `ctx.Value(key).(T)` | [`ctx.value::<T>()`](Context::value) |
/// | `ctx.Err()` | [`ctx.err()`](Context::err) |
/// | `cancel(err)` of `context.WithCancelCause(ctx)` | [`ctx.cancel_with(err)`](Context::cancel_with) |
/// | `context.Cause(ctx)` | [`ctx.cause()`](Context::cause) |
/// | `context.WithoutCancel(ctx)` | [`ctx.without_cancel()`](Context::without_cancel) |
#[derive(Clone)]
pub struct Context {
    node: Arc<Node>,
}

/// Why a context ended. Prints what Go's `ctx.Err()` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Cause {
    /// [`Context::cancel`] was called on the context or on one above it.
    #[error("context canceled")]
    Canceled,
    /// The deadline passed.
    #[error("context deadline exceeded")]
    DeadlineExceeded,
}

/// The kinds of contexts: those that carry a value, and those that do not.
const WITH_VALUE: bool = true;
const PLAIN: bool = false;

/// An error that is shared by all callers that ask for it.
type Reason = std::sync::Arc<dyn Error + Send + Sync>;

struct Node {
    /// The context above. A root has none.
    parent: Option<Context>,
    /// The nearest ancestor of the other kind: the nearest without a value if this context carries
    /// one, and otherwise the nearest with a value.
    other: Option<Context>,
    /// The first end, which never changes. It is written here before it is reported to anyone.
    end: OnceLock<End>,
    /// Wakes the waiters of this context and of those below it.
    ended: Event,
    /// Set when a context with a value is cancelled, and this is its nearest ancestor without one.
    /// A check for the end must then look at the contexts with a value too.
    look_closer: AtomicBool,
    /// The earliest deadline from here to the root.
    deadline: Option<Instant>,
    value: Option<Value>,
}

/// How a context ended.
#[derive(Clone)]
struct End {
    /// When it was cancelled, or its deadline.
    at: Instant,
    cause: Cause,
    /// What was given to [`Context::cancel_with`].
    reason: Option<Reason>,
}

/// A value, stored with its type id, so that a look-up need not touch the value itself.
struct Value {
    key: TypeId,
    value: Box<dyn Any + Send + Sync>,
}

impl Context {
    /// The root of a tree: no deadline, no values, and it ends only if it is cancelled itself.
    pub fn background() -> Self {
        Self::from_node(Node::new(None, None))
    }

    /// A child that can be cancelled without touching this context.
    #[must_use]
    pub fn with_cancel(&self) -> Self {
        Self::from_node(Node::new(Some(self), None))
    }

    /// A child that ends `timeout` from now at the latest. A timeout beyond what the clock can
    /// express sets no deadline.
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
        let mut child = Node::new(Some(self), None);
        child.deadline = Some(child.deadline.map_or(deadline, |ours| ours.min(deadline)));
        if let Some(end) = self.end() {
            child.end = end.clone().into(); // even if the new deadline is in the past
        }
        Self::from_node(child)
    }

    /// A child that carries `value`, found again by its type. A type of your own cannot collide
    /// with the key of another crate.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        let value = Value { key: TypeId::of::<T>(), value: Box::new(value) };
        Self::from_node(Node::new(Some(self), Some(value)))
    }

    /// A context with this one's values that does not end with it and has no deadline. Use it for
    /// work that must outlive its request, such as a clean-up.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        let mut child = Node::new(Some(self), None);
        (child.parent, child.deadline) = (None, None);
        Self::from_node(child)
    }

    /// Ends this context and everything below it, never its parent. Calling it again, or after the
    /// deadline has passed, changes nothing.
    pub fn cancel(&self) {
        self.end_for(None);
    }

    /// As [`cancel`](Context::cancel), and says why: [`cause`](Context::cause) gives this error,
    /// for this context and those that end with it. An error that is shared already, an
    /// `Arc<dyn Error + Send + Sync>`, is not wrapped again.
    pub fn cancel_with(&self, reason: impl Into<Box<dyn Error + Send + Sync>>) {
        let reason = reason.into().downcast::<Reason>().map_or_else(Reason::from, |shared| *shared);
        self.end_for(Some(reason));
    }

    /// Why the context ended, or `None` while it is alive. The first cause never changes.
    pub fn err(&self) -> Option<Cause> {
        self.end().map(|end| end.cause)
    }

    /// The error that this context, or the ancestor that ended it, was [cancelled
    /// with](Context::cancel_with). Without such an error it is [`err`](Context::err). `None` while
    /// the context is alive.
    pub fn cause(&self) -> Option<std::sync::Arc<dyn Error + Send + Sync>> {
        let End { cause, reason, .. } = self.end()?;
        Some(reason.clone().unwrap_or_else(|| std::sync::Arc::new(*cause)))
    }

    /// Waits until the context ends; forever, if nothing ends it. It is ready as soon as
    /// [`err`](Context::err) is `Some`. Needs a runtime with its timer enabled if the context has a
    /// deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; call it as often as you like.
    pub fn done(&self) -> impl Future<Output = Cause> {
        self.wait()
    }

    /// Drives `future` to its end, or drops it at the first cause to end this context. Every poll
    /// checks the end first: once the context has ended, the future is not polled again. What the
    /// future gives in a poll that began before the end is not thrown away, as it may be an item
    /// that was taken out of a queue.
    ///
    /// # Cancel safety
    ///
    /// Dropping this drops `future`; it is as cancel safe as `future` is.
    pub fn run<F: Future>(&self, future: F) -> impl Future<Output = Result<F::Output, Cause>> {
        Run { wait: self.wait(), future }
    }

    /// The deadline: the latest moment at which the context ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// The nearest value of type `T` from here to the root.
    pub fn value<T: Any>(&self) -> Option<&T> {
        let key = TypeId::of::<T>();
        let values = self.to_root_of(WITH_VALUE).filter_map(|context| context.node.value.as_ref());
        values.filter(|value| value.key == key).find_map(|value| value.value.downcast_ref())
    }

    fn from_node(node: Node) -> Self {
        Self { node: Arc::new(node) }
    }

    fn wait(&self) -> Wait<'_> {
        Wait { context: self, listeners: Vec::new(), timer: None }
    }

    fn end_for(&self, reason: Option<Reason>) {
        let nearest = self.nearest_of(PLAIN).expect("a root carries no value");
        if self.node.value.is_some() {
            nearest.node.look_closer.store(true, Ordering::Relaxed);
        }
        let at = Instant::now(); // read before the check, so no deadline had passed then
        if self.end().is_some() {
            return;
        }
        self.node.end.get_or_init(|| End { at, cause: Cause::Canceled, reason });
        // Without a waiter, no list of waiters is made. The fences order this and `Wait`: either a
        // waiter sees the end, or this code sees the waiter.
        fence(Ordering::SeqCst);
        if nearest.node.ended.total_listeners() > 0 {
            nearest.node.ended.notify(usize::MAX);
        }
    }

    /// The recorded end, or `None` while the context is alive.
    fn end(&self) -> Option<&End> {
        if let Some(end) = self.node.end.get() {
            return Some(end);
        }
        let has_ended = |context: &Self| context.node.end.get().is_some();
        let mut look_closer = false;
        let ended = self.to_root_of(PLAIN).any(|context| {
            look_closer |= context.node.look_closer.load(Ordering::Relaxed);
            has_ended(context)
        });
        let ended = ended
            || look_closer && self.to_root().any(has_ended)
            || self.node.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if ended { self.decide() } else { None }
    }

    /// Writes the end into every context from the topmost that has ended down to this one, so that
    /// a parent never contradicts what its child has reported. The earliest instant decides, so a
    /// deadline counts even if nothing waits when it passes.
    fn decide(&self) -> Option<&End> {
        let mut path = Vec::new();
        for context in self.to_root() {
            path.push(context);
            if context.node.end.get().is_some() {
                break;
            }
        }
        let now = Instant::now();
        path.into_iter().rev().fold(None, |above: Option<&End>, context| {
            let parents = context.node.parent.as_ref().and_then(|parent| parent.node.deadline);
            let own = context.node.deadline.filter(|own| parents != Some(*own));
            let due = own.filter(|own| *own <= above.map_or(now, |end| end.at));
            let passed = due.map(|at| End { at, cause: Cause::DeadlineExceeded, reason: None });
            match passed.or_else(|| above.cloned()) {
                Some(end) => Some(context.node.end.get_or_init(|| end)),
                None => context.node.end.get(),
            }
        })
    }

    fn to_root(&self) -> impl Iterator<Item = &Self> {
        successors(Some(self), |context| context.node.parent.as_ref())
    }

    /// This context and its ancestors of one kind: those with a value, or those without.
    #[inline]
    fn to_root_of(&self, kind: bool) -> impl Iterator<Item = &Self> {
        successors(self.nearest_of(kind), move |context| {
            context.node.parent.as_ref()?.nearest_of(kind)
        })
    }

    #[inline] // a look-up is a few of these
    fn nearest_of(&self, kind: bool) -> Option<&Self> {
        if self.node.value.is_some() == kind { Some(self) } else { self.node.other.as_ref() }
    }
}

impl Node {
    /// A child has its parent's deadline.
    fn new(parent: Option<&Context>, value: Option<Value>) -> Self {
        Self {
            parent: parent.cloned(),
            other: parent.and_then(|parent| parent.nearest_of(value.is_none()).cloned()),
            end: OnceLock::default(),
            ended: Event::new(),
            look_closer: AtomicBool::new(false),
            deadline: parent.and_then(|parent| parent.node.deadline),
            value,
        }
    }

    /// Takes the handles of the contexts above. The parent also holds `other`, so dropping `other`
    /// here frees nothing.
    fn take_above(&mut self) -> Option<Context> {
        let other = self.other.take();
        self.parent.take().or(other)
    }
}

impl Drop for Node {
    /// Drops a long chain of last handles one by one. The default drop would recurse, and a chain
    /// of 100,000 contexts would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.take_above();
        while let Some(mut node) = next.and_then(|context| Arc::into_inner(context.node)) {
            next = node.take_above();
        }
    }
}

/// Waits for the end of a context.
struct Wait<'ctx> {
    context: &'ctx Context,
    /// One for each context up to the root, except those that only carry a value. Empty before the
    /// first poll that is not ready.
    listeners: Vec<EventListener>,
    /// In a box, so that a waiter without a deadline needs no room for a timer.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Future for Wait<'_> {
    type Output = Cause;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Cause> {
        let Self { context, listeners, timer } = &mut *self;
        loop {
            if listeners.is_empty() {
                if let Some(cause) = context.err() {
                    return Poll::Ready(cause);
                }
                listeners.extend(context.to_root_of(PLAIN).map(|above| above.node.ended.listen()));
                fence(Ordering::SeqCst); // pairs with the fence in `end_for`
                *timer = context.node.deadline.map(|deadline| Box::pin(sleep_until(deadline)));
            }
            // Listeners before the timer: one that was woken must be polled, or its drop wakes
            // another waiter.
            let woken = listeners.iter_mut().any(|listener| Pin::new(listener).poll(cx).is_ready())
                || timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
            if let Some(cause) = context.err() {
                return Poll::Ready(cause);
            }
            if !woken {
                return Poll::Pending;
            }
            listeners.clear(); // another context has ended: listen again
        }
    }
}

pin_project! {
    /// A future under a context. It holds the future once: an `async` block that pins what it is
    /// given would have room for it twice.
    struct Run<'ctx, F> {
        wait: Wait<'ctx>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, Cause>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let run = self.project();
        // A future that is ready at once, such as a receive from a full queue, needs no listener.
        if run.wait.context.err().is_none()
            && let Poll::Ready(output) = run.future.poll(cx)
        {
            return Poll::Ready(Ok(output));
        }
        Pin::new(run.wait).poll(cx).map(Err)
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 1000;

    #[test]
    fn a_check_for_the_end_skips_a_thousand_values_and_a_wait_listens_once() {
        let root = Context::background();
        let mut context = root.clone();
        for depth in 0..DEPTH {
            context = context.with_value(depth);
        }
        assert_eq!(context.to_root_of(PLAIN).count(), 1);
        let mut done = context.wait();
        let mut cx = task::Context::from_waker(task::Waker::noop());
        assert!(Pin::new(&mut done).poll(&mut cx).is_pending());
        assert_eq!(done.listeners.len(), 1);
        root.cancel();
        assert_eq!(Pin::new(&mut done).poll(&mut cx), Poll::Ready(Cause::Canceled));
    }

    #[test]
    fn a_look_up_skips_a_thousand_contexts_without_a_value() {
        let mut context = Context::background().with_value("a value");
        for _ in 0..DEPTH {
            context = context.with_cancel();
        }
        assert_eq!(context.to_root_of(WITH_VALUE).count(), 1);
        assert_eq!(context.value(), Some(&"a value"));
    }
}
