//! The client against simulated servers, against a local server that misbehaves on purpose, and as
//! a program that is interrupted and killed.
#![cfg(feature = "api-client")]

mod answers;
mod as_curl;
mod learning;
mod limits;
mod local;
mod pictures;
mod program;
mod property;
mod resume;
mod scheduling;
mod security;
mod server;
mod simulation;
mod stored;
mod wire;

use std::time::Duration;

use common::Context;
use exercises::api_client::{Client, Config, Limits, Outcome, Request};
use exercises::policy::Settings;
use futures_util::{StreamExt, stream};
use leaks::leak_check;

/// A test that takes longer counts as hanging.
const HANG: Duration = Duration::from_secs(30);

/// Short limits and backoffs, so that tests fail quickly.
fn quick() -> Config {
    Config {
        policy: Settings {
            retries: 2,
            backoff: Duration::from_millis(10),
            max_retry_after: Duration::from_secs(20),
            patience: Duration::from_millis(1500),
            ..Settings::default()
        },
        limits: Limits {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            max_time: Some(Duration::from_secs(20)),
            ..Limits::default()
        },
        ..Config::default()
    }
}

/// Fetches all over the real network and returns the outcomes, by URL. It leaves no task behind.
async fn fetch(config: Config, urls: &[String]) -> Vec<Outcome> {
    let outcomes = leak_check(async {
        let client = Client::new(config).expect("a client");
        let requests = stream::iter(urls.to_vec()).map(|url| Request::get(&url));
        let outcomes = client.fetch_all(&Context::background(), requests).collect::<Vec<_>>();
        tokio::time::timeout(HANG, outcomes).await.expect("the run hangs")
    });
    let mut outcomes = outcomes.await;
    assert_eq!(outcomes.len(), urls.len(), "one outcome for each: {outcomes:#?}");
    outcomes.sort_by(|a, b| a.url.cmp(&b.url));
    outcomes
}

/// Fetches one URL.
async fn fetch_one(config: Config, url: &str) -> Outcome {
    fetch(config, &[url.to_owned()]).await.pop().expect("one outcome")
}
