//! The client against nginx's `limit_req`. Skipped where there is no nginx.
//!
//! What must hold on every machine, however busy, is asserted here: no request is lost, a known
//! rate is never exceeded, and the learner neither fails to find the rate nor stays far below it.
//! The figures that are promised on a quiet machine are asserted against simulated servers
//! (`api_client/learning.rs`), and measured against this one by `cargo bench -p exercises --bench
//! api_client`.
#![cfg(feature = "api-client")]

mod as_curl;
mod nginx;
mod trial;
mod wire;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use exercises::policy::Settings;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

use nginx::Nginx;
use trial::{LIMIT, Run, delay, known, run};

/// What a learner reaches even if tasks wake up late: at least half of the rate, at most a tenth
/// rejected. If each request waited on its own, more would be rejected; if the whole host paused
/// each time, it would reach less.
fn neither_lost_nor_asleep(run: &Run) {
    println!("{run}");
    assert_eq!(run.lost(), 0, "{run}");
    assert!(run.rejected() <= 10.0 && run.share() >= 50.0, "{run}");
}

#[tokio::test]
async fn at_a_known_rate_nothing_is_rejected_and_no_second_has_more() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    let run = run(known(50.0), nginx.urls(500)).await;
    neither_lost_nor_asleep(&run);
    assert!(run.rejected() <= 0.0, "{run}");
    assert!(run.most_in_a_second() <= 52, "{} in a second", run.most_in_a_second());
}

#[tokio::test]
async fn a_rate_overstated_twofold_is_corrected() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    neither_lost_nor_asleep(&run(known(100.0), nginx.urls(500)).await);
}

#[tokio::test]
async fn a_rate_that_was_not_given_is_found() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    neither_lost_nor_asleep(&run(Settings::default(), nginx.urls(500)).await);
}

#[tokio::test]
async fn a_limit_without_burst_loses_nothing() {
    for policy in [known(100.0), Settings::default()] {
        let Some(nginx) = Nginx::start("tight.conf", LIMIT) else { return };
        neither_lost_nor_asleep(&run(policy, nginx.urls(500)).await);
    }
}

#[tokio::test]
async fn a_fifth_of_503_loses_nothing_with_any_of_ten_seeds() {
    let runs = (0..10).map(|seed| async move {
        let nginx = Nginx::start("flaky.conf", LIMIT)?;
        Some(run(Settings { seed, ..known(50.0) }, nginx.urls(500)).await)
    });
    for run in futures_util::future::join_all(runs).await.into_iter().flatten() {
        neither_lost_nor_asleep(&run);
        assert!(run.most_in_a_second() <= 52, "{} in a second", run.most_in_a_second());
    }
}

#[tokio::test]
async fn a_limit_that_is_halved_and_raised_again_is_followed_within_five_seconds() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    let (halved, raised) = (Duration::from_secs(12), Duration::from_secs(27));
    let started = Instant::now();
    let changes = async {
        sleep_until(started + halved).await;
        nginx.reload(LIMIT / 2);
        sleep_until(started + raised).await;
        nginx.reload(LIMIT);
    };
    let (run, ()) = tokio::join!(run(Settings::default(), nginx.urls(1400)), changes);
    assert_eq!(run.lost(), 0);
    let low = run.fetched_before(halved + Duration::from_secs(5));
    assert!((20.0..=30.0).contains(&low), "{low}/s five seconds after it was halved");
    // Its best second of the five: the sixth may already include the next probe.
    let high = (4..=20).map(|quarter| Duration::from_millis(1000 + 250 * (quarter - 4)));
    let high = high.map(|after| run.fetched_before(raised + after)).fold(0.0, f64::max);
    assert!(high >= 45.0, "at most {high}/s within five seconds after it was raised");
}

#[tokio::test]
async fn with_latency_it_is_four_times_as_fast_as_curl_one_by_one() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    let target = SocketAddr::from(([127, 0, 0, 1], nginx.port));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let far = tokio::spawn(delay(listener, target, Duration::from_millis(50)));
    let urls: Vec<_> = (0..300).map(|n| format!("http://127.0.0.1:{port}/{n}")).collect();
    let ours = run(known(50.0), urls.clone()).await;
    let rate = ours.outcomes.len() as f64 / ours.took().as_secs_f64();
    assert_eq!((ours.lost(), ours.rejected()), (0, 0.0));

    let started = Instant::now();
    let curl = tokio::task::spawn_blocking(move || {
        let outputs = urls[..30].iter().flat_map(|_| ["-o", "/dev/null"]);
        Command::new("curl").arg("-s").args(outputs).args(&urls[..30]).status()
    });
    let Ok(status) = curl.await.expect("no panic") else {
        eprintln!("skipped: there is no curl on the PATH");
        return;
    };
    assert!(status.success());
    let serial = 30.0 / started.elapsed().as_secs_f64();
    far.abort();
    println!("{rate:.1} requests/s, curl one by one {serial:.1}");
    assert!(rate >= 4.0 * serial, "{rate:.1} against {serial:.1} requests/s");
}
