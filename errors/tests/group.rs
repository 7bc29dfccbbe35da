//! A group does what a Go programmer expects of `errgroup`, and what its page promises beyond that.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Cause, Context};
use errors::{Failure, Group, GroupError};
use leaks::{leak_check, live_tasks};
use tokio::sync::Barrier;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

fn group() -> Group {
    Group::new(&Context::background())
}

/// The result of `wait`. A hang becomes a failure, because the paused clock jumps to the time-out.
async fn ended(group: Group) -> Result<(), GroupError> {
    timeout(HOUR, group.wait()).await.expect("it ends")
}

const DONE: Result<(), Infallible> = Ok(());

async fn rests(seconds: u32) -> Result<(), Infallible> {
    sleep(SECOND * seconds).await;
    DONE
}

async fn fails_after(seconds: u32, message: &'static str) -> Result<(), &'static str> {
    sleep(SECOND * seconds).await;
    Err(message)
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn without_an_error_wait_ends_after_the_last_task() {
    let (group, started, done) = (group(), Instant::now(), Arc::new(AtomicUsize::new(0)));
    for seconds in 0..100_u32 {
        let done = Arc::clone(&done);
        let work = async move {
            sleep(SECOND * seconds).await;
            done.fetch_add(1, Ordering::Relaxed);
            DONE
        };
        group.spawn(work).await;
    }
    assert!(ended(group).await.is_ok());
    assert_eq!((started.elapsed(), done.load(Ordering::Relaxed)), (99 * SECOND, 100));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_group_without_tasks_does_not_wait() {
    let started = Instant::now();
    assert!(ended(group()).await.is_ok());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_first_error_is_reported_after_all_tasks_have_ended() {
    let (group, started) = (group(), Instant::now());
    group.spawn(fails_after(3, "the last")).await;
    group.spawn(fails_after(1, "the first")).await;
    group.spawn(rests(5)).await; // does not listen
    assert_eq!(ended(group).await.unwrap_err().to_string(), "the first");
    assert_eq!(started.elapsed(), 5 * SECOND);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn an_error_ends_the_context_at_once_without_a_wait() {
    let (group, started) = (group(), Instant::now());
    let ctx = group.context().clone();
    group.spawn(fails_after(1, "no such host")).await;
    for _ in 0..10 {
        let ctx = ctx.clone();
        group.spawn(async move { ctx.run(pending::<()>()).await }).await;
    }
    assert_eq!(timeout(HOUR, ctx.done()).await, Ok(Cause::Canceled));
    assert_eq!(started.elapsed(), SECOND);
    assert_eq!(ended(group).await.unwrap_err().to_string(), "no such host");
    assert_eq!(started.elapsed(), SECOND);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_first_error_is_the_cause_of_the_context_and_those_below_it() {
    let group = group();
    let (ctx, below) = (group.context().clone(), group.context().with_cancel());
    group.spawn(async { Err(io::Error::other("disk full")) }).await;
    group.spawn(fails_after(1, "a later one")).await;
    let first = ended(group).await.unwrap_err();
    for ctx in [ctx, below] {
        assert!(Arc::ptr_eq(&ctx.cause().unwrap(), &first));
    }
    assert!(first.is::<io::Error>(), "it can be told by its type");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn an_error_after_the_end_of_the_parent_is_reported_and_does_not_become_the_cause() {
    let parent = Context::background();
    let group = Group::new(&parent);
    let ctx = group.context().clone();
    group.spawn(fails_after(1, "a task's")).await;
    parent.cancel_with("the parent's");
    assert_eq!(ended(group).await.unwrap_err().to_string(), "a task's");
    assert_eq!(ctx.cause().unwrap().to_string(), "the parent's");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_context_ends_when_wait_returns_and_never_the_parent() {
    for fails in [false, true] {
        let parent = Context::background();
        let group = Group::new(&parent);
        let ctx = group.context().clone();
        group.spawn(async move { if fails { Err("bad") } else { Ok(()) } }).await;
        assert_eq!(ended(group).await.is_err(), fails);
        assert_eq!((ctx.err(), parent.err()), (Some(Cause::Canceled), None));
    }
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn the_end_of_the_parent_ends_the_tasks_that_listen() {
    let parent = Context::background().with_timeout(SECOND);
    let group = Group::new(&parent);
    let ctx = group.context().clone();
    group.spawn(async move { ctx.run(pending::<()>()).await }).await;
    let err = ended(group).await.unwrap_err();
    assert_eq!(err.downcast_ref(), Some(&Cause::DeadlineExceeded));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn an_error_of_any_type_is_kept_as_it_is() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("exit status {0}")]
    struct Status(i32);

    let of = async |err: Result<(), Box<dyn Error + Send + Sync>>| {
        let group = group();
        group.spawn(async { err }).await;
        ended(group).await.unwrap_err()
    };
    assert_eq!(of(Err("a text".into())).await.to_string(), "a text");
    assert_eq!(of(Err(Status(7).into())).await.downcast_ref(), Some(&Status(7)));

    let group = group();
    group.spawn(async { Err(io::Error::other(Status(8))) }).await;
    let err = ended(group).await.unwrap_err();
    let err: &io::Error = err.downcast_ref().unwrap();
    assert_eq!(err.get_ref().unwrap().downcast_ref(), Some(&Status(8)));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn an_error_goes_through_a_question_mark() {
    async fn all() -> Result<(), Box<dyn Error + Send + Sync>> {
        let group = group();
        group.spawn(async { Err("bad") }).await;
        Ok(group.wait().await?)
    }
    assert_eq!(all().await.unwrap_err().to_string(), "bad");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_with_its_message() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("once more");
        }
    }
    let panics: [fn(); 2] = [|| panic!("job {}", 3), || panic_any(PanicsWhenDropped)];
    for (panics, told) in panics.into_iter().zip(["panicked: job 3", "panicked: without a message"])
    {
        let (group, started) = (group(), Instant::now());
        let ctx = group.context().clone();
        group.spawn(async move { ctx.run(pending::<()>()).await }).await;
        let bad = async move {
            panics();
            DONE
        };
        group.spawn(bad).await;
        let err = ended(group).await.unwrap_err();
        assert!(matches!(err.downcast_ref(), Some(Failure::<Infallible>::Panicked(_))), "{err}");
        assert_eq!((err.to_string(), started.elapsed()), (told.to_owned(), Duration::ZERO));
    }
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn never_more_than_the_limit_run_and_the_limit_is_used_to_the_full() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let (group, meet) = (group().limit(3), Arc::new(Barrier::new(3))); // opens for three at once
    let started = Instant::now();
    for _ in 0..30 {
        let meet = Arc::clone(&meet);
        let work = async move {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst);
            meet.wait().await;
            sleep(SECOND).await; // a fourth would come in now
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            if running < 3 { Ok(()) } else { Err("a fourth") }
        };
        group.spawn(work).await;
    }
    assert!(ended(group).await.is_ok());
    assert_eq!(started.elapsed(), 10 * SECOND);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn at_the_limit_a_spawn_waits_and_can_be_given_up() {
    let group = group().limit(1);
    group.spawn(rests(2)).await;
    let given_up = timeout(SECOND, group.spawn(async { Err("it has begun") })).await;
    assert!(given_up.is_err());
    assert_eq!(live_tasks(), 1, "what waits for its place is no task");
    let waiting = timeout(2 * SECOND, group.spawn(async { DONE })).await;
    assert!(waiting.is_ok());
    assert!(ended(group).await.is_ok());
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_place_comes_back_however_a_task_ends() {
    let group = group().limit(1);
    group.spawn(async { Err("bad") }).await;
    group.spawn::<Infallible>(async { panic!("worse") }).await;
    let third = timeout(HOUR, group.spawn(async { DONE })).await;
    assert!(third.is_ok());
    assert_eq!(ended(group).await.unwrap_err().to_string(), "bad");
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_task_starts_siblings_that_are_waited_for_even_at_the_limit() {
    let (group, done) = (group().limit(1), Arc::new(AtomicUsize::new(0)));
    let (spawner, count) = (group.spawner(), Arc::clone(&done));
    let parent = async move {
        for child in 0..3 {
            let (grandchildren, count) = (spawner.clone(), Arc::clone(&count));
            spawner.spawn(async move {
                sleep(SECOND).await;
                grandchildren.spawn(async move {
                    sleep(SECOND).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    if child == 2 { Err("a grandchild's") } else { Ok(()) }
                });
                DONE
            });
        }
        DONE
    };
    group.spawn(parent).await;
    let started = Instant::now();
    assert_eq!(ended(group).await.unwrap_err().to_string(), "a grandchild's");
    assert_eq!((done.load(Ordering::Relaxed), started.elapsed()), (3, 6 * SECOND));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn dropping_a_group_cancels_its_tasks_and_starts_none() {
    let (held, begun) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let group = group().limit(1);
    let spawner = group.spawner();
    let (kept, count) = (Arc::clone(&held), Arc::clone(&begun));
    let deaf = async move {
        count.fetch_add(1, Ordering::Relaxed);
        pending::<()>().await;
        drop(kept);
        DONE
    };
    group.spawn(deaf).await;
    let spawn = |spawner: &errors::Spawner| {
        let count = Arc::clone(&begun);
        spawner.spawn(async move {
            count.fetch_add(1, Ordering::Relaxed);
            DONE
        });
    };
    spawn(&spawner); // waits for its place
    let waiting = timeout(SECOND, group.wait()).await; // and gives up, which drops the group
    assert!(waiting.is_err());
    spawn(&spawner);
    sleep(SECOND).await;
    assert_eq!((Arc::strong_count(&held), begun.load(Ordering::Relaxed), live_tasks()), (1, 1, 0));
}

#[test]
#[should_panic(expected = "the limit must be at least 1")]
fn a_limit_of_zero_is_refused() {
    drop(group().limit(0));
}

#[leak_check]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_simultaneous_errors_is_the_first() {
    for _ in 0..200 {
        let group = group();
        for id in 0..8 {
            group.spawn(async move { Err(io::Error::other(id.to_string())) }).await;
        }
        let ctx = group.context().clone();
        let first: usize = ended(group).await.unwrap_err().to_string().parse().unwrap();
        assert!(first < 8);
        assert_eq!(ctx.err(), Some(Cause::Canceled));
    }
}
