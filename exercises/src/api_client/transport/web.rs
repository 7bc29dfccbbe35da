use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, header};

use super::{Body, Call, ErrorKind, Failure, Transport, causes, is_starved};

/// An idle connection is closed after this long: the files of a run over thousands of hosts are those
/// of its last seconds.
const IDLE_CONNECTION: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("api-client/", env!("CARGO_PKG_VERSION"));

/// Idle connections are closed for lack of files no more often than this.
const CLOSING: Duration = Duration::from_millis(100);

/// The web by reqwest: connections, TLS by rustls with the system's certificates, HTTP/2, and proxies
/// from the environment.
#[derive(Clone, Debug)]
pub struct Web {
    connect_timeout: Duration,
    connections: usize,
    pool: Arc<Mutex<Pool>>,
}

/// reqwest closes idle connections by dropping the client that has them.
#[derive(Debug)]
struct Pool {
    /// `None` until the next request, once the idle connections were closed.
    client: Option<reqwest::Client>,
    since: Instant,
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
        let client = Some(client(connect_timeout, connections)?);
        let pool = Arc::new(Mutex::new(Pool { client, since: Instant::now() }));
        Ok(Self { connect_timeout, connections, pool })
    }

    fn client(&self) -> Result<reqwest::Client, Failure> {
        let mut pool = self.pool();
        if let Some(client) = &pool.client {
            return Ok(client.clone());
        }
        // Made once before, so it lacks nothing but the files to read certificates from.
        let client = client(self.connect_timeout, self.connections)
            .map_err(|err| Failure::starved(ErrorKind::Connect, innermost(&err)))?;
        Ok(pool.client.insert(client).clone())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().expect("no holder of this lock panics")
    }
}

fn client(
    connect_timeout: Duration,
    connections: usize,
) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(connections)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(USER_AGENT)
        .build()
}

impl Transport for Web {
    type Body = Received;

    async fn send(&self, call: &Call) -> Result<Response<Received>, Failure> {
        // The builder makes a header of the user and the password in a URL; ours go before it.
        let mut request = self.client()?.request(call.method.clone(), call.url.clone());
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
        chunk.map_err(|err| Failure::passing(ErrorKind::Body, innermost(&err)))
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

fn innermost(err: &(dyn StdError + 'static)) -> String {
    causes(err).last().map_or_else(|| err.to_string(), ToString::to_string)
}
