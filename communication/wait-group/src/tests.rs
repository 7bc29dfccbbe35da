use std::panic::panic_any;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use leaks::leak_check;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;

fn panicked(worker: usize, message: &str) -> Panicked {
    Panicked { worker, message: message.to_owned() }
}

/// The panics. A hang becomes a failure, because the paused clock jumps to the time-out.
async fn ended(group: &TaskGroup) -> Vec<Panicked> {
    timeout(Duration::from_hours(1), group.wait()).await.expect("it ends")
}

#[test]
fn waiting_for_threads_ends_after_the_last_thread() {
    let done = AtomicUsize::new(0);
    let start = Barrier::new(101); // no thread is done before all are started
    thread::scope(|scope| {
        let mut group = ThreadGroup::new(scope);
        for _ in 0..100 {
            group.spawn(|| {
                start.wait();
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        start.wait();
        assert_eq!(group.wait(), []);
        assert_eq!(done.load(Ordering::Relaxed), 100);
    });
}

#[test]
fn a_thread_that_panics_counts_down_and_is_reported() {
    struct NoMessage;
    let panics = thread::scope(|scope| {
        let mut group = ThreadGroup::new(scope);
        group.spawn(|| panic!("the first"));
        group.spawn(|| {});
        group.spawn(|| panic!("number {}", 3));
        group.spawn(|| panic_any(NoMessage));
        group.wait()
    });
    let mut panics = panics;
    panics.sort_by_key(|panicked| panicked.worker);
    assert_eq!(
        panics,
        [panicked(1, "the first"), panicked(3, "number 3"), panicked(4, "without a message")]
    );
    assert_eq!(panics[0].to_string(), "worker 1 panicked: the first");
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("once more");
    }
}

#[test]
fn a_panic_in_a_drop_is_one_panic_of_a_thread() {
    let panics = thread::scope(|scope| {
        let mut group = ThreadGroup::new(scope);
        group.spawn(|| panic_any(PanicsWhenDropped));
        group.wait()
    });
    assert_eq!(panics, [panicked(1, "without a message")]);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_drop_is_one_panic_of_a_task() {
    let mut group = TaskGroup::new();
    group.spawn(async { panic_any(PanicsWhenDropped) });
    group.spawn(async {
        let _dropped_at_the_end = PanicsWhenDropped;
    });
    let told = [panicked(1, "without a message"), panicked(2, "once more")];
    assert_eq!(ended(&group).await, told);
}

#[test]
fn a_group_without_workers_does_not_wait() {
    assert_eq!(thread::scope(|scope| ThreadGroup::new(scope).wait()), []);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn waiting_for_tasks_ends_after_the_last_task() {
    let done = Arc::new(AtomicUsize::new(0));
    let mut group = TaskGroup::new();
    for id in 0..100 {
        let done = Arc::clone(&done);
        group.spawn(async move {
            sleep(Duration::from_secs(id)).await;
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(ended(&group).await, []);
    assert_eq!(done.load(Ordering::Relaxed), 100);
    assert_eq!(Arc::strong_count(&done), 1, "the group holds what its tasks held");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_task_that_panics_counts_down_and_is_reported() {
    let mut group = TaskGroup::new();
    group.spawn(async { panic!("at once") });
    group.spawn(sleep(Duration::from_secs(2)));
    group.spawn(async {
        sleep(Duration::from_secs(1)).await;
        panic!("after a {}", "wait");
    });
    assert_eq!(ended(&group).await, [panicked(1, "at once"), panicked(3, "after a wait")]);
    assert_eq!(ended(&group).await, [], "a panic is reported once");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_wait_for_tasks_can_be_dropped_and_repeated() {
    let (release, released) = oneshot::channel::<()>();
    let mut group = TaskGroup::new();
    group.spawn(async { drop(released.await) });
    let hour = Duration::from_hours(1);
    assert!(timeout(hour, group.wait()).await.is_err(), "it is still at work");
    drop(release);
    assert_eq!(timeout(hour, group.wait()).await, Ok(vec![]));
    group.spawn(sleep(hour)); // the group can be used again
    assert!(timeout(hour / 2, group.wait()).await.is_err(), "it sleeps");
    assert_eq!(timeout(hour, group.wait()).await, Ok(vec![]));
}
