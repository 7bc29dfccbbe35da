use leaks::{Counter, limited};
use model::future::block_on;
use model::sync::Arc;
use model::sync::atomic::{AtomicUsize, Ordering};
use tokio::spawn;
use tokio::task::yield_now;

use super::quiet_panic;

const LIMIT: usize = 2;

pub fn at_most() {
    block_on(async {
        let running = Arc::new(AtomicUsize::new(0));
        let work = |bad: usize| {
            let running = running.clone();
            (0..4).map(move |at| {
                let running = running.clone();
                async move {
                    assert!(running.fetch_add(1, Ordering::SeqCst) < LIMIT, "one too many");
                    yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    if at == bad {
                        quiet_panic("bad");
                    }
                    at
                }
            })
        };
        let mut done = limited(LIMIT, work(usize::MAX)).await;
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3]);
        let panic = spawn(limited(LIMIT, work(1))).await.expect_err("it panics").into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"bad"), "and a permit that is lost would hang");
    });
}

pub fn total() {
    block_on(async {
        let counter = Counter::start();
        for from in [1, 3] {
            let adder = counter.adder();
            spawn(async move {
                adder.add(from).await;
                adder.add(from + 1).await;
            });
        }
        assert_eq!(counter.total().await, 10);
    });
}
