//! Plain HTTP/1.1 without a proxy: hyper on connections of its own.
//!
//! A connection is driven by whoever waits for its response, not by a task of its own, so that a
//! response wakes one task once. That is half of the CPU time of a small request.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout};
use tower_service::Service;
use url::{Position, Url};

use super::outcome::ErrorKind;
use super::transport::{Body, Call, Failure};
use super::web::{IDLE_CONNECTION, USER_AGENT, innermost, unconnected};

/// A pool of connections.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    connector: HttpConnector,
    connect_timeout: Duration,
    idle: Arc<Idle>,
}

/// Connections that are not in use.
#[derive(Debug, Default)]
struct Idle(Mutex<Hosts>);

#[derive(Debug, Default)]
struct Hosts {
    /// By the host and port that they lead to, and since when they are not in use.
    links: HashMap<HeaderValue, Vec<(Link, Instant)>>,
    /// When those that were not used for long were closed.
    swept: Option<Instant>,
}

/// One connection: the end that takes requests, and what reads and writes until it has ended.
#[derive(Debug)]
struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

/// A body on its connection, which goes back to the others behind the last byte.
#[derive(Debug)]
pub(super) struct Received {
    incoming: Incoming,
    link: Option<Link>,
    host: HeaderValue,
    idle: Arc<Idle>,
}

impl Direct {
    pub(super) fn new(connect_timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { connector, connect_timeout, idle: Arc::default() }
    }

    /// Whether this is for plain HTTP. Credentials in a URL are left to reqwest.
    pub(super) fn takes(url: &Url) -> bool {
        url.scheme() == "http" && url.username().is_empty() && url.password().is_none()
    }

    pub(super) async fn send(&self, call: &Call) -> Result<Response<Received>, Failure> {
        let host = &call.url[Position::BeforeHost..Position::AfterPort];
        let host = HeaderValue::from_str(host).map_err(|err| invalid(&err.into()))?;
        let mut request = request(call, &host).map_err(|err| invalid(&err))?;
        loop {
            let waiting = self.idle.take(&host);
            let used_before = waiting.is_some();
            let mut link = match waiting {
                Some(link) => link,
                None => self.connect(&host).await?,
            };
            match link.exchange(request).await {
                Ok(response) => {
                    let (link, idle) = (Some(link), self.idle.clone());
                    return Ok(response.map(|incoming| Received { incoming, link, host, idle }));
                }
                Err(mut err) => match err.take_message() {
                    // The host hung up before anything was written: on to the next connection.
                    Some(unsent) if used_before => request = unsent,
                    Some(_) => {
                        return Err(Failure::unsent(ErrorKind::Connect, innermost(err.error())));
                    }
                    None => return Err(broken(ErrorKind::Connect, err.error())),
                },
            }
        }
    }

    /// Closes the connections that are not in use.
    pub(super) fn spare(&self) {
        self.idle.lock().links.clear();
    }

    async fn connect(&self, host: &HeaderValue) -> Result<Link, Failure> {
        let uri =
            Uri::builder().scheme(Scheme::HTTP).authority(host.as_bytes()).path_and_query("/");
        let connection = self.connector.clone().call(uri.build().map_err(|err| invalid(&err))?);
        let stream = timeout(self.connect_timeout, connection).await;
        let no_time = "no connection within the time for it";
        let stream = stream.map_err(|_| Failure::unsent(ErrorKind::Timeout, no_time))?;
        let handshake = http1::handshake(stream.map_err(|err| unconnected(&err))?).await;
        let (sender, driver) = handshake.map_err(|err| unconnected(&err))?;
        Ok(Link { sender, driver: Some(Box::new(driver)) })
    }
}

impl Idle {
    /// The connection to this host that was used last, if it is still there.
    fn take(&self, host: &HeaderValue) -> Option<Link> {
        loop {
            let (mut link, since) = self.lock().links.get_mut(host)?.pop()?;
            if since.elapsed() < IDLE_CONNECTION && link.is_free() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection, and closes those that nobody has used for long.
    fn put(&self, host: HeaderValue, mut link: Link) {
        if !link.is_free() {
            return;
        }
        let now = Instant::now();
        let mut hosts = self.lock();
        hosts.links.entry(host).or_default().push((link, now));
        if now - *hosts.swept.get_or_insert(now) > IDLE_CONNECTION / 10 {
            hosts.swept = Some(now);
            hosts.links.retain(|_, links| {
                links.retain(|(_, since)| now - *since < IDLE_CONNECTION);
                !links.is_empty()
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

fn request(call: &Call, host: &HeaderValue) -> http::Result<Request<Full<Bytes>>> {
    let path = &call.url[Position::BeforePath..Position::AfterQuery];
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = path.parse::<PathAndQuery>()?.into();
    let headers = request.headers_mut();
    headers.clone_from(&call.headers);
    if call.says_no_body() {
        headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    headers.entry(header::HOST).or_insert_with(|| host.clone());
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    Ok(request)
}

fn invalid(err: &http::Error) -> Failure {
    Failure::permanent(ErrorKind::Invalid, err.to_string())
}

/// The host may have seen the request.
fn broken(kind: ErrorKind, err: &hyper::Error) -> Failure {
    Failure::passing(kind, innermost(err))
}

impl Link {
    /// Sends a request and waits for the head of its response.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        // Nobody would wake the task again if the response stood back once it has done a lot.
        let mut response = pin!(unconstrained(self.sender.try_send_request(request)));
        poll_fn(|cx| {
            drive(&mut self.driver, cx);
            response.as_mut().poll(&mut driven())
        })
        .await
    }

    /// Whether another request can be sent: the last response was read to its end, and the host has
    /// not hung up.
    fn is_free(&mut self) -> bool {
        drive(&mut self.driver, &mut driven());
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Reads and writes what is possible now. An error of the connection is one of the response, too.
fn drive<D: Future + Unpin>(driver: &mut Option<D>, cx: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready()) {
        *driver = None; // a future that has ended must not be polled again
    }
}

/// Who waits for what the driver does drives it, and so is awake when it comes.
fn driven() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Received {
    /// The first poll says that the next piece is wanted, and the driver reads it then.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(&mut driven());
        if let (Poll::Pending, Some(link)) = (&frame, &mut self.link) {
            drive(&mut link.driver, cx);
            return Pin::new(&mut self.incoming).poll_frame(&mut driven());
        }
        frame
    }
}

impl Body for Received {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
            let frame = frame.map_err(|err| broken(ErrorKind::Body, &err))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data)); // and not the trailers
            }
        }
        if let Some(link) = self.link.take() {
            self.idle.put(self.host.clone(), link);
        }
        Ok(None)
    }
}
