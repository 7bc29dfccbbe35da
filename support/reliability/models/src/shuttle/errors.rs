use std::io;
use std::time::Duration;

use common::{Cause, Context};
use errors::{Failure, Group, Summary, process_all};
use model::future::block_on;
use model::sync::Arc;
use model::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

use super::quiet_panic;

async fn work(id: u64) -> io::Result<u64> {
    yield_now().await;
    match id {
        2 => Err(io::Error::other("second")),
        3 => quiet_panic("third"),
        _ => Ok(id),
    }
}

pub fn first_error() {
    block_on(async {
        let ctx = Context::background();
        let mut results = process_all(&ctx, 3, (1..=5).map(|id| (id, work(id))));
        let (mut summary, mut ids) = (Summary::default(), Vec::new());
        let mut first = None;
        while let Some(ended) = results.next().await {
            summary.count(&ended.result);
            ids.push(ended.id);
            match ended.result {
                Err(Failure::Cancelled(cause)) => {
                    assert!(first.is_some(), "task {} is cancelled before an error", ended.id);
                    assert_eq!(cause, Cause::Canceled);
                }
                Err(_) => {
                    first.get_or_insert(ended.id);
                    ctx.cancel();
                }
                Ok(id) => assert_eq!(id, ended.id),
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5], "each task gives one result");
        assert!(matches!(first, Some(2 | 3)));
        assert_eq!(summary.successful + summary.failed + summary.cancelled, 5);
    });
}

pub fn given_up() {
    block_on(async {
        let second = Duration::from_secs(1);
        let tasks = (1..=3).map(|id| {
            let work = async move {
                sleep(second).await;
                work(id * 10).await
            };
            (id, work)
        });
        let mut results = process_all(&Context::background(), 2, tasks);
        let clock = tokio::spawn(async move {
            for _ in 0..3 {
                advance(second);
                yield_now().await;
            }
        });
        let mut ids = Vec::new();
        // Gives up on a result as often as the schedule wants; what counts is that none is lost.
        loop {
            tokio::select! {
                ended = results.next() => match ended {
                    Some(ended) => ids.push(ended.id),
                    None => break,
                },
                () = yield_now() => advance(second),
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3]);
        clock.await.expect("it does not panic");
    });
}

pub fn group() {
    block_on(async {
        let group = Group::new(&Context::background()).limit(2);
        let (ctx, spawner) = (group.context().clone(), group.spawner());
        let ended = Arc::new(AtomicUsize::new(0));
        for id in 1..=3 {
            let (ctx, spawner, ended) = (ctx.clone(), spawner.clone(), ended.clone());
            let work = async move {
                yield_now().await;
                match id {
                    1 => {
                        let sibling = ended.clone();
                        spawner.spawn(async move {
                            yield_now().await;
                            sibling.fetch_add(1, Ordering::SeqCst);
                            Err("the sibling's")
                        });
                    }
                    2 => {
                        ended.fetch_add(1, Ordering::SeqCst);
                        return Err("the second's");
                    }
                    _ => drop(ctx.done().await),
                }
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            group.spawn(work).await;
        }
        let first = group.wait().await.expect_err("two fail");
        assert_eq!(ended.load(Ordering::SeqCst), 4, "it has waited for all");
        assert!(["the sibling's", "the second's"].contains(&&*first.to_string()));
        assert_eq!(ctx.err(), Some(Cause::Canceled));
        let cause = ctx.cause().expect("it has ended");
        assert!(Arc::ptr_eq(&cause, &first), "{first} is reported, and {cause} is the cause");
    });
}
