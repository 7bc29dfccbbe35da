//! Shows the traps that the page warns of.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};

#[tokio::test]
async fn a_dropped_handle_leaves_the_task_running_and_its_panic_unreported() {
    let (go_on, told) = oneshot::channel();
    let (done, ended) = oneshot::channel::<()>();
    drop(tokio::spawn(async move {
        told.await.unwrap();
        let _done = done; // dropped by the panic
        panic!("nobody hears it");
    }));
    go_on.send(()).expect("the task runs on, and waits for this");
    ended.await.expect_err("it has panicked, and this test goes on");
}

#[tokio::test]
async fn a_task_that_does_not_await_holds_up_the_others() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    for polite in [false, true] {
        let mut tasks = JoinSet::new();
        for name in ["one", "other"] {
            let steps = Arc::clone(&steps);
            tasks.spawn(async move {
                for _ in 0..2 {
                    steps.lock().unwrap().push(name);
                    if polite {
                        yield_now().await;
                    }
                }
            });
        }
        tasks.join_all().await;
    }
    let steps = steps.lock().unwrap();
    assert_eq!(steps[..4], ["one", "one", "other", "other"]);
    assert_eq!(steps[4..6], ["one", "other"], "with an await they take turns");
}
