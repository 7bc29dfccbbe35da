use std::any::Any;
use std::fmt;
use std::future::{Future, pending};
use std::iter::successors;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Go's `context.Context` for tasks: cancellation, a deadline and typed values, handed down a tree.
///
/// Every `with_…` makes a child. A child ends with its parent and never outlives its parent's
/// deadline; ending a child leaves its parent alone. Cloning makes another handle to the *same*
/// context.
///
/// A context owns no task and no timer. The deadline is data: whoever waits brings the timer, so a
/// context without waiters costs nothing, and dropping its last handle leaves nothing behind.
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
    /// Wakes the waiters, and those of all contexts below.
    token: CancellationToken,
    /// The earliest deadline from here to the root.
    deadline: Option<Instant>,
    /// When `cancel` was called on this very context.
    canceled_at: OnceLock<Instant>,
    /// The cause once somebody has seen it: from then on it stands.
    cause: OnceLock<Cause>,
    value: Option<Box<dyn Any + Send + Sync>>,
}

impl Context {
    /// The root of a tree: no deadline, no values, and it ends only if it is cancelled itself.
    pub fn background() -> Self {
        Self::from_node(Node {
            parent: None,
            token: CancellationToken::new(),
            deadline: None,
            canceled_at: OnceLock::new(),
            cause: OnceLock::new(),
            value: None,
        })
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
        Self::from_node(child)
    }

    /// A child that carries `value`, found again by its type. A type of your own as the key cannot
    /// collide with anybody else's.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        let mut child = self.child();
        child.value = Some(Box::new(value));
        Self::from_node(child)
    }

    /// Ends this context and everything below it, never its parent. Calling it again, or after the
    /// deadline has passed, changes nothing.
    pub fn cancel(&self) {
        self.node.canceled_at.get_or_init(Instant::now);
        self.node.token.cancel();
    }

    /// Why the context ended, or `None` while it is alive. The first cause stands for ever.
    pub fn err(&self) -> Option<Cause> {
        if let Some(cause) = self.node.cause.get() {
            return Some(*cause);
        }
        let cause = self.first_cause()?;
        Some(*self.node.cause.get_or_init(|| cause))
    }

    /// Waits until the context ends; forever, if nothing ends it. Needs a runtime with its timer
    /// enabled if the context has a deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; call it as often as you like.
    pub async fn done(&self) -> Cause {
        let deadline = async {
            match self.node.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        if let Some(cause) = self.err() {
            return cause;
        }
        tokio::select! {
            () = self.node.token.cancelled() => {}
            () = deadline => {}
        }
        self.err().expect("a context is cancelled, or past its deadline, once it has woken")
    }

    /// Drives `future` to its end, or drops it at the first cause to end this context. A context
    /// that has ended does not poll the future at all.
    ///
    /// # Cancel safety
    ///
    /// Dropping this drops `future`; it is as cancel safe as `future` is.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Cause> {
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
        self.to_root().find_map(|context| context.node.value.as_ref()?.downcast_ref())
    }

    fn from_node(node: Node) -> Self {
        Self { node: Arc::new(node) }
    }

    fn child(&self) -> Node {
        Node {
            parent: Some(self.clone()),
            token: self.node.token.child_token(),
            deadline: self.node.deadline,
            canceled_at: OnceLock::new(),
            // A child of an ended context has ended too, and for the same cause.
            cause: self.err().map(OnceLock::from).unwrap_or_default(),
            value: None,
        }
    }

    /// What came first: a `cancel` on the way to the root, or the deadline. The instants decide,
    /// so nobody has to be watching when one of them passes.
    fn first_cause(&self) -> Option<Cause> {
        let deadline = self.node.deadline;
        if !self.node.token.is_cancelled() {
            return (deadline? <= Instant::now()).then_some(Cause::DeadlineExceeded);
        }
        let canceled = self
            .to_root()
            .filter_map(|context| context.node.canceled_at.get().copied())
            .min()
            .expect("`cancel` notes its instant before it cancels the token");
        match deadline {
            Some(deadline) if deadline <= canceled => Some(Cause::DeadlineExceeded),
            _ => Some(Cause::Canceled),
        }
    }

    fn to_root(&self) -> impl Iterator<Item = &Self> {
        successors(Some(self), |context| context.node.parent.as_ref())
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
