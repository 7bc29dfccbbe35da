//! A time limit that holds even if no step ever waits.

use std::time::Duration;

use bytes::Bytes;
use common::Context;
use exercises::api_client::{Body, Client, Config, ErrorKind, Failure, Limits, Request, Transport};
use exercises::policy::Settings;
use futures_util::{StreamExt, stream};
use http::Response;

/// A host whose bytes are always ready, and never end.
struct Endless;

impl Transport for Endless {
    type Body = Self;

    async fn send(&self, _: &Request) -> Result<Response<Self>, Failure> {
        Ok(Response::new(Self))
    }
}

impl Body for Endless {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(Some(Bytes::from_static(b"more")))
    }
}

#[tokio::test]
async fn max_time_ends_a_body_that_is_always_ready() {
    let limits = Limits { max_time: Some(Duration::from_millis(50)), ..Limits::default() };
    let policy = Settings { retries: 0, ..Settings::default() };
    let config = Config { limits, policy, ..Config::default() };
    let client = Client::with_transport(config, Endless).expect("a client");
    let requests = stream::iter([Request::get("http://host/")]);
    let outcomes: Vec<_> = client.fetch_all(&Context::background(), requests).collect().await;
    let error = outcomes[0].error.as_ref().expect("it cannot be complete");
    assert_eq!(error.kind, ErrorKind::Timeout);
}
