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

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one client. There is no stream when it asks, and another client makes it before this
    /// one can.
    async fn serve_too_late(listener: TcpListener) -> io::Result<()> {
        let mut answers = [
            r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#,
            r#"{"error":{"code":400,"err_code":10065,"description":"subjects overlap"}}"#,
            r#"{"config":{"name":"events","subjects":["events"],"retention":"limits",
                "max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"discard":"old","max_age":0,
                "storage":"file","num_replicas":1},"created":"2026-03-01T00:00:00Z",
                "state":{"messages":0,"bytes":0,"first_seq":0,"first_ts":"2026-03-01T00:00:00Z",
                "last_seq":0,"last_ts":"2026-03-01T00:00:00Z","consumer_count":0}}"#,
        ]
        .into_iter();
        let (mut socket, _) = listener.accept().await?;
        let (read, mut write) = socket.split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n").await?;
        let mut inbox = String::new();
        while let Some(line) = lines.next_line().await? {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["PING"] => write.write_all(b"PONG\r\n").await?,
                ["SUB", _, id] => inbox = id.to_owned(),
                ["PUB", _, reply, _] => {
                    let answer = answers.next().expect("three requests");
                    let length = answer.len();
                    let message = format!("MSG {reply} {inbox} {length}\r\n{answer}\r\n");
                    write.write_all(message.as_bytes()).await?;
                }
                _ => {} // settings of the client, and what it publishes
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_stream_that_somebody_else_makes_in_the_meantime_is_opened() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve_too_late(listener));
        let context = connect(&address.to_string()).await.unwrap();
        let opened = stream(&context, "events").await;
        assert_eq!(
            opened.map(|stream| stream.cached_info().config.name.clone()),
            Ok("events".into())
        );
        server.abort();
    }
}
