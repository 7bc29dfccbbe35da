//! What batches are written to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::http::Http;
#[cfg(feature = "nats")]
use super::nats::Nats;
use super::output::{Output, write_all};
use super::owed::Owed;
use super::post::{Settings, Web, url};
use super::refused::Refused;
use super::tcp::Tcp;
use crate::data_pipeline::config::{Config, Content, is_http, is_stdout, sink_path};
use crate::data_pipeline::monitor;
use crate::data_pipeline::monitor::stats::Stage;
use crate::data_pipeline::monitor::warnings::Told;
use crate::data_pipeline::state::checkpoint::{FileKey, Written};

/// Most batches that are written together.
const TOGETHER: usize = 16;

/// How long a file's sink waits for more to write: each write goes to another thread and back.
const LINGER: Duration = Duration::from_millis(2);

/// How long an HTTP sink waits for more lines for its request.
const HTTP_LINGER: Duration = Duration::from_millis(100);

/// Ends when the other side has acknowledged all that it was sent.
pub(crate) type Acks = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a sink reports when all that it was sent is safe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    pub(crate) is_file: bool,
    /// The file in which the sink goes on, if it is a regular one.
    pub(crate) file: Option<FileKey>,
    /// A file that was reopened, of this length, without what was sent up to now.
    pub(crate) reopened: Option<u64>,
    /// Dead letters of what its other side has refused since the checkpoint under way has begun.
    pub(crate) refused: Vec<Bytes>,
}

#[derive(Debug)]
pub(crate) enum Writer {
    File(Output),
    Stdout,
    Tcp(Tcp),
    Http(Box<Http>),
    #[cfg(feature = "nats")]
    Nats(Arc<Nats>),
    /// Discards everything, after a delay that the demo sets.
    Slow(watch::Receiver<Duration>),
}

impl Writer {
    /// Whether a sink can have this name and these settings, without opening it.
    pub(crate) fn check(name: &str, config: &Config) -> Result<(), String> {
        if sink_path(name).is_some() || is_stdout(name) {
            Ok(())
        } else if is_http(name) {
            url(name).and(Settings::of(config)).map(drop)
        } else if let Some(address) = name.strip_prefix("tcp://") {
            let expected = || format!("cannot write to {name}: expected tcp://HOST:PORT");
            monitor::is_host_and_port(address).then_some(()).ok_or_else(expected)
        } else {
            #[cfg(feature = "nats")]
            if name.starts_with("nats://") {
                return super::nats::check(name);
            }
            let nats = if cfg!(feature = "nats") { ", nats://HOST:PORT/STREAM" } else { "" };
            Err(format!(
                "cannot write to {name}: expected a path, -, tcp://HOST:PORT{nats}, \
                 http://HOST:PORT/PATH or https"
            ))
        }
    }

    /// Opens the sink of this name. A file is neither created nor cut before the sink
    /// [begins](Self::begin).
    #[cfg_attr(
        not(feature = "nats"),
        expect(clippy::unused_async, reason = "only NATS needs this")
    )]
    pub(crate) async fn open(
        name: &str,
        content: Content,
        saved: Option<Written>,
        config: &Config,
        told: &Arc<Told>,
        refused: &Refused,
    ) -> Result<Self, String> {
        Self::check(name, config)?;
        // Events have ids of their own; windows of two processes may look the same.
        let salt = if content == Content::Lines { 0 } else { rand::random() };
        match sink_path(name) {
            None if is_stdout(name) => Ok(Self::Stdout),
            None if name.starts_with("tcp://") => Ok(Self::Tcp(Tcp::new(&name["tcp://".len()..]))),
            None if is_http(name) => {
                let settings = Settings::of(config)?;
                let web = Web::new(name, &settings)?;
                let keeps = config.dead_letters.is_some() && content != Content::DeadLetters;
                let refused = keeps.then(|| refused.clone());
                let http = Http::new(web, settings, salt, refused, told.clone());
                Ok(Self::Http(Box::new(http)))
            }
            #[cfg(feature = "nats")]
            None if name.starts_with("nats://") => {
                Ok(Self::Nats(Nats::open(name, salt).await?.into()))
            }
            None => unreachable!("it has just been checked"),
            Some(path) => Output::open(path, saved).map(Self::File),
        }
    }

    /// How long a file is with all that was written to it; `None` for everything else.
    pub(crate) fn length(&self) -> Option<u64> {
        if let Self::File(output) = self { Some(output.length()) } else { None }
    }

    /// Creates the file, or cuts it to the length from which it goes on.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        if let Self::File(output) = self { output.begin() } else { Ok(()) }
    }

    /// Vector's `component_type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Stdout => "console",
            Self::Tcp(_) => "socket",
            Self::Http(_) => "http",
            #[cfg(feature = "nats")]
            Self::Nats(_) => "nats",
            Self::Slow(_) => "blackhole",
        }
    }

    /// How long it waits for more to write, because each write costs something.
    pub(crate) fn linger(&self) -> Option<Duration> {
        match self {
            Self::File(_) => Some(LINGER),
            Self::Http(_) => Some(HTTP_LINGER),
            _ => None,
        }
    }

    /// Most batches, and the bytes, that are worth taking for one write.
    pub(crate) fn together(&self) -> (usize, usize) {
        if let Self::Http(http) = self { (usize::MAX, http.most()) } else { (TOGETHER, usize::MAX) }
    }

    /// Writes some batches, and counts failures that it recovers from. What it accounts for is taken
    /// from `owed`; the rest is written when this returns or, if the other side sends
    /// acknowledgements, when these are there.
    pub(crate) async fn write(
        &mut self,
        batches: Vec<Bytes>,
        owed: &mut Owed,
        stage: &Arc<Stage>,
    ) -> Result<Option<Acks>, String> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(nats) => {
                let acks = nats.send(batches, stage.clone()).await?;
                return Ok(Some(Box::pin(acks)));
            }
            Self::File(output) => {
                let file = output.file_for(batches.iter().map(Bytes::len).sum());
                blocking(move || write_all(&mut &*file, &batches)).await?;
            }
            Self::Stdout => blocking(move || write_all(&mut common::stdout(), &batches)).await?,
            Self::Tcp(tcp) => {
                for batch in &batches {
                    tcp.write(batch, &stage.errors).await;
                }
            }
            Self::Http(http) => http.write(&batches, owed, stage).await?,
            Self::Slow(delay) => {
                for _ in batches {
                    let delay = *delay.borrow_and_update();
                    tokio::time::sleep(delay).await;
                }
            }
        }
        Ok(None)
    }

    /// Returns when all that was written is as safe as the sink can make it: a file is synced to
    /// the disk.
    pub(crate) async fn sync(&mut self) -> Result<(), String> {
        match self {
            Self::File(output) if output.key().is_some() => {
                let file = output.file_for(0);
                blocking(move || file.sync_data()).await
            }
            _ => Ok(()),
        }
    }

    /// Reopens a file whose name now leads to another one, and returns which one that is.
    pub(crate) fn settle(&mut self, id: &str) -> Result<Settled, String> {
        match self {
            Self::File(output) => {
                let reopened = output.reopen().map_err(|err| err.to_string())?;
                let refused = Vec::new();
                Ok(Settled { is_file: true, file: output.key(), reopened, refused })
            }
            Self::Http(http) => Ok(Settled { refused: http.refused(id), ..Settled::default() }),
            _ => Ok(Settled::default()),
        }
    }
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    let done = spawn_blocking(work).await.map_err(|err| err.to_string())?;
    done.map_err(|err| err.to_string())
}
