//! A file as an output: locked, written on from where a checkpoint left it, and reopened when its
//! name leads to another file.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::state::checkpoint::{FileKey, Written, sync_name};

#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    /// `None` until it is made.
    file: Option<Arc<File>>,
    /// `None` if it is not a regular file, such as `/dev/null` or a FIFO: then it is only written
    /// to.
    key: Option<FileKey>,
    start: Start,
    /// Its length with all that was written to it.
    length: u64,
}

/// Where an output goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// It is cut to this length.
    At(u64),
    /// It is not the file that the checkpoint knows: new lines go behind its content.
    Behind(u64),
}

impl Start {
    /// Decides by what a checkpoint knows and by the file that exists. An error holds the length of
    /// a file that is too short.
    fn of(saved: Option<Written>, there: Option<(FileKey, u64)>) -> Result<Self, u64> {
        match (saved, there) {
            (None, _) | (Some(_), None) => Ok(Self::At(0)),
            (Some(Written { length, file }), Some((key, there))) => match file {
                Some(file) if file != key => Ok(Self::Behind(there)),
                _ if there < length => Err(length),
                _ => Ok(Self::At(length)),
            },
        }
    }

    fn length(self) -> u64 {
        match self {
            Self::At(length) | Self::Behind(length) => length,
        }
    }
}

impl Output {
    /// Opens and locks the file if it exists, and neither creates nor cuts it.
    pub(crate) fn open(path: &Path, saved: Option<Written>) -> Result<Self, String> {
        let failed = |err| cannot_open(path, &err);
        let file = match File::options().append(true).open(path) {
            Ok(file) => Some(file),
            Err(err) if err.kind() == ErrorKind::NotFound => None,
            Err(err) => return Err(failed(err)),
        };
        let metadata = file.as_ref().map(File::metadata).transpose().map_err(failed)?;
        let key = metadata.as_ref().and_then(key);
        if let (Some(file), Some(_)) = (&file, key) {
            lock(file, path)?;
        }
        let there = key.zip(metadata.as_ref().map(Metadata::len));
        let start = Start::of(saved, there).map_err(|length| {
            format!(
                "{} has {} bytes, but {length} in the checkpoint; put the file back, or delete the \
                 checkpoint to start over",
                path.display(),
                there.map_or(0, |(_, there)| there),
            )
        })?;
        let known = saved.map_or(0, |saved| saved.length);
        let goes_on = match start {
            Start::At(_) if file.is_none() && known > 0 => Some("in a new one"),
            Start::Behind(there) if there != known => Some("behind what is there now"),
            _ => None,
        };
        if let Some(goes_on) = goes_on {
            warn(format_args!(
                "{} is not the file that the checkpoint knows, which was renamed or removed; going on \
                 {goes_on}. The last lines of a run that was killed may be in both",
                path.display(),
            ));
        }
        let (path, length) = (path.to_owned(), start.length());
        Ok(Self { path, file: file.map(Arc::new), key, start, length })
    }

    /// Creates the file, or cuts it to the length from which it goes on.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        self.make_or_cut().map_err(|err| cannot_open(&self.path, &err))
    }

    /// The length with all that was written to it.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn make_or_cut(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.make()?;
        }
        if let (Some(file), Some(_)) = (&self.file, self.key) {
            // Otherwise a checkpoint could rely on a file that a crash removes.
            sync_name(&self.path.canonicalize()?)?;
            if let Start::At(length) = self.start {
                file.set_len(length)?;
            }
        }
        Ok(())
    }

    fn make(&mut self) -> io::Result<()> {
        // Always appends, so that no hole is left if another process has truncated the file.
        let file = File::options().create(true).append(true).open(&self.path)?;
        self.key = key(&file.metadata()?);
        if self.key.is_some() {
            lock(&file, &self.path).map_err(io::Error::other)?;
        }
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// The file as it is open now, for another thread that will write `bytes` bytes to it.
    pub(crate) fn file_for(&mut self, bytes: usize) -> Arc<File> {
        self.length += bytes as u64;
        self.file.clone().expect("an output is begun before it is written to")
    }

    /// Which file it is; `None` if it is not a regular one.
    pub(crate) fn key(&self) -> Option<FileKey> {
        self.key
    }

    /// Reopens the output if its name leads to another file or to none by now; a file that was
    /// copied and truncated counts as another one. It then returns the length of that file, behind
    /// which it goes on. What was written before is in the old one, or in the copy.
    pub(crate) fn reopen(&mut self) -> io::Result<Option<u64>> {
        let Some(ours) = self.key else { return Ok(None) };
        match fs::metadata(&self.path) {
            Ok(there) if key(&there) == Some(ours) => {
                let is_cut = there.len() < self.length;
                self.length = self.length.min(there.len());
                return Ok(is_cut.then_some(self.length));
            }
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        self.make()?;
        sync_name(&self.path.canonicalize()?)?;
        self.length = self.file_for(0).metadata()?.len();
        Ok(Some(self.length))
    }
}

/// Writes the batches, one after the other.
pub(crate) fn write_all(to: &mut impl Write, batches: &[Bytes]) -> io::Result<()> {
    batches.iter().try_for_each(|batch| to.write_all(batch))
}

fn key(metadata: &Metadata) -> Option<FileKey> {
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}

/// One process writes to a file. It is locked until that ends.
fn lock(file: &File, path: &Path) -> Result<(), String> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another process writes to {}; stop it, or give this one another file",
            path.display()
        )),
        Err(TryLockError::Error(err)) if err.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(err)) => Err(format!("cannot lock {}: {err}", path.display())),
    }
}

fn cannot_open(path: &Path, err: &io::Error) -> String {
    format!("cannot open {} for writing: {err}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_goes_on_where_the_checkpoint_left_that_very_file() {
        let (ours, other) = ((1, 1), (1, 2));
        let saved = |length, file| Some(Written { length, file });
        for (saved, there, start) in [
            (None, None, Ok(Start::At(0))),
            (None, Some((ours, 9)), Ok(Start::At(0))),
            (saved(5, Some(ours)), Some((ours, 9)), Ok(Start::At(5))),
            (saved(5, Some(ours)), Some((ours, 4)), Err(5)),
            (saved(5, None), Some((other, 9)), Ok(Start::At(5))),
            (saved(5, Some(ours)), None, Ok(Start::At(0))),
            (saved(5, Some(ours)), Some((other, 0)), Ok(Start::Behind(0))),
            (saved(5, Some(ours)), Some((other, 9)), Ok(Start::Behind(9))),
        ] {
            assert_eq!(Start::of(saved, there), start, "{saved:?}, {there:?}");
        }
    }
}
