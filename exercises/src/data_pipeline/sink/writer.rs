//! Where batches end up.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::path;
use super::tcp::Tcp;

#[derive(Debug)]
pub(crate) enum Writer {
    File(Arc<File>),
    Stdout,
    Tcp(Tcp),
    /// Takes everything and keeps nothing, after a delay that the demo sets.
    Slow(watch::Receiver<Duration>),
}

impl Writer {
    /// Opens the file with this name, cut to `length`, or empty if there is none to go on with.
    pub(crate) fn open(name: &str, length: Option<u64>) -> Result<Self, String> {
        match path(name) {
            None if name == "-" => Ok(Self::Stdout),
            None => match name.strip_prefix("tcp://") {
                Some(address) => Ok(Self::Tcp(Tcp::new(address))),
                None => Err(format!("cannot write to {name}: write a path, - or tcp://HOST:PORT")),
            },
            Some(path) => open_file(path, length.unwrap_or(0)).map(|file| Self::File(file.into())),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Writes a batch.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), String> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                blocking(move || (&*file).write_all(&bytes)).await
            }
            Self::Stdout => blocking(move || common::stdout().write_all(&bytes)).await,
            Self::Tcp(tcp) => {
                tcp.write(&bytes).await;
                Ok(())
            }
            Self::Slow(delay) => {
                let delay = *delay.borrow();
                tokio::time::sleep(delay).await;
                Ok(())
            }
        }
    }

    /// Returns when all that was written is as safe as it gets here: a file is on the disk.
    pub(crate) async fn sync(&mut self) -> Result<(), String> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                blocking(move || if is_regular(&file) { file.sync_data() } else { Ok(()) }).await
            }
            Self::Stdout | Self::Tcp(_) | Self::Slow(_) => Ok(()),
        }
    }
}

fn open_file(path: &Path, length: u64) -> Result<File, String> {
    let name = path.display();
    let open = || {
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        let there = file.metadata()?.len();
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

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    let done = spawn_blocking(work).await.map_err(|err| err.to_string())?;
    done.map_err(|err| err.to_string())
}
