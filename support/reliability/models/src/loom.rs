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
    good("context: a cancel wakes who waits for it and below it", context::good::cancel_wakes),
    good("context: the first cause stands for all who look", context::good::first_cause),
    good("context: a child of a context that is being cancelled ends", context::good::new_child),
    good("context: a deadline wakes who waits", context::good::deadline_wakes),
    good("context: the last handles free the chain, whoever drops them", context::good::freed),
    bad(
        "context, the cause does not stand: first cause",
        context::cause_does_not_stand::first_cause,
    ),
    bad("context, one is woken: a cancel wakes", context::one_is_woken::cancel_wakes),
    good("wait-group: no panic is lost or told twice", panics::none_lost),
    good("worker-pool: every job gives one result, and the results end", pool::every_job),
    good("worker-pool: a result is read while the pool is closed", pool::read_while_closing),
    good("worker-pool: giving up waits for no reader, and drops every job", pool::giving_up),
];
