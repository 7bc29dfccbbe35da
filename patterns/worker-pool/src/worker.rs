use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::{Receiver, Sender, TrySendError, select_biased};

use super::patience;

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<R> {
    /// The number that `submit` gave to the job.
    pub job: u64,
    /// What the work returned, or how it panicked.
    pub result: Result<R, Panicked>,
}

/// The job panicked. Its worker lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The message of the panic; empty if it had none.
    pub message: String,
}

/// The ends of the queues that a worker holds.
pub(crate) struct Worker<J, R> {
    pub(crate) queue: Receiver<(u64, J)>,
    pub(crate) results: Sender<Done<R>>,
    /// Disconnected once the pool gives up.
    pub(crate) given_up: Receiver<Infallible>,
}

impl<J, R> Worker<J, R> {
    /// Works until the pool is closed and the queue is empty.
    pub(crate) fn run(self, work: impl Fn(J) -> R) {
        while let Some((number, job)) = patience::recv(&self.queue) {
            // A job that panics may leave what `work` shares between jobs half done. That is the
            // danger of every shared value, and a `Mutex` would be poisoned: no reason to stop.
            let result = catch_unwind(AssertUnwindSafe(|| work(job))).map_err(Panicked::from);
            let done = Done { job: number, result };
            // The result first: what is done is told as long as there is room for it. The pool
            // itself holds a receiver, so a send fails only for want of room; and only then is a
            // select worth its price.
            if let Err(TrySendError::Full(done)) = patience::try_send(&self.results, done) {
                select_biased! {
                    send(self.results, done) -> _ => {}
                    recv(self.given_up) -> _ => {}
                }
            }
        }
    }
}

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => {
                let message = payload.downcast_ref::<&str>().copied().unwrap_or_default();
                mem::forget(payload); // dropping a value of any type could panic once more
                message.to_owned()
            }
        };
        Self { message }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panicked {}
