//! The models for shuttle: random schedules, and those of PCT.

use std::panic::resume_unwind;

use crate::Model;

mod context;
mod errors;
mod fan;
mod leaks;
mod pipeline;
mod pool;
mod shutdown;
mod wait_group;

const fn good(name: &'static str, run: fn()) -> Model {
    Model { name, bad: false, run }
}

const fn bad(name: &'static str, run: fn()) -> Model {
    Model { name, bad: true, run }
}

/// All of them.
pub const MODELS: &[Model] = &[
    good("worker-pool: every job of every submitter gives one result", pool::every_job),
    good("worker-pool: a panic is the error of its job", pool::panics),
    good("worker-pool: a submit is accepted or cancelled", pool::submit_unless),
    good("worker-pool: a cancelled close finishes or drops every job", pool::close_unless),
    good("worker-pool: giving up waits for no reader", pool::giving_up),
    good("pipeline: nothing is lost or reordered", pipeline::good::order),
    good("pipeline: an early stop ends every stage", pipeline::good::early_stop),
    good("pipeline: a stage that ends early ends those before it", pipeline::good::early_end),
    good(
        "pipeline: a panic loses nothing before it and resumes in the reader",
        pipeline::good::panics,
    ),
    bad("pipeline, an early end is not reported", pipeline::early_end_is_not_reported::early_end),
    bad("pipeline, a panic is not reported", pipeline::panic_is_not_reported::panics),
    good("fan-out-fan-in: every item gives one result, and the results end", fan::every_item),
    good("fan-out-fan-in: the order is kept", fan::ordered),
    good("fan-out-fan-in: dropping the results stops every task", fan::early_stop),
    good("fan-out-fan-in: a panic costs one item and no worker", fan::panics),
    good("fan-out-fan-in: a panic leaves a gap in the order", fan::gaps),
    good("fan-out-fan-in: several streams become one", fan::merged),
    good(
        "errors: the first error cancels the rest, and each gives one result",
        errors::first_error,
    ),
    good("errors: giving up on a result loses none", errors::given_up),
    good("errors: a group reports its first error, its cause, at the end", errors::group),
    good("shutdown: all are drained, or named as late or panicked", shutdown::drain),
    good("shutdown: work that has begun runs to its end", shutdown::every_tick),
    good("wait-group: tasks are waited for, and every panic is reported", wait_group::tasks),
    good("wait-group: threads are waited for, and every panic is reported", wait_group::threads),
    good("context: a cancel or a deadline ends every waiter, for one cause", context::waiters),
    good("cancellation: a cancelled forward loses nothing", context::loses_nothing),
    good("leaks: never more than the limit run, whatever panics", leaks::at_most),
    good("leaks: the total is exact", leaks::total),
];

/// A panic that prints nothing: otherwise each schedule would print a line.
fn quiet_panic(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}
