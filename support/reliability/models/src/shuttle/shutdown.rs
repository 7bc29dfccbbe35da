use std::future::pending;
use std::time::Duration;

use common::Context;
use model::future::block_on;
use model::sync::Arc;
use model::sync::atomic::{AtomicUsize, Ordering};
use shutdown::{Server, every};
use tokio::spawn;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{advance, sleep};

use super::quiet_panic;

const SECOND: Duration = Duration::from_secs(1);

pub fn drain() {
    block_on(async {
        let held = Arc::new(());
        let mut server = Server::new(&Context::background());
        let [a, b, c, d] = [(); 4].map(|()| held.clone());
        server.start("obedient", async move |ctx| {
            ctx.done().await;
            drop(a);
        });
        server.start("in flight", async move |_| {
            sleep(SECOND).await;
            drop(b);
        });
        server.start("panics", async move |ctx| {
            ctx.done().await;
            drop(c);
            quiet_panic("bad")
        });
        server.start("stubborn", async move |_| {
            let _held = d;
            pending().await
        });
        let clock = clock();
        let unclean = server.shutdown(2 * SECOND).await.expect_err("one is stubborn");
        clock.abort();
        assert!(unclean.late.contains("stubborn"), "{unclean}");
        let either = unclean.late.contains("panics") != unclean.panicked.contains_key("panics");
        assert!(either, "late or panicked, and not both: {unclean}");
        assert!(unclean.panicked.len() <= 1, "{unclean}");
        while Arc::strong_count(&held) > 1 {
            yield_now().await; // the aborted tasks end
        }
    });
}

pub fn every_tick() {
    block_on(async {
        let ctx = Context::background().with_timeout(2 * SECOND);
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (begun.clone(), ended.clone());
        let ticking = spawn(async move {
            let work = || {
                let (begun, ended) = counts.clone();
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    sleep(SECOND).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            };
            every(&ctx, SECOND, work).await;
        });
        let clock = clock();
        ticking.await.expect("it does not panic");
        clock.abort();
        let begun = begun.load(Ordering::SeqCst);
        assert_eq!(begun, ended.load(Ordering::SeqCst));
        assert!(begun <= 2);
    });
}

/// A task that lets time pass until it is aborted.
fn clock() -> JoinHandle<()> {
    spawn(async {
        loop {
            advance(SECOND);
            yield_now().await;
        }
    })
}
