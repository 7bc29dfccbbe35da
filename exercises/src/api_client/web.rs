use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::outcome::ErrorKind;
use super::transport::{Body, Call, Failure, Transport, causes, is_starved};

/// A connection that is not used for so long is closed: the files of a run over thousands of hosts
/// are those of its last seconds.
const IDLE_CONNECTION: Duration = Duration::from_secs(10);

/// The web, by reqwest: HTTP/1.1 and 2, TLS by rustls with the system's certificates, proxies from
/// the environment.
#[derive(Clone, Debug)]
pub struct Web {
    client: reqwest::Client,
}

impl Web {
    /// A pool of connections. A connection that is not there after `connect_timeout` is given up.
    ///
    /// # Errors
    ///
    /// If the system's certificates or proxy settings cannot be used.
    pub fn new(connect_timeout: Duration, connections: usize) -> Result<Self, reqwest::Error> {
        // Fails if the process has chosen another provider: then that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(connections)
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("api-client/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }
}

impl Transport for Web {
    type Body = reqwest::Response;

    async fn send(&self, call: &Call) -> Result<Response<Self::Body>, Failure> {
        // The builder makes a header of the user and the password in a URL; ours go before it.
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if !call.headers.is_empty() {
            request = request.headers(call.headers.clone());
        }
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let response = request.send().await;
        let mut response = response.map_err(|err| failure(&err.without_url()))?;
        let mut head = Response::builder().status(response.status());
        if let Some(headers) = head.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        head.body(response).map_err(|err| Failure::permanent(ErrorKind::Connect, err.to_string()))
    }
}

impl Body for reqwest::Response {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = reqwest::Response::chunk(self).await;
        chunk.map_err(|err| Failure::passing(ErrorKind::Body, innermost(&err.without_url())))
    }
}

/// reqwest says what it was doing; why that failed is found among the causes.
fn failure(err: &reqwest::Error) -> Failure {
    let detail = innermost(err);
    if is_starved(err) {
        return Failure::starved(ErrorKind::Connect, detail);
    }
    if err.is_builder() {
        return Failure::permanent(ErrorKind::Invalid, detail);
    }
    if err.is_timeout() {
        return Failure::unsent(ErrorKind::Timeout, "no connection within the time for it");
    }
    if !err.is_connect() {
        return Failure::passing(ErrorKind::Connect, detail);
    }
    if causes(err).any(<dyn StdError>::is::<rustls::Error>) {
        return Failure::permanent(ErrorKind::Tls, detail);
    }
    if causes(err).any(|cause| cause.to_string().starts_with("dns error")) {
        // The resolver tells a name that does not exist from one that it could not look up only in
        // words.
        return if detail.contains("not known") || detail.contains("No address") {
            Failure::permanent(ErrorKind::Dns, detail)
        } else {
            Failure::unsent(ErrorKind::Dns, detail)
        };
    }
    Failure::unsent(ErrorKind::Connect, detail)
}

fn innermost(err: &reqwest::Error) -> String {
    causes(err).last().map_or_else(|| err.to_string(), ToString::to_string)
}
