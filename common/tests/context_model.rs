//! Random trees of contexts on a paused clock, against a reference that is too simple to be wrong:
//! it looks at every context after every step, so it knows at once what ended which.

use std::time::Duration;

use common::{Cause, Context};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance};

#[derive(Clone, Debug)]
enum Step {
    Child(Index, Kind),
    Cancel(Index),
    CancelWith(Index, u64),
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Cancel,
    Timeout(u64),
    Deadline(u64),
    Value(u64),
    WithoutCancel,
}

/// How a context ended: with the error that it was cancelled with, if there was one.
type End = (Cause, Option<u64>);

/// One context as the reference sees it. Times are milliseconds since the start.
struct Model {
    /// The context that it ends with.
    parent: Option<usize>,
    /// The context where values are looked up after its own.
    above: Option<usize>,
    deadline: Option<u64>,
    value: Option<u64>,
    ended: Option<End>,
}

struct Pair {
    model: Model,
    real: Context,
    /// Only every second context has a waiter: the others end unwatched.
    waiter: Option<JoinHandle<Cause>>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = 0..50_u64;
    let kind = prop_oneof![
        Just(Kind::Cancel),
        time.clone().prop_map(Kind::Timeout),
        time.clone().prop_map(Kind::Deadline),
        (0..9_u64).prop_map(Kind::Value),
        Just(Kind::WithoutCancel),
    ];
    let step = prop_oneof![
        4 => (any::<Index>(), kind).prop_map(|(parent, kind)| Step::Child(parent, kind)),
        1 => any::<Index>().prop_map(Step::Cancel),
        1 => (any::<Index>(), 0..9_u64).prop_map(|(index, why)| Step::CancelWith(index, why)),
        2 => time.prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

    #[test]
    fn contexts_do_what_the_reference_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let start = Instant::now();
    let mut now = 0;
    let root = Model { parent: None, above: None, deadline: None, value: None, ended: None };
    let mut pairs = Vec::new();
    push(&mut pairs, root, Context::background());
    for step in steps {
        match step {
            Step::Child(parent, kind) => {
                let parent = parent.index(pairs.len());
                let model = model_child(&pairs, parent, kind, now);
                let real = real_child(&pairs[parent].real, kind, start);
                push(&mut pairs, model, real);
            }
            Step::Cancel(index) => {
                let index = index.index(pairs.len());
                pairs[index].model.ended.get_or_insert((Cause::Canceled, None));
                pairs[index].real.cancel();
            }
            Step::CancelWith(index, why) => {
                let index = index.index(pairs.len());
                pairs[index].model.ended.get_or_insert((Cause::Canceled, Some(why)));
                pairs[index].real.cancel_with(why.to_string());
            }
            Step::Advance(millis) => {
                now += millis;
                advance(Duration::from_millis(millis)).await;
            }
        }
        end_what_is_due(&mut pairs, now);
        check(&pairs, start).await;
    }
    for (index, Pair { model, real, waiter }) in pairs.into_iter().enumerate() {
        assert_eq!(end(&real), model.ended, "cause {index} at the end");
        match (waiter, model.ended.map(|(cause, _)| cause)) {
            (Some(waiter), Some(cause)) => assert_eq!(waiter.await.ok(), Some(cause)),
            (Some(waiter), None) => waiter.abort(),
            (None, _) => {}
        }
    }
}

fn push(pairs: &mut Vec<Pair>, model: Model, real: Context) {
    let context = real.clone();
    let watched = pairs.len().is_multiple_of(2);
    let waiter = watched.then(|| tokio::spawn(async move { context.done().await }));
    pairs.push(Pair { model, real, waiter });
}

fn model_child(pairs: &[Pair], parent: usize, kind: Kind, now: u64) -> Model {
    let Model { deadline, ended, .. } = pairs[parent].model;
    let own = match kind {
        Kind::Timeout(millis) => Some(now + millis),
        Kind::Deadline(at) => Some(at),
        Kind::Cancel | Kind::Value(_) => None,
        Kind::WithoutCancel => {
            let (deadline, value, ended) = (None, None, None);
            return Model { parent: None, above: Some(parent), deadline, value, ended };
        }
    };
    let value = if let Kind::Value(value) = kind { Some(value) } else { None };
    let deadline = [deadline, own].into_iter().flatten().min();
    // A child of an ended context has ended too, and for the same cause.
    Model { parent: Some(parent), above: Some(parent), deadline, value, ended }
}

fn real_child(parent: &Context, kind: Kind, start: Instant) -> Context {
    match kind {
        Kind::Cancel => parent.with_cancel(),
        Kind::Timeout(millis) => parent.with_timeout(Duration::from_millis(millis)),
        Kind::Deadline(at) => parent.with_deadline(start + Duration::from_millis(at)),
        Kind::Value(value) => parent.with_value(value),
        Kind::WithoutCancel => parent.without_cancel(),
    }
}

/// Parents come before their children, so one pass carries every end down the tree.
fn end_what_is_due(pairs: &mut [Pair], now: u64) {
    for index in 0..pairs.len() {
        let model = &pairs[index].model;
        let inherited = model.parent.and_then(|parent| pairs[parent].model.ended);
        let overdue = model.deadline.is_some_and(|deadline| deadline <= now);
        let ended =
            model.ended.or(overdue.then_some((Cause::DeadlineExceeded, None))).or(inherited);
        pairs[index].model.ended = ended;
    }
}

async fn check(pairs: &[Pair], start: Instant) {
    for _ in 0..4 {
        yield_now().await; // lets the woken waiters run
    }
    for (index, pair) in pairs.iter().enumerate() {
        let Model { deadline, ended, .. } = pair.model;
        if let Some(waiter) = &pair.waiter {
            assert_eq!(waiter.is_finished(), ended.is_some(), "waiter {index}");
        }
        let deadline = deadline.map(|millis| start + Duration::from_millis(millis));
        assert_eq!(pair.real.deadline(), deadline, "deadline {index}");
        assert_eq!(pair.real.value().copied(), value(pairs, index), "value {index}");
        // Asking for a cause records it, so most contexts are not asked before the end.
        if index % 3 == 0 {
            assert_eq!(end(&pair.real), ended, "cause {index}");
        }
    }
}

fn end(real: &Context) -> Option<End> {
    let why = real.cause()?.to_string().parse().ok();
    Some((real.err()?, why))
}

fn value(pairs: &[Pair], index: usize) -> Option<u64> {
    let model = &pairs[index].model;
    model.value.or_else(|| value(pairs, model.above?))
}
