//! What a Go programmer expects of `singleflight`, tested on a shared future.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use leaks::leak_check;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[leak_check]
#[tokio::test(start_paused = true)]
async fn many_callers_share_one_call_and_its_result() {
    let calls = Arc::new(AtomicU32::new(0));
    for (fails, result) in [(false, Ok(7)), (true, Err("no such host"))] {
        let count = Arc::clone(&calls);
        let flight = async move {
            count.fetch_add(1, Ordering::SeqCst);
            sleep(SECOND).await;
            if fails { Err("no such host") } else { Ok(7) }
        };
        let flight = flight.shared();
        let callers: JoinSet<_> = (0..10).map(|_| flight.clone()).collect();
        assert_eq!(callers.join_all().await, [result; 10]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_call_to_the_others() {
    let flight = sleep(2 * SECOND).map(|()| 7).shared();
    assert!(timeout(SECOND, flight.clone()).await.is_err());
    assert_eq!(timeout(2 * SECOND, flight).await, Ok(7));
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn when_all_have_given_up_the_call_is_dropped() {
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    let flight = async move {
        pending::<()>().await;
        drop(kept);
    };
    assert!(timeout(SECOND, flight.shared()).await.is_err());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[leak_check]
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_call_reaches_every_caller() {
    let flight = async {
        sleep(SECOND).await;
        panic!("a bad call")
    };
    let flight = flight.map(|never: std::convert::Infallible| match never {}).shared();
    let mut callers: JoinSet<()> = (0..3).map(|_| flight.clone()).collect();
    let mut panics = 0;
    while let Some(joined) = timeout(SECOND * 9, callers.join_next()).await.expect("none hangs") {
        panics += u32::from(joined.unwrap_err().is_panic());
    }
    assert_eq!(panics, 3);
}
