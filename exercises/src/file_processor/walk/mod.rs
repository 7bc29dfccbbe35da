//! The producer of paths: walks the inputs and numbers what it finds.

pub(crate) mod filter;
mod job;

use std::ffi::OsString;
use std::fs::FileType;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{SendError, Sender};

use crate::file_processor::columns::Counts;
use crate::file_processor::row::{Failure, Operation, Row, Status, reason};
use crate::file_processor::source::Source;
use filter::{Deferred, Filter, lock};
pub(crate) use job::{Job, Origin};

/// The longest path in a `--files0-from` list, in bytes. Longer text is not a list of paths.
const LONGEST_NAME: u64 = 64 * 1024;

/// How many paths are worth one slot of the window: the walk is woken once for all of them.
pub(crate) const WINDOW_STEP: u64 = 512;

/// A directory with more entries than this is sorted in pages of this size.
pub(crate) const PAGE_ENTRIES: usize = 50_000;

/// Where the paths come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// These, in this order; directories are walked, `-` is stdin. None means the current
    /// directory.
    Paths(Vec<PathBuf>),
    /// Those that this file lists, each followed by a NUL; `-` is stdin.
    Listed(PathBuf),
    /// Stdin alone, although it was not named.
    Stdin,
}

/// Walks the inputs and numbers what it finds: the one producer of jobs.
pub(crate) struct Producer<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) jobs: Sender<Job>,
    /// Takes the rows that need no worker, such as that of a path that does not exist.
    pub(crate) rows: Sender<Vec<(u64, Row)>>,
    /// A slot is taken here for every [`WINDOW_STEP`] paths, and given back when these have been
    /// reported.
    pub(crate) window: Sender<()>,
    /// A directory with more entries than this is not sorted in memory.
    pub(crate) page_size: usize,
    pub(crate) next: u64,
    pub(crate) stdin_taken: bool,
    /// The length in bytes of the part of each path that names the walked directory.
    pub(crate) root: usize,
    /// Whether the current directory is walked because no path was given.
    pub(crate) implied: bool,
}

/// The receiver is gone or the run is interrupted: the walk stops.
pub(crate) struct Stopped;

impl<T> From<SendError<T>> for Stopped {
    fn from(_: SendError<T>) -> Self {
        Self
    }
}

impl Producer<'_> {
    /// Goes through all inputs, or until the run is stopped.
    pub(crate) fn run(mut self, inputs: &Inputs) {
        let _: Result<(), Stopped> = match inputs {
            Inputs::Paths(paths) if paths.is_empty() => {
                self.implied = true;
                self.ignore_files_above(Path::new(".")).and_then(|()| self.walk(Path::new(".")))
            }
            Inputs::Paths(paths) => paths.iter().try_for_each(|path| self.path(path, true)),
            Inputs::Listed(list) => self.list(list),
            Inputs::Stdin => self.stdin(true),
        };
    }

    fn path(&mut self, path: &Path, stdin_is_free: bool) -> Result<(), Stopped> {
        if path.as_os_str() == "-" {
            return self.stdin(stdin_is_free);
        }
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                self.root = path.as_os_str().len();
                self.ignore_files_above(path)?;
                self.walk(path)
            }
            Ok(_) => {
                self.root = path.parent().unwrap_or(path).as_os_str().len();
                self.job(path.into(), Origin::Named)
            }
            Err(err) => self.fail(path.into(), no_such_path(path, &err)),
        }
    }

    /// Stdin can be read once: after that it is empty.
    fn stdin(&mut self, is_free: bool) -> Result<(), Stopped> {
        let path = PathBuf::from("-");
        if !is_free {
            return self.fail(path, Failure::new(Operation::Open, "stdin is the list of paths"));
        }
        if std::mem::replace(&mut self.stdin_taken, true) {
            return self.report(path, Status::Counted(Counts::default()));
        }
        self.job(path, Origin::Stdin)
    }

    fn walk(&mut self, root: &Path) -> Result<(), Stopped> {
        if self.filter.is_paged(root, self.page_size) {
            return self.walk_paged(root);
        }
        let (walk, deferred) = self.filter.walk(root, self.depth(root), self.page_size);
        for entry in walk {
            self.walk_deferred(&deferred)?;
            match entry {
                Ok(entry) => {
                    if let Some(err) = entry.error() {
                        self.report(entry.path().into(), Status::Note(err.to_string()))?;
                    }
                    let kind = entry.file_type();
                    self.entry(entry.into_path(), kind)?;
                }
                Err(err) => self.fail_walk(root, &err)?,
            }
        }
        self.walk_deferred(&deferred)
    }

    /// Reports which ignore files of the directories above cannot be read, if they apply.
    fn ignore_files_above(&mut self, root: &Path) -> Result<(), Stopped> {
        let Ok(root) = root.canonicalize() else { return Ok(()) };
        root.ancestors().skip(1).try_for_each(|dir| self.ignore_files(dir))
    }

    /// Reports which ignore files of a directory cannot be read: without them more files are
    /// counted.
    fn ignore_files(&mut self, dir: &Path) -> Result<(), Stopped> {
        for (path, err) in self.filter.unreadable_ignore_files(dir) {
            let note = format!("cannot be read, so nothing is ignored by it: {}", reason(&err));
            self.report(path, Status::Note(note))?;
        }
        Ok(())
    }

    fn walk_deferred(&mut self, deferred: &Deferred) -> Result<(), Stopped> {
        loop {
            let Some(dir) = lock(deferred).pop_front() else { return Ok(()) };
            self.walk_paged(&dir)?;
        }
    }

    /// Walks a directory that is too large to be sorted in memory, page by page.
    fn walk_paged(&mut self, dir: &Path) -> Result<(), Stopped> {
        self.ignore_files(dir)?;
        if self.filter.depth_left(self.depth(dir)) == Some(0) {
            return Ok(());
        }
        let mut last: Option<OsString> = None;
        loop {
            let page = self.filter.page(dir, last.as_deref(), self.page_size);
            if last.is_none() {
                page.problems.iter().try_for_each(|err| self.fail_walk(dir, err))?;
            }
            let Some((name, _)) = page.entries.last_key_value() else { return Ok(()) };
            last = Some(name.clone());
            for (name, kind) in page.entries {
                let path = dir.join(name);
                if kind.is_some_and(|kind| kind.is_dir()) {
                    self.walk(&path)?;
                } else {
                    self.entry(path, kind)?;
                }
            }
        }
    }

    /// How many levels a directory is below the one that was walked.
    fn depth(&self, dir: &Path) -> usize {
        let path = dir.as_os_str().as_bytes();
        let below = &path[self.root.min(path.len())..];
        below.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).count()
    }

    fn entry(&mut self, path: PathBuf, kind: Option<FileType>) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        match kind {
            Some(kind) if kind.is_file() => {
                self.filter.watch(&path);
                self.job(path, Origin::Walked)
            }
            Some(kind) if kind.is_dir() => self.ignore_files(&path),
            Some(kind) if kind.is_symlink() => Ok(()),
            kind => {
                let note = format!("skipped, {}", kind.map_or("of unknown type", name));
                self.report(path, Status::Note(note))
            }
        }
    }

    fn fail_walk(&mut self, root: &Path, err: &ignore::Error) -> Result<(), Stopped> {
        let (path, failure) = walk_failure(root, err);
        self.fail(path, failure)
    }

    fn list(&mut self, list: &Path) -> Result<(), Stopped> {
        let from_stdin = list.as_os_str() == "-";
        let source =
            if from_stdin { Source::stdin(self.stop) } else { Source::named(list, self.stop) };
        let mut source = match source {
            Ok(source) => BufReader::new(source),
            Err(failure) => return self.fail(list.into(), failure),
        };
        loop {
            match next_name(&mut source) {
                Ok(None) => return Ok(()),
                Ok(Some(name)) if name.is_empty() => {
                    self.fail(
                        list.into(),
                        Failure::new(Operation::List, "an empty path in the list"),
                    )?;
                }
                Ok(Some(name)) => self.path(&PathBuf::from(name), !from_stdin)?,
                Err(_) if self.stop.load(Ordering::Relaxed) => return Err(Stopped),
                Err(err) => return self.fail(list.into(), Failure::io(Operation::List, &err)),
            }
        }
    }

    fn job(&mut self, path: PathBuf, origin: Origin) -> Result<(), Stopped> {
        let (number, path) = (self.number()?, self.shown(path));
        Ok(self.jobs.send(Job { number, path, root: self.root, origin })?)
    }

    fn fail(&mut self, path: PathBuf, failure: Failure) -> Result<(), Stopped> {
        self.report(path, Status::Failed(failure))
    }

    fn report(&mut self, path: PathBuf, outcome: Status) -> Result<(), Stopped> {
        let (number, path) = (self.number()?, self.shown(path));
        Ok(self.rows.send(vec![(number, Row { path, root: self.root, outcome })])?)
    }

    /// The path without the leading `./` that the walk adds.
    fn shown(&self, path: PathBuf) -> PathBuf {
        match path.strip_prefix(".") {
            Ok(rest) if self.implied => rest.into(),
            _ => path,
        }
    }

    fn number(&mut self) -> Result<u64, Stopped> {
        if self.next.is_multiple_of(WINDOW_STEP) {
            self.window.send(())?;
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Why a path cannot be opened, and what was probably meant.
fn no_such_path(path: &Path, err: &io::Error) -> Failure {
    let bytes = path.as_os_str().as_bytes();
    let mut failure = Failure::io(Operation::Open, err);
    if bytes.is_empty() {
        failure.reason = "the path is empty".into();
    } else if err.kind() == io::ErrorKind::NotFound && bytes.contains(&b'\n') {
        failure.reason += "; a list ends each path with a NUL, as find -print0 does";
    } else if err.kind() == io::ErrorKind::NotFound && bytes.iter().any(|it| b"*?[".contains(it)) {
        failure.reason += "; a pattern is given with --glob";
    }
    failure
}

/// Reads on to the next NUL.
fn next_name(list: &mut impl BufRead) -> io::Result<Option<OsString>> {
    let mut name = Vec::new();
    let read = list.take(LONGEST_NAME).read_until(0, &mut name)?;
    if name.last() == Some(&0) {
        name.pop();
    } else if read as u64 == LONGEST_NAME {
        return Err(io::Error::other(
            "a path of 64 KiB: end each path with a NUL, as -print0 does",
        ));
    }
    Ok((read > 0).then(|| OsString::from_vec(name)))
}

/// The path and the reason in an error of a walk.
fn walk_failure(root: &Path, err: &ignore::Error) -> (PathBuf, Failure) {
    match err {
        ignore::Error::WithPath { path, err } => walk_failure(path, err),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            walk_failure(root, err)
        }
        ignore::Error::Loop { ancestor, child } => {
            let reason = format!("a loop of symlinks: it leads back to {}", ancestor.display());
            (child.clone(), Failure::new(Operation::List, reason))
        }
        ignore::Error::Io(err) => (root.into(), Failure::io(Operation::List, err)),
        other => (root.into(), Failure::new(Operation::List, other.to_string())),
    }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "neither a file nor a directory",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crossbeam_channel::unbounded;

    use super::filter::FilterArgs;
    use super::*;

    /// What a walk finds, if a directory of more than `page_size` entries is read in pages.
    fn found(root: &Path, page_size: usize) -> Vec<PathBuf> {
        let filter = FilterArgs::default().build().unwrap();
        let (stop, (jobs, found)) = (AtomicBool::new(false), unbounded());
        let ((rows, _rows), (window, _window)) = (unbounded(), unbounded());
        let producer = Producer {
            filter: &filter,
            stop: &stop,
            jobs,
            rows,
            window,
            page_size,
            next: 0,
            stdin_taken: false,
            root: 0,
            implied: false,
        };
        producer.run(&Inputs::Paths(vec![root.into()]));
        found.iter().map(|job: Job| job.path).collect()
    }

    #[test]
    fn a_paged_directory_is_walked_as_any_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join(".gitignore"), "*7*\nd.1/e.2\n").unwrap();
        for (n, sub) in ["", "a", "d.1", "d.1/e.1", "d.1/e.2", "d.3", "z"].iter().enumerate() {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
            for file in 0..9 * n {
                fs::write(dir.path().join(sub).join(format!("{file}.x")), "").unwrap();
            }
        }
        let usual = found(dir.path(), usize::MAX);
        assert!(usual.len() > 50 && usual.is_sorted());
        for page_size in [1, 2, 5, 20, 40] {
            assert_eq!(found(dir.path(), page_size), usual, "{page_size}");
        }
    }
}
