//! The models for loom: every schedule with three preemptions at most.

use crate::Model;

mod context;
mod panics;
mod pool;

const fn good(name: &'static str, run: fn()) -> Model {
    Model { name, bad: false, run }
}

const fn bad(name: &'static str, run: fn()) -> Model {
    Model { name, bad: true, run }
}

/// All of them.
pub const MODELS: &[Model] = &[
    good("context: a cancel wakes every waiter, there and below", context::good::cancel_wakes),
    good("context: the first cause is the same for every caller", context::good::first_cause),
    good("context: a child that ends with its parent has its cause", context::good::child_agrees),
    good("context: a waiter sees the end as soon as others", context::good::hears_at_once),
    good("context: a child of a context that is being cancelled ends", context::good::new_child),
    good("context: a deadline wakes the waiter", context::good::deadline_wakes),
    good("context: the last handles free the chain, in any order", context::good::freed),
    bad(
        "context, the decision does not stand: first cause",
        context::decision_does_not_stand::first_cause,
    ),
    bad(
        "context, the decision does not stand: a child agrees",
        context::decision_does_not_stand::child_agrees,
    ),
    bad(
        "context, a cancel looks at no clock: a deadline wakes",
        context::cancel_looks_at_no_clock::deadline_wakes,
    ),
    bad("context, run polls first: hears at once", context::run_polls_first::hears_at_once),
    bad("context, one is woken: a cancel wakes", context::one_is_woken::cancel_wakes),
    good("wait-group: no panic is lost or reported twice", panics::none_lost),
    good("worker-pool: every job gives one result, and the results end", pool::every_job),
    good("worker-pool: a result is read while the pool is closed", pool::read_while_closing),
    good("worker-pool: giving up waits for no reader, and drops every job", pool::giving_up),
];
