use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::panic_message;
use crossbeam::channel::{Receiver, Sender, TrySendError, select_biased};

use super::second_look;

/// The outcome of a job.
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
    /// The message of the panic; "without a message" if it had none.
    pub message: String,
}

/// What the workers of a pool share.
pub(crate) struct Worker<J, R, W> {
    pub(crate) queue: Receiver<(u64, J)>,
    pub(crate) work: W,
    pub(crate) results: Sender<Done<R>>,
    /// Disconnected once the pool gives up.
    pub(crate) given_up: Receiver<Infallible>,
    /// Dropped, last of all, when the last worker has ended.
    pub(crate) _ending: Sender<Infallible>,
}

impl<J, R, W: Fn(usize, J) -> R> Worker<J, R, W> {
    /// Works until the pool is closed and the queue is empty.
    pub(crate) fn run(&self, id: usize) {
        while let Ok((number, job)) = second_look::recv(&self.queue) {
            // A job that panics may leave data that `work` shares between jobs half changed. A
            // `Mutex` around that data is poisoned then, so the worker need not stop.
            let result = catch_unwind(AssertUnwindSafe(|| (self.work)(id, job)))
                .map_err(|payload| Panicked { message: panic_message(payload) });
            let done = Done { job: number, result };
            if let Err(TrySendError::Full(done)) = second_look::try_send(&self.results, done) {
                // The result first: a finished job is reported as long as there is room.
                select_biased! {
                    send(self.results, done) -> _ => {}
                    recv(self.given_up) -> _ => {}
                }
            }
        }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for Panicked {}
