use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, header};
use reqwest::ClientBuilder;

use super::{Body, ErrorKind, Failure, Transport, causes, is_starved};
use crate::api_client::input::Request;
use crate::policy::{Answer, Failing};

/// Idle connections are closed after this time, so that a run over thousands of hosts keeps only
/// recent ones open.
const IDLE_CONNECTION: Duration = Duration::from_secs(10);
/// Idle connections are closed for lack of files no more often than this.
const CLOSING: Duration = Duration::from_millis(100);
/// Most headers of a response: hyper's default of 100 refuses responses that browsers and curl
/// accept. For each response room for this many is filled, so more would slow short answers down.
const MOST_HEADERS: usize = 320;

const USER_AGENT: &str = concat!("api-client/", env!("CARGO_PKG_VERSION"));

/// The web by reqwest: connections, TLS by rustls with the system's certificates, HTTP/2, and proxies
/// from the environment.
#[derive(Clone)]
pub struct Web {
    build: Arc<Build>,
    pool: Arc<Mutex<Pool>>,
}

type Build = dyn Fn() -> ClientBuilder + Send + Sync;

/// reqwest closes idle connections by dropping the client that has them.
struct Pool {
    /// `None` until the next request, once the idle connections were closed.
    client: Option<reqwest::Client>,
    since: Instant,
}

impl Web {
    /// A pool of connections. An attempt to connect is given up after `connect_timeout`; the
    /// addresses of a host share that time.
    ///
    /// # Errors
    ///
    /// If the system's certificates or proxy settings cannot be used.
    pub fn new(connect_timeout: Duration, connections: usize) -> Result<Self, reqwest::Error> {
        Self::with(connect_timeout, connections, |builder| builder)
    }

    /// The same with more of reqwest's settings. The policy decides about redirects and retries, so
    /// reqwest's stay off, except where HTTP/2 says that a request was not processed.
    ///
    /// # Errors
    ///
    /// If the certificates, the proxy or the settings cannot be used.
    pub fn with(
        connect_timeout: Duration,
        connections: usize,
        settings: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        // Fails if the process has already chosen another provider, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = move || {
            let builder = reqwest::Client::builder()
                .connect_timeout(connect_timeout)
                .pool_max_idle_per_host(connections)
                .pool_idle_timeout(IDLE_CONNECTION)
                .tcp_nodelay(true)
                .http1_max_headers(MOST_HEADERS)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .referer(false)
                .user_agent(USER_AGENT);
            settings(builder).redirect(reqwest::redirect::Policy::none())
        };
        let client = Some(build().build()?);
        let pool = Pool { client, since: Instant::now() };
        Ok(Self { build: Arc::new(build), pool: Arc::new(Mutex::new(pool)) })
    }

    fn client(&self, request: &Request) -> Result<reqwest::Client, Failure> {
        // It was made once before, so only a lack of open files can make this fail.
        let starved = |err| Failure::starved(ErrorKind::Connect, innermost(&err));
        if request.reconnect {
            return (self.build)().pool_max_idle_per_host(0).build().map_err(starved);
        }
        let mut pool = self.pool();
        if let Some(client) = &pool.client {
            return Ok(client.clone());
        }
        let client = (self.build)().build().map_err(starved)?;
        Ok(pool.client.insert(client).clone())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().expect("no holder of this lock panics")
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Transport for Web {
    type Body = Received;

    async fn send(&self, request: &Request) -> Result<Response<Received>, Failure> {
        // The builder makes a header from a user and a password in the URL; our own header wins.
        let mut to_send =
            self.client(request)?.request(request.method.clone(), request.url().clone());
        if !request.headers.is_empty() {
            to_send = to_send.headers(request.headers.clone());
        }
        if !request.body.is_empty() {
            to_send = to_send.body(request.body.clone());
        } else if request.says_no_body() {
            to_send = to_send.header(header::CONTENT_LENGTH, 0);
        }
        let response = to_send.send().await;
        let mut response = response.map_err(|err| failure(&err.without_url()))?;
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        *head.version_mut() = response.version();
        *head.headers_mut() = std::mem::take(response.headers_mut());
        Ok(head.map(|()| Received(response)))
    }

    fn close_idle(&self) {
        let mut pool = self.pool();
        if pool.since.elapsed() > CLOSING {
            *pool = Pool { client: None, since: Instant::now() };
        }
    }
}

/// A body as it comes in.
#[derive(Debug)]
pub struct Received(reqwest::Response);

impl Body for Received {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.0.chunk().await.map_err(reqwest::Error::without_url);
        chunk.map_err(|err| Failure {
            error: ErrorKind::Body.because(innermost(&err)),
            ..failure(&err)
        })
    }
}

/// reqwest's error says what it was doing; its causes say why that failed.
fn failure(err: &reqwest::Error) -> Failure {
    let detail = innermost(err);
    if is_starved(err) {
        return Failure::starved(ErrorKind::Connect, detail);
    }
    if err.is_builder() {
        return Failure::permanent(ErrorKind::Invalid, detail);
    }
    if err.is_connect() {
        return unconnected(err, detail);
    }
    let failed =
        |failing| Failure::new(ErrorKind::Connect, detail.clone(), Answer::Failed(failing));
    if causes(err).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(is_unprocessed) {
        return failed(Failing::Unprocessed);
    }
    let hyper = causes(err).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    match hyper {
        Some(err) if err.is_canceled() => failed(Failing::Unprocessed), // it was never written
        Some(err) if err.is_parse() || err.is_parse_too_large() => {
            let detail = format!("the answer is not HTTP: {detail}");
            Failure::new(ErrorKind::Malformed, detail, Answer::Failed(Failing::Malformed))
        }
        Some(err) if err.is_incomplete_message() => failed(Failing::HungUp),
        _ if hung_up(err) => failed(Failing::HungUp),
        _ => failed(Failing::Broken),
    }
}

/// There is no connection.
fn unconnected(err: &reqwest::Error, detail: String) -> Failure {
    if err.is_timeout() {
        let detail = "no connection within --connect-timeout";
        return Failure::unreachable(ErrorKind::Timeout, detail);
    }
    if causes(err).any(<dyn StdError>::is::<rustls::Error>) {
        return Failure::permanent(ErrorKind::Tls, detail);
    }
    if !causes(err).any(|cause| cause.to_string().starts_with("dns error")) {
        return Failure::unreachable(ErrorKind::Connect, detail);
    }
    // Only the resolver's message tells a name that does not exist from a failed lookup.
    if detail.contains("not known") || detail.contains("No address") {
        Failure::permanent(ErrorKind::Dns, detail)
    } else {
        Failure::unreachable(ErrorKind::Dns, detail)
    }
}

/// RFC 9113 §8.7: a stream that was refused, or that is above the last one of a GOAWAY, was not
/// processed.
fn is_unprocessed(err: &h2::Error) -> bool {
    let nothing_wrong = err.is_go_away() && err.reason() == Some(h2::Reason::NO_ERROR);
    let refused = err.is_reset() && err.reason() == Some(h2::Reason::REFUSED_STREAM);
    err.is_remote() && (nothing_wrong || refused)
}

/// The connection ended before an answer: often one that was idle for as long as the host allows.
fn hung_up(err: &reqwest::Error) -> bool {
    let io = causes(err).filter_map(|cause| cause.downcast_ref::<io::Error>());
    err.is_request()
        && io.map(io::Error::kind).any(|kind| {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
            matches!(kind, BrokenPipe | ConnectionReset | UnexpectedEof)
        })
}

fn innermost(err: &(dyn StdError + 'static)) -> String {
    causes(err).last().map_or_else(|| err.to_string(), ToString::to_string)
}
