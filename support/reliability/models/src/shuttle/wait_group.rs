use model::future::block_on;
use model::sync::Arc;
use model::sync::atomic::{AtomicUsize, Ordering};
use model::thread::scope;
use tokio::task::yield_now;
use wait_group::{Panicked, TaskGroup, ThreadGroup};

use super::quiet_panic;

fn bad(worker: usize) -> Panicked {
    Panicked { worker, message: "bad".to_owned() }
}

pub fn tasks() {
    block_on(async {
        let done = Arc::new(AtomicUsize::new(0));
        let mut group = TaskGroup::new();
        for worker in 1..=3 {
            let done = done.clone();
            group.spawn(async move {
                yield_now().await;
                done.fetch_add(1, Ordering::SeqCst);
                if worker == 2 {
                    quiet_panic("bad");
                }
            });
        }
        assert_eq!(group.wait().await, [bad(2)]);
        assert_eq!(done.load(Ordering::SeqCst), 3);
        assert_eq!(group.wait().await, []);
    });
}

pub fn threads() {
    let done = AtomicUsize::new(0);
    let panics = scope(|scope| {
        let mut group = ThreadGroup::new(scope);
        for worker in 1..=3 {
            let done = &done;
            group.spawn(move || {
                done.fetch_add(1, Ordering::SeqCst);
                if worker == 2 {
                    quiet_panic("bad");
                }
            });
        }
        let panics = group.wait();
        assert_eq!(done.load(Ordering::SeqCst), 3);
        panics
    });
    assert_eq!(panics, [bad(2)]);
}
