#![doc = include_str!("../README.md")]

mod server;

use std::future::Future;
use std::time::Duration;

use common::Context;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use server::{Server, Unclean};

/// Runs `work` once every `period`, for the first time after one `period`, until the context ends.
/// Then the wait for the next call ends at once, and work that has begun runs to its end.
///
/// If the work takes longer than a period, the calls that fall into it are skipped. A period is a
/// millisecond at least, which is how finely tokio's timer ticks.
///
/// # Cancel safety
///
/// Dropping the future cuts the work short; ending the context does not.
pub async fn every<F>(ctx: &Context, period: Duration, mut work: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    let period = period.max(Duration::from_millis(1));
    let Some(first) = Instant::now().checked_add(period) else {
        ctx.done().await; // the first call is beyond what the clock can express
        return;
    };
    let mut ticks = interval_at(first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while ctx.run(ticks.tick()).await.is_ok() {
        work().await;
    }
}

#[cfg(test)]
mod tests {
    use common::Cause;
    use leaks::leak_check;
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn ends_at_once_while_it_waits() {
        let started = Instant::now();
        let ctx = Context::background().with_timeout(SECOND * 5 / 2);
        let mut ticks = 0;
        let work = || {
            ticks += 1;
            async {}
        };
        every(&ctx, SECOND, work).await;
        assert_eq!((ticks, started.elapsed()), (2, SECOND * 5 / 2));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_period_beyond_the_clock_never_comes() {
        let ctx = Context::background().with_timeout(SECOND);
        every(&ctx, Duration::MAX, || async { panic!("it comes") }).await;
        assert_eq!(ctx.err(), Some(Cause::DeadlineExceeded));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn work_that_has_begun_runs_to_its_end() {
        let started = Instant::now();
        let ctx = Context::background().with_timeout(SECOND * 2);
        let mut done = 0;
        let work = || {
            done += 1;
            sleep(SECOND * 9)
        };
        every(&ctx, SECOND, work).await;
        assert_eq!((done, started.elapsed()), (1, SECOND * 10));
    }
}
