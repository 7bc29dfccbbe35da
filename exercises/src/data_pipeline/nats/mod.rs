//! What source and sink of NATS `JetStream` share.

pub(crate) mod compression;

use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, ServerAddr};

/// How long the server may take to acknowledge a message before it is sent again.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether this can be a server's address. Nobody is asked.
pub(crate) fn check(url: &str) -> Result<(), String> {
    address(url).map(drop)
}

fn address(url: &str) -> Result<ServerAddr, String> {
    let unreadable = |err: std::io::Error| format!("{}: {err}", host(url));
    url.parse().map_err(unreadable)
}

/// A user and a password may stand before the @, also without a scheme.
fn host(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

/// Connects to the server at `url`, now or never: a wrong address is an error at once. A server
/// that goes away later is called again until it is back.
pub(crate) async fn connect(url: &str) -> Result<Context, String> {
    let client = ConnectOptions::new().name("data-pipeline").connect(address(url)?).await;
    let client =
        client.map_err(|err| format!("cannot reach the NATS server {}: {err}", host(url)))?;
    Ok(ContextBuilder::new().timeout(ACK_TIMEOUT).build(client))
}

/// The stream with this name; one on disk is made if there is none, for the subject of that name.
pub(crate) async fn stream(context: &Context, name: &str) -> Result<Stream, String> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![name.to_owned()],
        storage: jetstream::stream::StorageType::File,
        ..Config::default()
    };
    let stream = context.get_or_create_stream(config).await;
    stream.map_err(|err| format!("cannot open the stream {name}: {err}"))
}
