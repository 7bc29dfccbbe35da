//! Chunks to a NATS `JetStream` stream: one message for each, acknowledged by the server, and sent
//! again until it is. A message that the server has already is dropped there by its id.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::data_pipeline::monitor::stats::Count;
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
    /// Tells what this process sends from what others send.
    salt: u64,
}

impl Nats {
    /// From `nats://HOST:PORT/STREAM`. Events have ids of their own; windows and dead letters of two
    /// workers may look the same and are not, which their `salt` shows.
    pub(crate) async fn open(name: &str, salt: u64) -> Result<Self, String> {
        let parts =
            name.rsplit_once('/').filter(|(url, stream)| url.len() > 7 && !stream.is_empty());
        let (url, name) = parts.ok_or_else(|| format!("{name}: write nats://HOST:PORT/STREAM"))?;
        let context = connect(url).await?;
        stream(&context, name).await?;
        let limit = context.client().server_info().max_payload;
        Ok(Self { context, stream: name.to_owned(), limit, salt })
    }

    /// Returns when the server has acknowledged all batches. They are on their way together.
    pub(crate) async fn write(&mut self, batches: &[Bytes], errors: &Count) -> Result<(), String> {
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
            self.acknowledged(message, ack, errors).await;
        }
        Ok(())
    }

    async fn publish(&self, message: &Bytes) -> Result<PublishAckFuture, String> {
        let outgoing =
            PublishMessage::build().message_id(id(message, self.salt)).payload(message.clone());
        let sent = self.context.send_publish(self.stream.clone(), outgoing).await;
        sent.map_err(|err| err.to_string())
    }

    /// Waits for the ack, and sends again until there is one.
    async fn acknowledged(
        &self,
        message: &Bytes,
        mut ack: Result<PublishAckFuture, String>,
        errors: &Count,
    ) {
        loop {
            let outcome = match ack {
                Ok(ack) => ack.await.map(drop).map_err(|err| err.to_string()),
                Err(err) => Err(err),
            };
            let Err(err) = outcome else { return };
            errors.add(1);
            warn(format_args!("NATS has not taken a message, it is sent again: {err}"));
            sleep(PAUSE).await;
            ack = self.publish(message).await;
        }
    }
}

/// Cuts a batch at line ends into messages of about the same length.
fn messages(batch: &Bytes) -> Vec<Bytes> {
    let mut rest = batch.clone();
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let most = rest.len().div_ceil(rest.len().div_ceil(MESSAGE));
        let within = memchr::memrchr(b'\n', &rest[..most]);
        let end = within.or_else(|| memchr::memchr(b'\n', &rest)).map_or(rest.len(), |end| end + 1);
        messages.push(rest.split_to(end));
    }
    messages
}

/// Named by what is in it, so that the server knows a message that it has already.
fn id(message: &[u8], salt: u64) -> String {
    format!("{:032x}", xxh3_128_with_seed(message, salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_message_has_the_same_name() {
        assert_eq!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":1}\n", 0));
        assert_ne!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":2}\n", 0));
        assert_ne!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":1}\n", 1), "another process");
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
