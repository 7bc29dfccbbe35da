#![doc = include_str!("../README.md")]

use std::error::Error;
use std::fmt;
use std::future::Future;

use common::{Cause, Context};

/// A task that was stopped before its end: why, and how far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many steps were done; the one under way does not count.
    pub done: usize,
    /// What ended the context.
    pub cause: Cause,
}

/// Runs `step(1)` to `step(steps)` one after the other, or until the context ends: then the step
/// under way is dropped where it waits.
///
/// # Cancel safety
///
/// As cancel safe as a step is. Dropping the future loses the number of steps done.
pub async fn run_steps<F: Future<Output = ()>>(
    ctx: &Context,
    steps: usize,
    mut step: impl FnMut(usize) -> F,
) -> Result<(), Stopped> {
    for number in 1..=steps {
        // Begun inside `run`, which polls nothing once the context has ended.
        let step = async { step(number).await };
        ctx.run(step).await.map_err(|cause| Stopped { done: number - 1, cause })?;
    }
    Ok(())
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped after {} steps", self.done)
    }
}

impl Error for Stopped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leaks::leak_check;
    use tokio::time::{Instant, Sleep, sleep};

    use super::*;

    const STEP: Duration = Duration::from_millis(300);

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn ends_at_its_deadline_and_reports_how_far_it_got() {
        let started = Instant::now();
        let deadline = Duration::from_secs(2);
        let ctx = Context::background().with_timeout(deadline);
        let mut begun = 0;
        let end = run_steps(&ctx, 10, |number| {
            begun = number;
            sleep(STEP)
        });
        let stopped = end.await.unwrap_err();
        assert_eq!(stopped, Stopped { done: 6, cause: Cause::DeadlineExceeded });
        assert_eq!((begun, started.elapsed()), (7, deadline));
        assert_eq!(stopped.to_string(), "stopped after 6 steps");
        assert_eq!(stopped.source().unwrap().to_string(), "context deadline exceeded");
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn with_enough_time_every_step_runs_once_and_in_order() {
        let mut numbers = Vec::new();
        let ctx = Context::background();
        let end = run_steps(&ctx, 4, |number| {
            numbers.push(number);
            sleep(STEP)
        });
        assert_eq!(end.await, Ok(()));
        assert_eq!(numbers, [1, 2, 3, 4]);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_context_that_has_ended_begins_no_step() {
        let ctx = Context::background();
        ctx.cancel();
        let end = run_steps(&ctx, 4, |_| -> Sleep { panic!("begun") }).await;
        assert_eq!(end, Err(Stopped { done: 0, cause: Cause::Canceled }));
    }
}
