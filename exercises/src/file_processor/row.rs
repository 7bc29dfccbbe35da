use std::any::Any;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicU64;

use common::panic_message;
use smallvec::SmallVec;

use super::columns::Counts;

/// The result of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The path as it was given or found; `-` is stdin.
    pub path: PathBuf,
    /// The length in bytes of the part of the path that names the walked directory, or the
    /// directory of a named file.
    pub root: usize,
    /// Its counts, or why there are none.
    pub outcome: Status,
}

/// The counts of a file, or why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The file was read to its end.
    Counted(Counts),
    /// It could not be read. The error is reported, and the run goes on.
    Failed(Failure),
    /// It is binary, and binary files are left out ([`Options::skip_binary`](super::Options)).
    Binary,
    /// There is nothing to count, and that is no failure: a walk found a FIFO, for example.
    Note(String),
}

/// What was tried, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {reason}")]
pub struct Failure {
    /// What was tried.
    pub operation: Operation,
    /// The reason; if the operating system refused, in its words.
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
    /// Counting, where a failure is a bug of the program.
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

/// The totals of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The sum over all files.
    pub total: Total,
    /// How many paths failed.
    pub failed: u64,
    /// The sums by extension or directory, if they were asked for, in the order of the names.
    pub groups: Vec<(OsString, Total)>,
    /// The most frequent words, if they were asked for.
    pub top: Vec<Frequency>,
    /// How many words were too long to have a rank among them.
    pub long_words: u64,
    /// How many binary files were left out.
    pub binary: u64,
    /// Whether the run came to its end; `false` if it was interrupted.
    pub complete: bool,
}

/// A word: bytes, because a file need not be UTF-8. A short one is stored in the table itself,
/// which saves a cache miss for each occurrence.
pub type Word = SmallVec<[u8; 16]>;

/// A word and how often it occurs.
pub type Frequency = (Word, u64);

/// What a run has done so far, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files, failed ones too.
    pub files: AtomicU64,
    /// Bytes.
    pub bytes: AtomicU64,
}

/// What to add files up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The extension of the file's name in lower case; empty if it has none.
    Ext,
    /// The directory that the file is in.
    Dir,
    /// Each directory above the file, down to this depth below the one that was walked.
    Subtree(usize),
}

impl By {
    /// The name in headings and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext",
            Self::Dir | Self::Subtree(_) => "dir",
        }
    }

    /// The groups that a path belongs to.
    pub(crate) fn groups(self, path: &Path, root: usize) -> Vec<OsString> {
        let dir = path.parent().unwrap_or(path).as_os_str();
        let shown =
            |dir: &[u8]| OsStr::from_bytes(if dir.is_empty() { b"." } else { dir }).to_owned();
        match self {
            Self::Ext => {
                vec![path.extension().map(OsStr::to_ascii_lowercase).unwrap_or_default()]
            }
            Self::Dir => vec![shown(dir.as_bytes())],
            Self::Subtree(depth) => {
                let dir = dir.as_bytes();
                let below = root..dir.len();
                // A slash right behind the root, or at the end, separates no levels.
                let ends = below.filter(|at| *at > root && *at > 0 && dir[*at] == b'/');
                let ends = [root.min(dir.len())].into_iter().chain(ends).chain([dir.len()]);
                let mut groups: Vec<_> = ends.map(|end| shown(&dir[..end])).collect();
                groups.dedup();
                groups.truncate(depth + 1);
                groups
            }
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("expected ext, dir or dir=DEPTH, such as dir=2, not `{text}`");
        match text.split_once('=') {
            None if text == "ext" => Ok(Self::Ext),
            None if text == "dir" => Ok(Self::Dir),
            Some(("dir", depth)) => depth.parse().map(Self::Subtree).map_err(|_| unknown()),
            _ => Err(unknown()),
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

    /// From an error of the operating system.
    pub(crate) fn io(operation: Operation, err: &io::Error) -> Self {
        Self::new(operation, reason(err))
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Operation::Read, "interrupted")
    }

    pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Self {
        Self::new(Operation::Count, format!("panicked: {}", panic_message(panic)))
    }
}

/// The operating system's own message: without the errors wrapped around it, and without Rust's
/// `(os error 13)`.
pub(crate) fn reason(err: &io::Error) -> String {
    let causes = iter::successors(err.source(), |&cause| cause.source());
    let innermost = causes.filter_map(|cause| cause.downcast_ref()).last().unwrap_or(err);
    let text = innermost.to_string();
    text.split(" (os error").next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_each_directory_above_it_down_to_a_depth() {
        let groups = |by: By, path: &str, root: &str| by.groups(Path::new(path), root.len());
        assert_eq!(groups(By::Subtree(0), "a/b/c/f", "a"), ["a"]);
        assert_eq!(groups(By::Subtree(1), "a/b/c/f", "a"), ["a", "a/b"]);
        assert_eq!(groups(By::Subtree(9), "a/b/c/f", "a"), ["a", "a/b", "a/b/c"]);
        assert_eq!(groups(By::Subtree(1), "a//b/f", "a/"), ["a/", "a//b"]);
        assert_eq!(groups(By::Subtree(1), "/a/b/f", "/"), ["/", "/a"]);
        assert_eq!(groups(By::Subtree(1), "b/c/f", ""), [".", "b"]);
        assert_eq!(groups(By::Subtree(1), "f", ""), ["."]);
        assert_eq!(groups(By::Dir, "f", ""), ["."]);
        assert_eq!(groups(By::Ext, "a/B.RS", "a"), ["rs"]);
        assert_eq!("dir=2".parse(), Ok(By::Subtree(2)));
        assert!("dir=x".parse::<By>().is_err() && "type".parse::<By>().is_err());
    }
}
