//! Where batches end up.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

#[cfg(feature = "nats")]
use super::nats::Nats;
use super::tcp::Tcp;
use crate::data_pipeline::config::{Content, sink_path};
use crate::data_pipeline::monitor::stats::Stage;
use crate::data_pipeline::state::checkpoint::sync_name;

/// Ends when the other side has acknowledged all that it was sent.
pub(crate) type Acks = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug)]
pub(crate) enum Writer {
    File(Arc<File>),
    Stdout,
    Tcp(Tcp),
    #[cfg(feature = "nats")]
    Nats(Arc<Nats>),
    /// Content everything and keeps nothing, after a delay that the demo sets.
    Slow(watch::Receiver<Duration>),
}

impl Writer {
    /// Opens what has this name; a file is cut to `length`.
    #[cfg_attr(
        not(feature = "nats"),
        expect(unused_variables, clippy::unused_async, reason = "only NATS needs this")
    )]
    pub(crate) async fn open(name: &str, content: Content, length: u64) -> Result<Self, String> {
        match sink_path(name) {
            None if name == "-" => Ok(Self::Stdout),
            None if name.starts_with("tcp://") => Ok(Self::Tcp(Tcp::new(&name["tcp://".len()..]))),
            #[cfg(feature = "nats")]
            None if name.starts_with("nats://") => {
                let salt = if content == Content::Lines { 0 } else { rand::random() };
                Ok(Self::Nats(Nats::open(name, salt).await?.into()))
            }
            None => Err(format!(
                "cannot write to {name}: write a path, -, tcp://HOST:PORT or, if built with it, \
                 nats://HOST:PORT/STREAM"
            )),
            Some(path) => open_file(path, length).map(|file| Self::File(file.into())),
        }
    }

    /// Vector's `component_type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Stdout => "console",
            Self::Tcp(_) => "socket",
            #[cfg(feature = "nats")]
            Self::Nats(_) => "nats",
            Self::Slow(_) => "blackhole",
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Writes some batches, and counts the failures that it gets over. Where the other side
    /// acknowledges what it has, that is still to be waited for.
    pub(crate) async fn write(
        &mut self,
        batches: Vec<Bytes>,
        stage: &Arc<Stage>,
    ) -> Result<Option<Acks>, String> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(nats) => {
                let acks = nats.send(batches, stage.clone()).await?;
                return Ok(Some(Box::pin(acks)));
            }
            Self::File(file) => {
                let file = file.clone();
                blocking(move || write_all(&mut &*file, &batches)).await?;
            }
            Self::Stdout => blocking(move || write_all(&mut common::stdout(), &batches)).await?,
            Self::Tcp(tcp) => {
                for batch in &batches {
                    tcp.write(batch, &stage.errors).await;
                }
            }
            Self::Slow(delay) => {
                for _ in batches {
                    let delay = *delay.borrow_and_update();
                    tokio::time::sleep(delay).await;
                }
            }
        }
        Ok(None)
    }

    /// Returns when all that was written is as safe as it gets here: a file is on the disk.
    pub(crate) async fn sync(&mut self) -> Result<(), String> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                blocking(move || if is_regular(&file) { file.sync_data() } else { Ok(()) }).await
            }
            _ => Ok(()),
        }
    }
}

fn open_file(path: &Path, length: u64) -> Result<File, String> {
    let name = path.display();
    let open = || {
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        let there = file.metadata()?.len();
        if is_regular(&file) {
            // Or a checkpoint could vouch for a file that a crash takes away.
            sync_name(&path.canonicalize()?)?;
        }
        if is_regular(&file) && there >= length {
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
        }
        Ok::<_, io::Error>((file, there))
    };
    let (file, there) = open().map_err(|err| format!("cannot open {name} for writing: {err}"))?;
    if is_regular(&file) && there < length {
        return Err(format!(
            "{name} has {there} bytes, but the checkpoint vouches for {length}; put it back, or \
             delete the checkpoint to start over"
        ));
    }
    Ok(file)
}

fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn write_all(to: &mut impl Write, batches: &[Bytes]) -> io::Result<()> {
    batches.iter().try_for_each(|batch| to.write_all(batch))
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    let done = spawn_blocking(work).await.map_err(|err| err.to_string())?;
    done.map_err(|err| err.to_string())
}
