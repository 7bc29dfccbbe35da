use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use smallvec::SmallVec;

use super::columns::Counts;

/// What became of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The path as it was given or found; `-` is stdin.
    pub path: PathBuf,
    /// Its counts, or why there are none.
    pub outcome: Outcome,
}

/// The counts of a file, or why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file was read to its end.
    Counted(Counts),
    /// It was not: an error, to be reported, that ends nothing else.
    Failed(Failure),
    /// Nothing to count and no failure either, such as a FIFO that a walk came across.
    Note(String),
}

/// What was tried, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {reason}")]
pub struct Failure {
    /// What was tried.
    pub operation: Operation,
    /// The reason, in the words of the operating system where it is the one to refuse.
    pub reason: String,
}

/// What can fail on the way to a file's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Finding and opening the file.
    Open,
    /// Reading it to its end.
    Read,
    /// Listing a directory, or the paths in a `--files0-from`.
    List,
    /// Counting: the program is at fault.
    Count,
}

/// The sum over many files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many files were read to their end.
    pub files: u64,
    /// Their counts.
    pub counts: Counts,
}

/// What a run says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The sum over all files.
    pub total: Total,
    /// How many paths failed.
    pub failed: u64,
    /// The sums by extension or directory, if they were asked for.
    pub groups: BTreeMap<OsString, Total>,
    /// The most frequent words, if they were asked for.
    pub top: Vec<Frequency>,
    /// Whether the run came to its end; `false` if it was interrupted.
    pub complete: bool,
}

/// A word: bytes, because a file need not be UTF-8. A short one lies in the table itself, which
/// saves a cache miss every time that it is met.
pub type Word = SmallVec<[u8; 16]>;

/// A word and how often it occurs.
pub type Frequency = (Word, u64);

/// What a run has done so far, for whoever watches it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files, failed ones too.
    pub files: AtomicU64,
    /// Bytes.
    pub bytes: AtomicU64,
}

/// What to add files up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The extension of the file's name; empty if it has none.
    Ext,
    /// The directory that the file is in.
    Dir,
}

impl By {
    /// The name in headings and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext",
            Self::Dir => "dir",
        }
    }

    /// The group that a path belongs to.
    pub(crate) fn group(self, path: &Path) -> OsString {
        match self {
            Self::Ext => path.extension().map(OsString::from).unwrap_or_default(),
            Self::Dir => match path.parent() {
                Some(parent) if parent.as_os_str().is_empty() => OsString::from("."),
                parent => parent.unwrap_or(path).into(),
            },
        }
    }
}

impl Total {
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.files += 1;
        self.counts.add(counts);
    }
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Read, Self::List, Self::Count];

    /// The name in listings and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::List => "list",
            Self::Count => "count",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Failure {
    pub(crate) fn new(operation: Operation, reason: impl Into<String>) -> Self {
        Self { operation, reason: reason.into() }
    }

    /// From an error of the operating system, in its own words: without what others have wrapped
    /// around it, and without Rust's `(os error 13)`.
    pub(crate) fn io(operation: Operation, err: &io::Error) -> Self {
        let causes = iter::successors(err.source(), |&cause| cause.source());
        let innermost = causes.filter_map(|cause| cause.downcast_ref()).last().unwrap_or(err);
        let text = innermost.to_string();
        let reason = text.split(" (os error").next().unwrap_or_default();
        Self::new(operation, reason)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Operation::Read, "interrupted")
    }

    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::new(Operation::Count, format!("panicked: {}", text.unwrap_or("with no message")))
    }
}
