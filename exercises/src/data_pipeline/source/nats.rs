//! Chunks from a NATS `JetStream` stream, through a durable pull consumer that any number of
//! workers share. A message is acknowledged when a checkpoint holds its results.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::{AckPolicy, Consumer};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, Message};
use common::Cause;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_stream::StreamExt;

use super::{Feed, Stopped};
use crate::data_pipeline::config::Config;
use crate::data_pipeline::event::splitter::{Kind, Parts, Segment, Splitter};
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::nats::compression::Unpacker;
use crate::data_pipeline::nats::{connect, stream};
use crate::data_pipeline::state::budget::Share;
use crate::data_pipeline::state::chunk::{Ack, Origin};

/// Most bytes and messages of one pull: a pull of hundreds of megabytes is lost on its way.
const PULL_BYTES: usize = 4 << 20;
const PULL_MESSAGES: usize = 64;

/// The server's reply if the next message alone is larger than that.
const TOO_LARGE: &str = "Exceeds MaxBytes";

/// How long a pull waits for messages.
const PULL_EXPIRES: Duration = Duration::from_secs(1);

/// How long the server waits for an acknowledgement before it gives the message to another worker.
/// For a message that is still held here, the server gets three progress reports in this time.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// Most unacknowledged messages of all workers together, for a consumer that is created here. A
/// message waits two checkpoints for its acknowledgement, which is some 2,000 messages at 1 GB/s: a
/// lower bound would hold the server back.
const UNACKED: usize = 8192;

/// How long the last acknowledgements may take to be sent.
const FLUSH: Duration = Duration::from_secs(1);

/// The pause before the next pull after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// This worker's part of a stream.
#[derive(Debug)]
pub(crate) struct Nats {
    name: String,
    client: Client,
    consumer: Consumer<pull::Config>,
    unpacker: Unpacker,
    /// The next message is larger than a pull may be.
    is_large: bool,
}

/// The first event while a pull goes on.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for a moment")]
enum Next {
    Message(Option<Result<jetstream::Message, async_nats::Error>>),
    Room(Result<Share, Cause>),
}

/// The messages that are not acknowledged yet, by their number in the stream.
struct Held {
    ackers: HashMap<u64, Acker>,
    committed: Receiver<u64>,
    progress: Interval,
}

impl Nats {
    /// Joins the consumer, and makes it if this is the first worker.
    pub(crate) async fn join(config: &Config) -> Result<Self, String> {
        let [url, name, durable] = [&config.nats, &config.stream, &config.consumer]
            .map(|setting| setting.as_deref().unwrap_or_default());
        let context = connect(url).await?;
        let stream = stream(&context, name).await?;
        let config = pull::Config {
            durable_name: Some(durable.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: i64::try_from(UNACKED).expect("a small number"),
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(durable, config).await;
        let consumer =
            consumer.map_err(|err| format!("cannot join the consumer {durable}: {err}"))?;
        if consumer.cached_info().config.ack_policy != AckPolicy::Explicit {
            return Err(format!(
                "the consumer {durable} does not wait for explicit acks, so that messages would be \
                 lost; delete it, or give another --consumer"
            ));
        }
        let (name, client) = (name.to_owned(), context.client());
        Ok(Self { name, client, consumer, unpacker: Unpacker::new()?, is_large: false })
    }

    /// Takes messages until the run stops, then acknowledges what the last checkpoint commits.
    pub(crate) async fn run(mut self, mut feed: Feed) -> Result<(), Stopped> {
        let (sender, committed) = channel(2 * UNACKED);
        let mut held = Held::new(committed);
        let ctx = feed.inlet.ctx.clone();
        let stopped = loop {
            match ctx.run(self.pull(&mut feed, &sender, &mut held)).await {
                Ok(Ok(())) => {}
                Err(cause) | Ok(Err(cause)) => break cause,
            }
        };
        drop((feed, sender)); // the later stages end, and send the last acks
        held.rest().await;
        // Otherwise the acks might still be in the client's buffer when the process ends.
        if !matches!(timeout(FLUSH, self.client.flush()).await, Ok(Ok(()))) {
            warn(format_args!("the last messages come again, their acks were lost"));
        }
        Err(stopped.into())
    }

    /// Takes the messages of one pull. The next pull starts when the workers have these, and are
    /// busy meanwhile: the server would answer two pulls in turns, out of order.
    async fn pull(
        &mut self,
        feed: &mut Feed,
        sender: &Sender<u64>,
        held: &mut Held,
    ) -> Result<(), Cause> {
        let pull = self.consumer.batch();
        let pull = if std::mem::take(&mut self.is_large) {
            pull.max_messages(1)
        } else {
            pull.max_bytes(PULL_BYTES).max_messages(PULL_MESSAGES)
        };
        let mut messages = match held.while_waiting(pull.expires(PULL_EXPIRES).messages()).await {
            Ok(messages) => messages,
            Err(err) => return held.pause(err).await,
        };
        let (mut is_first, mut is_open, mut waiting) = (true, true, VecDeque::new());
        while is_open || !waiting.is_empty() {
            let next = async {
                tokio::select! {
                    biased; // a pull ends at its time-out, and what it still holds is lost
                    message = messages.next(), if is_open => Next::Message(message),
                    share = room(feed, waiting.front()) => Next::Room(share),
                }
            };
            match held.while_waiting(next).await {
                Next::Message(Some(Ok(message))) => {
                    is_first = false;
                    let Ok(info) = message.info() else { continue };
                    let sequence = info.stream_sequence;
                    let (message, acker) = message.split();
                    held.ackers.insert(sequence, acker);
                    waiting.push_back((sequence, message));
                }
                Next::Message(Some(Err(err))) if is_first => {
                    self.is_large = err.to_string().contains(TOO_LARGE);
                    return if self.is_large { Ok(()) } else { held.pause(err).await };
                }
                // The pull has reached its bound in bytes, or failed: then the missing messages
                // come again.
                Next::Message(_) => is_open = false,
                Next::Room(share) => {
                    let (sequence, message) = waiting.pop_front().expect("the room is for it");
                    let ack = Ack { sequence, committed: sender.clone() };
                    self.send(feed, &message, share?, ack);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, feed: &mut Feed, message: &Message, share: Share, ack: Ack) {
        let origin =
            Origin { name: format!("nats:{}:{}", self.name, ack.sequence), ..Origin::default() };
        feed.origin = Arc::new(origin);
        let _bar = feed.bar(ack.sequence);
        let mut bytes = feed.inlet.pool.take();
        let segments = if let Err(reason) = self.unpacker.unpack(message, &mut bytes) {
            warn(format_args!("message {} is a dead letter: {reason}", ack.sequence));
            let bytes = message.payload.to_vec();
            vec![Segment { offset: 0, bytes, kind: Kind::Broken(reason), after: Parts::default() }]
        } else {
            let mut splitter = Splitter::new(0, Parts::default(), feed.inlet.framing);
            let mut segments = splitter.push(bytes);
            segments.extend(splitter.finish());
            segments
        };
        feed.send(segments, share, Some(ack));
    }
}

/// Waits for room for this message; forever if there is no message.
async fn room(feed: &Feed, first: Option<&(u64, Message)>) -> Result<Share, Cause> {
    match first {
        Some((_, message)) => feed.room_for(message.payload.len()).await,
        None => std::future::pending().await,
    }
}

impl Held {
    fn new(committed: Receiver<u64>) -> Self {
        let mut progress = interval_at(Instant::now() + ACK_WAIT / 3, ACK_WAIT / 3);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ackers: HashMap::new(), committed, progress }
    }

    /// Acknowledges what is committed, and reports progress on the rest, while it waits for
    /// something else.
    async fn while_waiting<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                Some(sequence) = self.committed.recv() => self.ack(sequence).await,
                _ = self.progress.tick() => self.hold_on().await,
                done = &mut other => return done,
            }
        }
    }

    /// Pauses before it asks again.
    async fn pause(&mut self, err: impl Display + Send) -> Result<(), Cause> {
        warn(format_args!("no messages from NATS for now: {err}"));
        self.while_waiting(sleep(PAUSE)).await;
        Ok(())
    }

    /// Acknowledges until nothing is left that could be committed.
    async fn rest(mut self) {
        loop {
            tokio::select! {
                committed = self.committed.recv() => match committed {
                    Some(sequence) => self.ack(sequence).await,
                    None => return,
                },
                _ = self.progress.tick() => self.hold_on().await,
            }
        }
    }

    async fn ack(&mut self, sequence: u64) {
        if let Some(acker) = self.ackers.remove(&sequence)
            && let Err(err) = acker.ack().await
        {
            warn(format_args!("message {sequence} comes again, its ack was lost: {err}"));
        }
    }

    async fn hold_on(&self) {
        for acker in self.ackers.values() {
            // If the ack is lost, the message comes again: at least once.
            let _ = acker.ack_with(AckKind::Progress).await;
        }
    }
}
