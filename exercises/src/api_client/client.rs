use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use common::Context;
use futures_util::Stream;

use super::config::{Config, Shared};
use super::input::Request;
use super::output::Store;
use super::run::Outcomes;
use super::transport::{Transport, Web};

/// A client that loses no request: each one ends in one [`Outcome`](super::Outcome).
///
/// # Example
///
/// ```no_run
/// use common::Context;
/// use exercises::api_client::{Client, Config, Request};
/// use futures_util::{StreamExt, stream};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Config::default())?;
/// let urls = ["https://example.com/1", "https://example.com/2"];
/// let mut outcomes = client.fetch_all(&Context::background(), stream::iter(urls.map(Request::get)));
/// while let Some(outcome) = outcomes.next().await {
///     println!("{}: {:?} after {} attempts", outcome.url, outcome.status, outcome.attempts);
/// }
/// # Ok(()) }
/// ```
pub struct Client<T = Web> {
    pub(super) shared: Arc<Shared<T>>,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Bodies cannot be stored where they should be.
    #[error("cannot store what is fetched")]
    Output(#[source] io::Error),
    /// TLS or a proxy cannot be set up.
    #[error("cannot set up HTTP")]
    Web(#[from] reqwest::Error),
}

impl Client {
    /// A client for the web.
    pub fn new(config: Config) -> Result<Self, Unusable> {
        let web = Web::new(config.limits.connect, config.policy.concurrency)?;
        Self::with_transport(config, web)
    }
}

impl<T: Transport> Client<T> {
    /// A client over another transport than the web.
    pub fn with_transport(config: Config, transport: T) -> Result<Self, Unusable> {
        let store = config.output.as_ref().map(|directory| {
            Store::create(directory, config.naming.clone()).map_err(Unusable::Output)
        });
        let store = store.transpose()?;
        let received = AtomicU64::new(0);
        Ok(Self { shared: Arc::new(Shared { transport, config, store, received }) })
    }

    /// Fetches the requests and returns one outcome for each, in the order in which they end.
    ///
    /// The stream does the work: while it is not polled, only attempts in flight go on. It takes in
    /// at most [`READ_AHEAD`](super::READ_AHEAD) requests beyond those in flight.
    ///
    /// When `ctx` ends, attempts in flight are cut off, and all other requests, even those still to
    /// come, end as `canceled`; the stream of outcomes ends when the stream of requests does. To
    /// let what is in flight end by itself, see [`Outcomes::drain_when`]. Dropping the stream drops
    /// everything at once.
    ///
    /// # Panics
    ///
    /// Polling panics outside of a tokio runtime, and passes on a panic of the transport.
    pub fn fetch_all<'a>(
        &self,
        ctx: &Context,
        requests: impl Stream<Item = Request> + Send + 'a,
    ) -> Outcomes<'a, T> {
        let requests: Pin<Box<dyn Stream<Item = Request> + Send + 'a>> = Box::pin(requests);
        Outcomes::new(self.shared.clone(), ctx.clone(), requests)
    }
}
