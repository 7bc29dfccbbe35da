//! What source and sink of NATS `JetStream` share.

pub(crate) mod compression;

use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, ServerAddr};

/// How long the server may take to acknowledge a message before it is sent again.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether this can be a server's address, without a connection.
pub(crate) fn check(url: &str) -> Result<(), String> {
    address(url).map(drop)
}

fn address(url: &str) -> Result<ServerAddr, String> {
    let unreadable = |err: std::io::Error| format!("{}: {err}", host(url));
    url.parse().map_err(unreadable)
}

/// The address without a user and a password, which may stand before an @ even without a scheme.
fn host(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

/// Connects to the server at `url`. If that fails, it is an error at once; if the connection is
/// lost later, it is retried until the server is back.
pub(crate) async fn connect(url: &str) -> Result<Context, String> {
    let client = ConnectOptions::new().name("data-pipeline").connect(address(url)?).await;
    let client =
        client.map_err(|err| format!("cannot reach the NATS server {}: {err}", host(url)))?;
    Ok(ContextBuilder::new().timeout(ACK_TIMEOUT).build(client))
}

/// The stream with this name. If there is none, one on disk is made, for the subject of that name.
pub(crate) async fn stream(context: &Context, name: &str) -> Result<Stream, String> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![name.to_owned()],
        storage: jetstream::stream::StorageType::File,
        ..Config::default()
    };
    let made = match context.get_or_create_stream(config).await {
        // Another process may have made it in the meantime, and a server says of that one only that
        // their subjects overlap.
        Err(err) => context.get_stream(name).await.map_err(|_| err),
        made => made,
    };
    made.map_err(|err| format!("cannot open the stream {name}: {err}"))
}
