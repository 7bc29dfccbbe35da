//! Shows the traps that the page warns of.

use std::cell::Cell;
use std::time::Duration;

use common::{Cause, Context};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_step_that_is_cut_off_leaves_its_work_half_done() {
    let (taken, given) = (Cell::new(0), Cell::new(0));
    let transfer = async || {
        taken.set(taken.get() + 1);
        sleep(Duration::from_secs(2)).await;
        given.set(given.get() + 1);
    };
    let ctx = Context::background().with_timeout(Duration::from_secs(3));

    // The deadline comes in the second transfer: it has taken, and never gives.
    let twice = async {
        transfer().await;
        transfer().await;
    };
    assert_eq!(ctx.run(twice).await, Err(Cause::DeadlineExceeded));
    assert_eq!((taken.get(), given.get()), (2, 1));

    // Asked between the steps: late, and whole.
    let ctx = Context::background().with_timeout(Duration::from_secs(3));
    while ctx.err().is_none() {
        transfer().await;
    }
    assert_eq!((taken.get(), given.get()), (4, 3));
}
