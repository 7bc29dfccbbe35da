use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::api_client::input::Request;

/// The longest line of a journal, in bytes: a line of input has at most 16 MiB, and JSON may take
/// six bytes for one. A longer line was not written by this program.
const LONGEST_LINE: u64 = 128 * 1024 * 1024;
/// Since this version a request is known by its own line, and not by the flags of the run.
const VERSION: u32 = 2;

/// What has been fetched, one line each, so that no run fetches it again.
///
/// A line is handed to the system in one piece before its outcome is given out: it survives the
/// process, however that ends, but not a power failure. A last line that is torn is cut off.
/// Resuming keeps about a hundred bytes in memory for each line.
#[derive(Debug)]
pub struct Journal {
    lines: Arc<Lines>,
    /// The same file, to be read at a position of its own.
    reader: File,
    /// Where the lines of each request are: one for each time that it was fetched.
    fetched: HashMap<u128, Vec<u64>>,
    /// Whether it has lines of version 1.
    old: bool,
}

/// Where outcomes are recorded, on whatever thread.
#[derive(Debug)]
pub(in crate::api_client) struct Lines {
    path: PathBuf,
    file: File,
    /// Whether a line may have been written in part: it stays the last one.
    torn: AtomicBool,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An error of the operating system.
    #[error("the journal {0}")]
    Io(PathBuf, #[source] io::Error),
    /// Another run is writing it.
    #[error("the journal {0} is in use by another run")]
    InUse(PathBuf),
    /// It belongs to an earlier run, and `--resume` was not given.
    #[error("the journal {0} is that of an earlier run: add --resume to go on, or remove it")]
    Exists(PathBuf),
    /// It is some other file, or has been damaged.
    #[error("line {1} of {0} is not a journal's: give another file, or remove that line ({2})")]
    Foreign(PathBuf, u64, String),
}

#[derive(Serialize, Deserialize)]
struct Entry<O> {
    /// 0 in journals of version 1.
    #[serde(default)]
    version: u32,
    key: String,
    #[serde(flatten)]
    outcome: O,
}

impl Journal {
    /// Opens the journal at `path`, or begins it. One that holds lines is only opened to `resume`.
    pub fn open(path: &Path, resume: bool) -> Result<Self, JournalError> {
        let io = |err| JournalError::Io(path.to_owned(), err);
        let file = File::options().create(true).read(true).append(true).open(path).map_err(io)?;
        file.try_lock().map_err(|err| match err {
            TryLockError::WouldBlock => JournalError::InUse(path.to_owned()),
            TryLockError::Error(err) => io(err),
        })?;
        let length = file.metadata().map_err(io)?.len();
        if length > 0 && !resume {
            return Err(JournalError::Exists(path.to_owned()));
        }
        let reader = File::open(path).map_err(io)?;
        let lines = Arc::new(Lines { path: path.to_owned(), file, torn: AtomicBool::new(false) });
        let mut journal = Self { lines, reader, fetched: HashMap::new(), old: false };
        let complete = journal.read()?;
        journal.lines.file.set_len(complete).map_err(io)?; // a torn last line
        Ok(journal)
    }

    /// How many requests it says were fetched.
    pub fn len(&self) -> usize {
        self.fetched.values().map(Vec::len).sum()
    }

    /// Whether no request was fetched.
    pub fn is_empty(&self) -> bool {
        self.fetched.is_empty()
    }

    /// The result of a request in an earlier run, if it was fetched and can be reused: with a
    /// `directory` for bodies, its file must be there with all its bytes. Every line answers one
    /// request.
    pub fn recall(
        &mut self,
        request: &Request,
        directory: Option<&Path>,
    ) -> Result<Option<Outcome>, JournalError> {
        let key = request.key();
        while let Some(offset) = self.offset(key, request) {
            let outcome = self.line_at(offset)?;
            if directory.is_none_or(|directory| is_stored(&outcome, directory)) {
                return Ok(Some(Outcome { known: true, key, ..outcome }));
            }
        }
        Ok(None)
    }

    fn offset(&mut self, key: u128, request: &Request) -> Option<u64> {
        let found = self.fetched.get_mut(&key).and_then(Vec::pop);
        if found.is_none() && self.old {
            return self.fetched.get_mut(&request.full_key()).and_then(Vec::pop);
        }
        found
    }

    fn line_at(&mut self, offset: u64) -> Result<Outcome, JournalError> {
        let io = |err| JournalError::Io(self.lines.path.clone(), err);
        self.reader.seek(SeekFrom::Start(offset)).map_err(io)?;
        let mut line = String::new();
        let mut reader = BufReader::new((&self.reader).take(LONGEST_LINE));
        reader.read_line(&mut line).map_err(io)?;
        let entry: Entry<Outcome> = serde_json::from_str(&line).map_err(|err| io(err.into()))?;
        Ok(entry.outcome)
    }

    /// Records an outcome, if it is a success of this run.
    pub fn record(&self, outcome: &Outcome) -> Result<(), JournalError> {
        self.lines.record(outcome)
    }

    pub(in crate::api_client) fn lines(&self) -> Arc<Lines> {
        self.lines.clone()
    }

    /// Reads all complete lines and returns where they end.
    fn read(&mut self) -> Result<u64, JournalError> {
        let path = &self.lines.path;
        let io = |err| JournalError::Io(path.clone(), err);
        let mut reader = BufReader::new(&self.reader);
        let (mut offset, mut number, mut line) = (0, 0, Vec::new());
        loop {
            line.clear();
            number += 1;
            let mut limited = (&mut reader).take(LONGEST_LINE);
            let length = limited.read_until(b'\n', &mut line).map_err(io)? as u64;
            if line.last() != Some(&b'\n') && length < LONGEST_LINE {
                return Ok(offset);
            }
            let (version, key) =
                key_of(&line).map_err(|why| JournalError::Foreign(path.clone(), number, why))?;
            self.old |= version < VERSION;
            self.fetched.entry(key).or_default().push(offset);
            offset += length;
        }
    }
}

impl Lines {
    /// Records an outcome, if it is a success of this run. After an error it records no more.
    pub(in crate::api_client) fn record(&self, outcome: &Outcome) -> Result<(), JournalError> {
        if outcome.error.is_some() || outcome.known {
            return Ok(());
        }
        let entry = Entry { version: VERSION, key: format!("{:032x}", outcome.key), outcome };
        let io = |err| JournalError::Io(self.path.clone(), err);
        let mut line = serde_json::to_vec(&entry).map_err(|err| io(err.into()))?;
        line.push(b'\n');
        if self.torn.load(Ordering::Relaxed) {
            return Err(io(io::Error::other("an earlier line could not be written")));
        }
        (&self.file).write_all(&line).map_err(io).inspect_err(|_| {
            self.torn.store(true, Ordering::Relaxed);
        })
    }
}

/// Whether the body is where this run would store it, with its full length.
fn is_stored(outcome: &Outcome, directory: &Path) -> bool {
    let stored = |file: &PathBuf| {
        file.parent() == Some(directory)
            && file.metadata().is_ok_and(|file| file.is_file() && file.len() == outcome.bytes)
    };
    outcome.file.as_ref().is_some_and(stored)
}

fn key_of(line: &[u8]) -> Result<(u32, u128), String> {
    let entry: Entry<Outcome> = serde_json::from_slice(line).map_err(|err| err.to_string())?;
    let key = u128::from_str_radix(&entry.key, 16).map_err(|err| err.to_string())?;
    Ok((entry.version, key))
}
