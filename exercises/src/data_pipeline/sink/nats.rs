//! Chunks to a NATS `JetStream` stream: one message for each, acknowledged by the server, and sent
//! again until it is. A message that the server has already is dropped there by its id.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::time::sleep;

use crate::data_pipeline::nats::{connect, stream};
use crate::data_pipeline::warnings::warn;

/// A message is no longer than this, unless a single line is.
const MESSAGE: usize = 256 * 1024;

/// Before sending again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Nats {
    context: Context,
    stream: String,
    /// What the server takes at most.
    limit: usize,
}

impl Nats {
    /// From `nats://HOST:PORT/STREAM`.
    pub(crate) async fn open(name: &str) -> Result<Self, String> {
        let parts =
            name.rsplit_once('/').filter(|(url, stream)| url.len() > 7 && !stream.is_empty());
        let (url, name) = parts.ok_or_else(|| format!("{name}: write nats://HOST:PORT/STREAM"))?;
        let context = connect(url).await?;
        stream(&context, name).await?;
        let limit = context.client().server_info().max_payload;
        Ok(Self { context, stream: name.to_owned(), limit })
    }

    /// Returns when the server has acknowledged all batches. They are on their way together.
    pub(crate) async fn write(&mut self, batches: &[Bytes]) -> Result<(), String> {
        let messages: Vec<Bytes> = batches.iter().flat_map(messages).collect();
        if let Some(line) = messages.iter().find(|message| message.len() > self.limit) {
            let (length, limit) = (line.len(), self.limit);
            return Err(format!(
                "a line of {length} bytes is more than the server's max_payload of {limit}; raise \
                 that, or lower --max-line"
            ));
        }
        let mut acks = Vec::new();
        for message in &messages {
            acks.push(self.publish(message).await);
        }
        for (message, ack) in messages.iter().zip(acks) {
            self.acknowledged(message, ack).await;
        }
        Ok(())
    }

    async fn publish(&self, message: &Bytes) -> Result<PublishAckFuture, String> {
        let outgoing = PublishMessage::build().message_id(id(message)).payload(message.clone());
        let sent = self.context.send_publish(self.stream.clone(), outgoing).await;
        sent.map_err(|err| err.to_string())
    }

    /// Waits for the ack, and sends again until there is one.
    async fn acknowledged(&self, message: &Bytes, mut ack: Result<PublishAckFuture, String>) {
        loop {
            let outcome = match ack {
                Ok(ack) => ack.await.map(drop).map_err(|err| err.to_string()),
                Err(err) => Err(err),
            };
            let Err(err) = outcome else { return };
            warn(format_args!("NATS has not taken a message, it is sent again: {err}"));
            sleep(PAUSE).await;
            ack = self.publish(message).await;
        }
    }
}

/// Cuts a batch at line ends into messages.
fn messages(batch: &Bytes) -> Vec<Bytes> {
    let mut rest = batch.clone();
    let mut messages = Vec::new();
    while rest.len() > MESSAGE {
        let within = memchr::memrchr(b'\n', &rest[..MESSAGE]);
        let end = within.or_else(|| memchr::memchr(b'\n', &rest)).map_or(rest.len(), |end| end + 1);
        messages.push(rest.split_to(end));
    }
    messages.push(rest);
    messages.retain(|message| !message.is_empty());
    messages
}

/// The ids of the first and the last event: the same id only for the same events.
fn id(message: &[u8]) -> String {
    let end = message.len().saturating_sub(1);
    let last = memchr::memrchr(b'\n', &message[..end]).map_or(0, |end| end + 1);
    let id = |line: &[u8]| {
        let id = line.strip_prefix(b"{\"_id\":\"").unwrap_or_default();
        let end = memchr::memchr(b'"', id).unwrap_or(0);
        String::from_utf8_lossy(&id[..end]).into_owned()
    };
    format!("{}..{}", id(message), id(&message[last..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_first_and_last_event() {
        let three = b"{\"_id\":\"a:0\",\"x\":1}\n{\"_id\":\"a:9\"}\n{\"_id\":\"a:18\"}\n";
        assert_eq!(id(three), "a:0..a:18");
        assert_eq!(id(b"{\"_id\":\"a:0\"}\n"), "a:0..a:0");
    }

    #[test]
    fn a_large_batch_is_cut_at_line_ends() {
        let line = [vec![b'x'; 100_000], vec![b'\n']].concat();
        let batch = Bytes::from([line.repeat(5), vec![b'y'; MESSAGE * 2], vec![b'\n']].concat());
        let cut = messages(&batch);
        assert_eq!(cut.iter().map(Bytes::len).sum::<usize>(), batch.len());
        assert!(cut.iter().all(|message| message.ends_with(b"\n")));
        assert_eq!(cut.len(), 4);
    }
}
