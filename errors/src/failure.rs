use std::error::Error;
use std::fmt;

use common::Cause;

/// Why a task has no output.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E: Error + 'static> {
    /// It returned an error, which is kept with all its causes.
    #[error(transparent)]
    Failed(E),
    /// It panicked, with this message.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Its context ended first.
    #[error(transparent)]
    Cancelled(Cause),
}

/// A failure that ends the program, and the task that it comes from.
#[derive(Debug, thiserror::Error)]
#[error("task {id} failed")]
pub struct TaskFailed<E: Error + 'static> {
    /// The task's own number.
    pub id: u64,
    /// What happened to it.
    #[source]
    pub failure: Failure<E>,
}

/// The number of tasks by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tasks with an output.
    pub successful: usize,
    /// Tasks with an error or a panic.
    pub failed: usize,
    /// Tasks that their context stopped, or that never began.
    pub cancelled: usize,
}

impl Summary {
    /// Counts one more task.
    pub fn count<T, E: Error>(&mut self, result: &Result<T, Failure<E>>) {
        match result {
            Ok(_) => self.successful += 1,
            Err(Failure::Failed(_) | Failure::Panicked(_)) => self.failed += 1,
            Err(Failure::Cancelled(_)) => self.cancelled += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Summary: {} successful, {} failed", self.successful, self.failed)?;
        match self.cancelled {
            0 => Ok(()),
            cancelled => write!(f, ", {cancelled} cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProcessingError, Unlucky};

    #[test]
    fn a_failure_keeps_its_causes() {
        let failure = Failure::Failed(ProcessingError(Unlucky(0.125)));
        let failed = TaskFailed { id: 7, failure };
        assert_eq!(failed.to_string(), "task 7 failed");
        let failure = failed.source().unwrap();
        assert_eq!(failure.to_string(), "random processing error");
        let cause = failure.source().unwrap();
        assert_eq!(cause.downcast_ref(), Some(&Unlucky(0.125)));
        assert_eq!(cause.to_string(), "drew 0.125, which is below 0.3");
    }

    #[test]
    fn cancelled_tasks_are_mentioned_only_if_there_are_some() {
        let mut summary = Summary { successful: 5, failed: 5, cancelled: 0 };
        assert_eq!(summary.to_string(), "Summary: 5 successful, 5 failed");
        summary.cancelled = 2;
        assert_eq!(summary.to_string(), "Summary: 5 successful, 5 failed, 2 cancelled");
    }
}
