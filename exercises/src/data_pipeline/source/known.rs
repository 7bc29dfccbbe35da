//! A known file, and whether a file that was seen is a copy of it.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::data_pipeline::state::file::{
    Content, FileId, FileRecord, Fingerprint, Fingerprinter, Found, HEAD,
};

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) record: FileRecord,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// It is being read, and this is how far.
    Open(Arc<Mutex<Fingerprinter>>),
    /// It was read before; it is not known whether it still exists.
    Left,
    /// It was truncated and holds other content now: the unread rest of the old content may be in a
    /// copy.
    Cut,
    /// It no longer exists.
    Gone,
}

impl Known {
    /// Whether nothing was read of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.record.read.position == 0 && !matches!(self.state, State::Cut)
    }

    /// Whether its file held something else before, and nothing was read of what it holds now.
    pub(crate) fn was_truncated(&self) -> bool {
        matches!(self.state, State::Cut) || self.is_empty() && self.record.earlier > 0
    }
}

/// A file that was seen and is not being read.
#[derive(Debug)]
pub(crate) struct Seen<C> {
    /// As it was found.
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    /// The resolved path.
    pub(crate) resolved: String,
    /// Its length on the disk.
    pub(crate) length: u64,
    /// Whether it is compressed.
    pub(crate) packed: bool,
    /// Whether a pattern matches its path. Other files are only compared with known files that have
    /// disappeared.
    pub(crate) watched: bool,
    pub(crate) content: C,
}

/// Questions about open files, including those that the same look begins to read.
pub(crate) trait Others {
    /// Whether it still holds what was read of it.
    fn is_intact(&mut self, id: FileId, read: &Fingerprint) -> bool;

    /// Whether it begins with these bytes, or with some of them and ends there.
    fn begins_with(&mut self, id: FileId, head: &[u8]) -> bool;
}

/// How likely a known file is the original: of several with equal content, one that was truncated
/// just now comes before one that is gone, and that before others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    found: Found,
    position: u64,
    was_cut: bool,
    is_gone: bool,
}

/// The known file of which this one is a copy, or may be: whether it holds all or a part of what was
/// read of that, up to where, and the name.
pub(crate) fn original<C: Content>(
    known_files: &BTreeMap<String, Known>,
    seen: &mut Seen<C>,
    there: &HashSet<FileId>,
    others: &mut dyn Others,
) -> io::Result<Option<(Found, u64, String)>> {
    let mut best: Option<(Rank, &String)> = None;
    for (name, known) in known_files {
        let is_there = there.contains(&known.record.id);
        let progress = match &known.state {
            State::Open(progress) => Some(progress.lock().expect("nobody panics holding this")),
            State::Left if is_there => continue,
            State::Left | State::Cut | State::Gone => None,
        };
        let read = progress.as_ref().map_or(&known.record.read, |progress| progress.read());
        if read.position == 0 {
            // Nothing was read of it yet: its copy waits until something was.
            let head = seen.content.read(0, HEAD)?;
            let may_be_copy = progress.is_some() && !head.is_empty();
            if may_be_copy && others.begins_with(known.record.id, &head) {
                let (found, position, was_cut, is_gone) = (Found::Part, 0, false, false);
                best = best.or(Some((Rank { found, position, was_cut, is_gone }, name)));
            }
            continue;
        }
        let mut found = read.found_in(&mut seen.content)?;
        if let Some(progress) = &progress
            && found == Found::No
            && seen.content.length()? < read.position
            && progress.begins_like(&mut seen.content)?
        {
            found = Found::Part; // a copy that is being made
        }
        let paths = [seen.path.as_path(), Path::new(&seen.resolved)];
        let has_its_name = paths.iter().any(|path| is_named_after(path, &known.record));
        let counts = match (found, &known.state) {
            (Found::No, _) | (Found::Part, State::Left | State::Gone) => false,
            (Found::Part, State::Cut) => has_its_name,
            (Found::Part, State::Open(_)) => true,
            (Found::All, _) => {
                has_its_name || read.is_telling(&mut seen.content)? || is_whole(known, read, seen)?
            }
        };
        // The file may have got the same content again, and this be a copy of that.
        let came_again = matches!(known.state, State::Gone) && {
            let head = seen.content.read(0, HEAD)?;
            others.begins_with(known.record.id, &head)
        };
        let was_cut = matches!(known.state, State::Cut);
        let rank = Rank { found, position: read.position, was_cut, is_gone: !is_there };
        if counts && !came_again && best.is_none_or(|(best, _)| best < rank) {
            best = Some((rank, name));
        }
    }
    Ok(best.map(|(rank, name)| (rank.found, rank.position, name.clone())))
}

/// Whether the file holds exactly what was read of the known one, and that is unlikely to be chance
/// even with one line: the known one was truncated just now, or is gone and this one is compressed.
/// While the known one is open, this is not yet decided.
fn is_whole<C: Content>(known: &Known, read: &Fingerprint, seen: &mut Seen<C>) -> io::Result<bool> {
    let is_likely = match known.state {
        State::Open(_) | State::Cut => true,
        State::Left | State::Gone => seen.packed && known.record.packed.is_none(),
    };
    Ok(is_likely && seen.content.read(read.position, 1)?.is_empty())
}

/// Whether one file begins like the other, and neither is empty.
pub(crate) fn begins_alike(left: &[u8], right: &[u8]) -> bool {
    let length = left.len().min(right.len());
    length > 0 && left[..length] == right[..length]
}

/// Whether a file's name extends that of a known one: `app.log.1` extends `app.log`.
fn is_named_after(path: &Path, known: &FileRecord) -> bool {
    let is_longer = |known: &str| {
        let name = Path::new(known).file_name().unwrap_or_default().as_encoded_bytes();
        let this = path.file_name().unwrap_or_default().as_encoded_bytes();
        this.len() > name.len() && !name.is_empty() && this.starts_with(name)
    };
    is_longer(&known.path) || is_longer(&known.resolved)
}
