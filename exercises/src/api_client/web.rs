use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};

use super::direct::{self, Direct};
use super::outcome::ErrorKind;
use super::transport::{Body, Call, Failure, Transport, causes, is_starved};

/// A connection that is not used for so long is closed: the files of a run over thousands of hosts
/// are those of its last seconds.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(10);

pub(super) const USER_AGENT: &str = concat!("api-client/", env!("CARGO_PKG_VERSION"));

/// Where reqwest finds a proxy for plain HTTP.
const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// The web. TLS (by rustls with the system's certificates), HTTP/2 and proxies from the environment
/// are reqwest's; plain HTTP without a proxy goes over hyper directly, at half the cost.
#[derive(Clone, Debug)]
pub struct Web {
    client: reqwest::Client,
    /// `None` leaves plain HTTP to reqwest too.
    direct: Option<Direct>,
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
            .user_agent(USER_AGENT)
            .build()?;
        let has_proxy = PROXIES.iter().any(|name| std::env::var_os(name).is_some());
        Ok(Self { client, direct: (!has_proxy).then(|| Direct::new(connect_timeout)) })
    }

    /// Leaves plain HTTP to reqwest as well, as it is behind a proxy.
    #[must_use]
    pub fn by_reqwest_alone(self) -> Self {
        Self { direct: None, ..self }
    }

    async fn by_reqwest(&self, call: &Call) -> Result<Response<Received>, Failure> {
        // The builder makes a header of the user and the password in a URL; ours go before it.
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if !call.headers.is_empty() {
            request = request.headers(call.headers.clone());
        }
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        } else if call.says_no_body() {
            request = request.header(header::CONTENT_LENGTH, 0);
        }
        let response = request.send().await;
        let mut response = response.map_err(|err| failure(&err.without_url()))?;
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = std::mem::take(response.headers_mut());
        Ok(head.map(|()| Received(By::Reqwest(response))))
    }
}

impl Transport for Web {
    type Body = Received;

    async fn send(&self, call: &Call) -> Result<Response<Received>, Failure> {
        match &self.direct {
            Some(direct) if Direct::takes(&call.url) => {
                Ok(direct.send(call).await?.map(|body| Received(By::Direct(body))))
            }
            // In a box, so that a request that does not need it has no room for it either.
            _ => Box::pin(self.by_reqwest(call)).await,
        }
    }

    fn spare(&self) {
        if let Some(direct) = &self.direct {
            direct.spare(); // reqwest's are closed by the time alone
        }
    }
}

/// A body as it comes in.
#[derive(Debug)]
pub struct Received(By);

#[derive(Debug)]
enum By {
    Direct(direct::Received),
    Reqwest(reqwest::Response),
}

impl Body for Received {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.0 {
            By::Direct(body) => body.chunk().await,
            By::Reqwest(body) => {
                let chunk = body.chunk().await.map_err(reqwest::Error::without_url);
                chunk.map_err(|err| Failure::passing(ErrorKind::Body, innermost(&err)))
            }
        }
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
    unconnected(err)
}

/// There is no connection.
pub(super) fn unconnected(err: &(dyn StdError + 'static)) -> Failure {
    let detail = innermost(err);
    if is_starved(err) {
        return Failure::starved(ErrorKind::Connect, detail);
    }
    if !causes(err).any(|cause| cause.to_string().starts_with("dns error")) {
        return Failure::unsent(ErrorKind::Connect, detail);
    }
    // The resolver tells a name that does not exist from one that it could not look up only in
    // words.
    if detail.contains("not known") || detail.contains("No address") {
        Failure::permanent(ErrorKind::Dns, detail)
    } else {
        Failure::unsent(ErrorKind::Dns, detail)
    }
}

pub(super) fn innermost(err: &(dyn StdError + 'static)) -> String {
    causes(err).last().map_or_else(|| err.to_string(), ToString::to_string)
}
