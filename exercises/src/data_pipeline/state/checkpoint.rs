//! The checkpoint file: what it holds, how it is written so that a crash leaves a complete one, and
//! how it is read back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::file::FileRecord;
use crate::data_pipeline::window;

/// How often the state is saved.
pub(crate) const BEAT: Duration = Duration::from_millis(250);

const MAGIC: &str = "data-pipeline checkpoint 2";

/// How a checkpoint of the version before begins; it knew files by their paths.
const OLD: &[u8] = b"data-pipeline checkpoint 1 ";

/// All that a resumed run has to know. It is consistent: the outputs up to their lengths and the
/// open windows hold exactly the events before the files' positions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The settings that the windows depend on; a run with other ones cannot resume.
    pub(crate) job: String,
    /// All files that are being read or were read, by name.
    pub(crate) files: BTreeMap<String, FileRecord>,
    pub(crate) windows: Option<window::Saved>,
    /// Lengths in bytes, by path.
    pub(crate) outputs: BTreeMap<String, u64>,
    /// Which files these were, by path.
    #[serde(default)]
    pub(crate) output_files: BTreeMap<String, FileKey>,
    /// Dead letters of lines that a sink has refused: they come behind the saved length.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) letters: String,
}

/// A file by device and inode.
pub(crate) type FileKey = (u64, u64);

/// How far an output was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// In bytes.
    pub(crate) length: u64,
    /// Unknown in checkpoints of earlier versions.
    pub(crate) file: Option<FileKey>,
}

impl Checkpoint {
    /// How far this output was written; `None` if the checkpoint does not know it.
    pub(crate) fn output(&self, name: &str) -> Option<Written> {
        let length = *self.outputs.get(name)?;
        Some(Written { length, file: self.output_files.get(name).copied() })
    }
}

/// All files that may be created for the checkpoint at `path`, which comes first.
pub(crate) fn own_files(path: &Path) -> [PathBuf; 5] {
    let beside = |extension| path.with_added_extension(extension);
    [path.to_owned(), beside("lock"), beside("prev"), beside("tmp"), beside("broken")]
}

/// The program's own files can be read by their owner only.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).write(true).mode(0o600);
    options
}

/// The newest complete checkpoint at `path`: the current one, or else the one before it, with the
/// error of the newer one. `None` if there has never been one.
pub(crate) fn newest(path: &Path) -> Result<Option<(Checkpoint, Option<String>)>, String> {
    let mut broken: Option<String> = None;
    for path in [path.to_owned(), path.with_added_extension("prev")] {
        match fs::read(&path).map(|bytes| decode(&bytes)) {
            Ok(Ok(checkpoint)) => return Ok(Some((checkpoint, broken))),
            Ok(Err(reason)) => broken = Some(format!("{}: {reason}", path.display())),
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => broken = Some(format!("{}: {err}", path.display())),
        }
    }
    let remedy = "delete it and the outputs to start over";
    broken.map_or(Ok(None), |broken| Err(format!("no usable checkpoint, {broken}; {remedy}")))
}

/// The checkpoint file, locked for this process.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    _lock: File,
}

impl Store {
    /// Locks the checkpoint at `path`; it need not exist yet.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let lock = path.with_added_extension("lock");
        let file = private().truncate(false).open(&lock);
        let file = file.map_err(|err| format!("cannot create {}: {err}", lock.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(fs::TryLockError::WouldBlock) => Err(format!(
                "another data-pipeline runs on the checkpoint {}; stop it, or give this one \
                 another --checkpoint",
                path.display()
            )),
            Err(fs::TryLockError::Error(err)) => {
                Err(format!("cannot lock {}: {err}", lock.display()))
            }
        }
    }

    /// The [`newest`] checkpoint. One that is broken is set aside.
    pub(crate) fn load(&self) -> Result<Option<(Checkpoint, Option<String>)>, String> {
        let newest = newest(&self.path)?;
        if let Some((_, Some(_))) = newest {
            self.set_aside()?;
        }
        Ok(newest)
    }

    /// Otherwise the next save would replace the complete previous checkpoint with the broken one.
    fn set_aside(&self) -> Result<(), String> {
        let renamed = fs::rename(&self.path, self.path.with_added_extension("broken"));
        renamed.map_err(|err| format!("cannot rename {}: {err}", self.path.display()))
    }

    /// Writes, syncs, keeps the previous one, renames, syncs the directory: a crash at any point
    /// leaves the new or the previous checkpoint, whole.
    pub(crate) fn save(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let new = self.path.with_added_extension("tmp");
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(&encode(checkpoint))?;
        file.sync_all()?;
        match fs::rename(&self.path, self.path.with_added_extension("prev")) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => fs::rename(&new, &self.path)?,
        }
        sync_name(&self.path)
    }
}

/// Syncs the directory of a file, which makes its name safe, if the directory may be read.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(directory.unwrap_or(Path::new("."))) {
        Ok(directory) => directory.sync_all(),
        Err(err) if err.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(err) => Err(err),
    }
}

/// One line with the checksum, then the checkpoint as JSON.
pub(crate) fn encode(checkpoint: &Checkpoint) -> Vec<u8> {
    let body = serde_json::to_vec(checkpoint).expect("a checkpoint has only string keys");
    let mut bytes = head(&body).into_bytes();
    bytes.extend(body);
    bytes
}

/// The line before `body`.
pub(crate) fn head(body: &[u8]) -> String {
    format!("{MAGIC} {:08x}\n", crc32fast::hash(body))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
    if bytes.starts_with(OLD) {
        let old = "it is of an earlier version, which can finish with it";
        return Err(old.to_owned());
    }
    let end = memchr::memchr(b'\n', bytes).ok_or("it is empty or torn")?;
    let (line, body) = bytes.split_at(end + 1);
    if line != head(body).as_bytes() {
        return Err("it is torn, or not a checkpoint: the checksum differs".to_owned());
    }
    serde_json::from_slice(body).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::event::splitter::Parts;

    fn checkpoint(offset: u64) -> Checkpoint {
        let parts = Parts { line: offset, ..Parts::default() };
        let file = FileRecord { parts, ..FileRecord::default() };
        Checkpoint { files: [("a".to_owned(), file)].into(), ..Checkpoint::default() }
    }

    fn offset(store: &Store) -> Option<u64> {
        store.load().unwrap().map(|(checkpoint, _)| checkpoint.files["a"].parts.line)
    }

    #[test]
    fn the_newest_checkpoint_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("c")).unwrap();
        assert_eq!(offset(&store), None);
        for n in 1..4 {
            store.save(&checkpoint(n)).unwrap();
            assert_eq!(offset(&store), Some(n));
        }
    }

    #[test]
    fn any_torn_or_altered_checkpoint_falls_back_to_the_previous() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let store = Store::open(&path).unwrap();
        store.save(&checkpoint(1)).unwrap();
        store.save(&checkpoint(2)).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(offset(&store), Some(1), "cut to {length} bytes");
            let mut altered = whole.clone();
            altered[length] ^= 1;
            fs::write(&path, altered).unwrap();
            assert_eq!(offset(&store), Some(1), "byte {length} altered");
        }
        assert!(!path.exists(), "set aside, as after a crash between the two renames");
        assert_eq!(offset(&store), Some(1));
    }

    #[test]
    fn without_a_whole_checkpoint_nothing_is_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        fs::write(&path, "").unwrap();
        let err = Store::open(&path).unwrap().load().unwrap_err();
        assert!(err.contains("no usable checkpoint"), "{err}");
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        fs::write(&path, "data-pipeline checkpoint 1 12345678\n{}").unwrap();
        let err = Store::open(&path).unwrap().load().unwrap_err();
        assert!(err.contains("earlier version") && !err.contains('\n'), "{err}");
    }

    #[test]
    fn a_second_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let first = Store::open(&path).unwrap();
        assert!(Store::open(&path).unwrap_err().contains("another data-pipeline"));
        drop(first);
        assert!(Store::open(&path).is_ok());
    }
}
