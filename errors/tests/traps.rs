//! Shows the traps that the page warns of.

use std::future::pending;
use std::sync::Arc;

use leaks::leak_check;
use tokio::task::JoinSet;

#[leak_check]
#[tokio::test]
async fn join_all_ends_all_tasks_at_the_first_panic() {
    let held = Arc::new(());
    let mut tasks = JoinSet::new();
    tasks.spawn(async { panic!("the first") });
    for _ in 0..10 {
        let held = Arc::clone(&held);
        tasks.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
    }
    let joined = tokio::spawn(tasks.join_all()).await.unwrap_err().into_panic();
    assert_eq!(joined.downcast_ref(), Some(&"the first"));
    while Arc::strong_count(&held) > 1 {
        tokio::task::yield_now().await; // an aborted task is dropped when its turn comes
    }
}
