use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many schedules are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What `.ci/run` has time for: loom with 2 preemptions, shuttle with 2,000 schedules.
    Short,
    /// loom with 3 preemptions, shuttle with 25,000 schedules of each kind.
    Full,
}

/// Runs `model` in one schedule after the other, and returns in how many. It panics, or aborts the
/// process, in the first one in which `model` panics or deadlocks.
pub fn check(effort: Effort, model: impl Fn() + Send + Sync + 'static) -> u64 {
    let schedules = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&schedules);
    run(effort, move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    schedules.load(Ordering::Relaxed)
}

/// Every schedule with at most this many preemptions.
#[cfg(loom)]
fn run(effort: Effort, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(if effort == Effort::Short { 2 } else { 3 });
    builder.max_branches = 100_000;
    builder.check(model);
}

/// Half of the schedules are random; the others give every thread a priority, and change it at
/// three random moments (PCT of depth 3).
#[cfg(not(loom))]
fn run(effort: Effort, model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, FailurePersistence, Runner};

    let schedules = if effort == Effort::Short { 1_000 } else { 25_000 };
    let model = Arc::new(model);
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::Print;
    config.silence_warnings = true; // of orderings that are taken to be sequentially consistent
    let random = Arc::clone(&model);
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(move || random());
    Runner::new(PctScheduler::new(3, schedules), config).run(move || model());
}
