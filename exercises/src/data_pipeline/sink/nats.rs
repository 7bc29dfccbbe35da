//! Chunks to a NATS `JetStream` stream: one message for each, acknowledged by the server, and sent
//! again until it is. The server drops a message whose id it already has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::bodies::{id, take};
use crate::data_pipeline::monitor::stats::Stage;
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::nats::compression::{MESSAGE, Packer};
use crate::data_pipeline::nats::{connect, stream};

/// The bytes that the headers of a message take: the server counts them in the message's length.
const HEADERS: usize = 96;

/// The pause before sending again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Nats {
    context: Context,
    stream: String,
    /// Never contended, because batches are sent one after the other.
    packer: Mutex<Packer>,
    /// The longest message in bytes that server and stream accept.
    limit: usize,
    /// A number of this process: it makes its messages differ from those of others.
    salt: u64,
}

/// A message, kept so that it can be sent again.
#[derive(Debug)]
struct Outgoing {
    headers: HeaderMap,
    payload: Bytes,
}

/// The server, the stream and the compression of a sink.
fn parts(name: &str) -> Result<(&str, &str, Packer), String> {
    let (place, packer) = Packer::of(name)?;
    let parts = place.rsplit_once('/').filter(|(url, stream)| url.len() > 7 && !stream.is_empty());
    let (url, stream) = parts.ok_or_else(|| format!("{place}: write nats://HOST:PORT/STREAM"))?;
    Ok((url, stream, packer))
}

/// Whether this can be a sink, without a connection.
pub(crate) fn check(name: &str) -> Result<(), String> {
    crate::data_pipeline::nats::check(parts(name)?.0)
}

impl Nats {
    /// From `nats://HOST:PORT/STREAM`, or that with `?compression=zstd`. Events have ids of their
    /// own; windows and dead letters of two workers may look the same without being the same, so
    /// `salt` makes them differ.
    pub(crate) async fn open(name: &str, salt: u64) -> Result<Self, String> {
        let (url, name, packer) = parts(name)?;
        let context = connect(url).await?;
        let stream = stream(&context, name).await?;
        let of_server = context.client().server_info().max_payload;
        // A negative limit means no limit.
        let of_stream = usize::try_from(stream.cached_info().config.max_message_size);
        let limit = of_stream.map_or(of_server, |limit| limit.min(of_server));
        Ok(Self { context, stream: name.to_owned(), packer: packer.into(), limit, salt })
    }

    /// Sends all batches. The returned future ends when the server has acknowledged them; it
    /// resends what was not acknowledged. Meanwhile more can be sent.
    pub(crate) async fn send(
        self: &Arc<Self>,
        batches: Vec<Bytes>,
        stage: Arc<Stage>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, String> {
        let nats = self.clone();
        let messages = spawn_blocking(move || nats.messages(&batches)).await;
        let messages = messages.map_err(|err| err.to_string())??;
        let mut acks = Vec::new();
        for message in &messages {
            acks.push(self.publish(message).await);
        }
        let nats = self.clone();
        Ok(async move {
            // All are sent at once; from here on each has its own time-out.
            let acks = messages.iter().zip(acks);
            join_all(acks.map(|(message, ack)| nats.acknowledged(message, ack, &stage))).await;
        })
    }

    fn messages(&self, batches: &[Bytes]) -> Result<Vec<Outgoing>, String> {
        let mut packer = self.packer.lock().expect("nobody panics while holding this");
        // The server may accept less than usual; leave room for the headers.
        let most = MESSAGE.min(self.limit.saturating_sub(HEADERS)).max(1);
        let messages = batches.iter().flat_map(|batch| messages(batch, most));
        messages.map(|message| self.outgoing(message, &mut packer)).collect()
    }

    fn outgoing(&self, message: Bytes, packer: &mut Packer) -> Result<Outgoing, String> {
        let id = id(&message, self.salt);
        let (mut headers, payload) =
            packer.pack(message).map_err(|err| format!("cannot compress: {err}"))?;
        headers.insert(NATS_MESSAGE_ID, id);
        let (length, limit) = (payload.len() + HEADERS, self.limit);
        if length > limit {
            return Err(format!(
                "a line of {length} bytes is more than the {limit} that the server's max_payload and the \
                 stream's max_msg_size allow; raise \
                 them, or lower --max-line"
            ));
        }
        Ok(Outgoing { headers, payload })
    }

    async fn publish(&self, message: &Outgoing) -> Result<PublishAckFuture, String> {
        let outgoing = PublishMessage::build()
            .headers(message.headers.clone())
            .payload(message.payload.clone());
        let sent = self.context.send_publish(self.stream.clone(), outgoing).await;
        sent.map_err(|err| err.to_string())
    }

    /// Waits for the ack, and sends again until there is one.
    async fn acknowledged(
        &self,
        message: &Outgoing,
        mut ack: Result<PublishAckFuture, String>,
        stage: &Stage,
    ) {
        loop {
            let outcome = match ack {
                Ok(ack) => ack.await.map(drop).map_err(|err| err.to_string()),
                Err(err) => Err(err),
            };
            let Err(err) = outcome else { return };
            stage.errors.add(1);
            warn(format_args!("NATS did not accept a message, sending it again: {err}"));
            sleep(PAUSE).await;
            ack = self.publish(message).await;
        }
    }
}

/// Cuts a batch at line ends.
fn messages(batch: &Bytes, most: usize) -> impl Iterator<Item = Bytes> {
    let mut rest = batch.clone();
    std::iter::from_fn(move || (!rest.is_empty()).then(|| take(&mut rest, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_cut_at_line_ends() {
        let line = [vec![b'x'; 100_000], vec![b'\n']].concat();
        let batch = Bytes::from([line.repeat(5), vec![b'y'; MESSAGE * 2], vec![b'\n']].concat());
        let messages: Vec<_> = messages(&batch, MESSAGE).collect();
        assert_eq!(messages.iter().map(Bytes::len).sum::<usize>(), batch.len());
        assert!(messages.iter().all(|message| message.ends_with(b"\n")));
        assert_eq!(messages.len(), 4);
    }
}
