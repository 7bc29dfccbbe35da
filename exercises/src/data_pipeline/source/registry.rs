//! What has been read, as a pure state machine. From what was seen at a path it decides which known
//! file that is, and from where to read it. It opens no file and reads no clock.
//!
//! - A file is a known one if its identity is known, and it still begins with what was read. Once
//!   it was seen without that, it is a new one, even if it gets the same content again.
//! - With another identity it is a known one if it begins with what was read, and the known one is
//!   gone or truncated: it is a restored file, a copy across file systems, a compressed one, or the
//!   copy that copytruncate made. Reading goes on from where the known one was left.
//! - Two files that both exist are two files. A new one that looks like a copy waits until it is
//!   clear whether the other one gets truncated.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::known::{Known, Others, Seen, State, original};
use crate::data_pipeline::state::file::{Content, FileId, FileRecord, Fingerprinter, Found};

/// All files that are being read or were read, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    known: BTreeMap<String, Known>,
    /// The names of those that are being read.
    open: HashMap<FileId, String>,
    /// Files that look like a copy of an existing one.
    held: HashMap<FileId, Held>,
    /// How long a copy waits for its original to be truncated; `None`: not at all.
    wait: Option<Duration>,
}

/// A file that looks like a copy, and waits.
#[derive(Debug)]
struct Held {
    since: Instant,
    length: u64,
    /// The identity and the name of its original, and how far that had been read.
    original: (FileId, String),
    position: u64,
}

/// What to do with a file that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Read it from the position of this record.
    Read(Box<FileRecord>),
    /// It is known, and has nothing new.
    Nothing,
    /// It may be a copy of an existing file: look again later.
    Wait,
}

impl Registry {
    pub(crate) fn new(
        records: impl IntoIterator<Item = FileRecord>,
        wait: Option<Duration>,
    ) -> Self {
        let records: Vec<_> = records.into_iter().collect();
        let last = last_ones(&records);
        let known = |record: FileRecord| {
            let state = match record.closed {
                Some(_) => State::Gone,
                None if last[&record.id] == record.name() => State::Left,
                None => State::Cut,
            };
            (record.name(), Known { record, state })
        };
        let known = records.iter().cloned().map(known).collect();
        Self { known, wait, ..Self::default() }
    }

    /// The name of the file with this identity that is being read.
    pub(crate) fn open(&self, id: FileId) -> Option<&str> {
        self.open.get(&id).map(String::as_str)
    }

    /// Whether this file waits, because it looks like a copy of another one.
    pub(crate) fn holds(&self, id: FileId) -> bool {
        self.held.contains_key(&id)
    }

    /// Those that an earlier run has read and whose identity is not among `there`.
    pub(crate) fn missing(&self, there: &HashSet<FileId>) -> impl Iterator<Item = &FileRecord> {
        let missing = |known: &&Known| match known.state {
            State::Open(_) | State::Cut => false,
            State::Left | State::Gone => !there.contains(&known.record.id),
        };
        self.known.values().filter(missing).map(|known| &known.record)
    }

    /// The truncated files, whose unread rest may be in a copy.
    pub(crate) fn cut_ones(&self) -> impl Iterator<Item = &FileRecord> {
        let is_cut = |known: &&Known| matches!(known.state, State::Cut);
        self.known.values().filter(is_cut).map(|known| &known.record)
    }

    /// Those that are no longer read, each with the time since when.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&str, i64)> {
        self.known.iter().filter_map(|(name, known)| Some((name.as_str(), known.record.closed?)))
    }

    /// Decides what each file is, in this order. `there` are the identities of all existing files,
    /// including those that are being read; `others` are the latter.
    pub(crate) fn look<C: Content>(
        &mut self,
        now: Instant,
        there: &HashSet<FileId>,
        seen: &mut [Seen<C>],
        others: &mut dyn Others,
    ) -> Vec<io::Result<Verdict>> {
        self.held.retain(|id, _| there.contains(id));
        // Files with a known identity come first: only then is it clear which known files are
        // missing.
        let ids = last_ones(self.known.values().map(|known| &known.record));
        let mut verdicts: Vec<_> =
            seen.iter_mut().map(|seen| self.by_identity(&ids, seen).transpose()).collect();
        // Files that were truncated, or empty when found, come before new ones, which may be their
        // copies.
        for was_known in [true, false] {
            for (seen, verdict) in seen.iter_mut().zip(&mut verdicts) {
                if verdict.is_none() && ids.contains_key(&seen.id) == was_known {
                    let by_content = self.by_content(now, &ids, seen, there, others).transpose();
                    *verdict = by_content.or_else(|| Some(self.by_itself(&ids, seen)));
                }
            }
        }
        verdicts.into_iter().map(|verdict| verdict.expect("both kinds were judged")).collect()
    }

    fn by_identity<C: Content>(
        &mut self,
        ids: &HashMap<FileId, String>,
        seen: &mut Seen<C>,
    ) -> io::Result<Option<Verdict>> {
        if self.open.contains_key(&seen.id) {
            return Ok(Some(Verdict::Nothing)); // another path to it
        }
        let Some(name) = ids.get(&seen.id) else { return Ok(None) };
        let Known { record, state } = &self.known[name];
        if matches!(state, State::Cut) {
            return Ok(None);
        }
        let (position, has_ended) = (record.read.position, matches!(state, State::Gone));
        if position == 0 && seen.length > 0 {
            return Ok(None); // it was empty: it has to be compared again
        }
        if has_ended && !seen.watched && position == seen.length {
            return Ok(Some(Verdict::Nothing)); // nothing was added since it was last seen
        }
        if record.packed == Some(seen.length) && seen.id.born.is_some() {
            return Ok(Some(Verdict::Nothing)); // compressed files are never appended to
        }
        if record.read.found_in(&mut seen.content)? == Found::All {
            return self.read_on(name, seen).map(Some);
        }
        if !has_ended {
            self.cut(name);
        }
        Ok(None)
    }

    /// The known file of which this one is a copy, or may be.
    fn by_content<C: Content>(
        &mut self,
        now: Instant,
        ids: &HashMap<FileId, String>,
        seen: &mut Seen<C>,
        there: &HashSet<FileId>,
        others: &mut dyn Others,
    ) -> io::Result<Option<Verdict>> {
        if self.open.contains_key(&seen.id) {
            return Ok(Some(Verdict::Nothing)); // another path to it
        }
        if ids.get(&seen.id).is_some_and(|name| self.known[name].was_truncated()) {
            return Ok(None); // what it holds now was written to it
        }
        if let Some(held) = self.held.get(&seen.id)
            && held.length == seen.length
            && let (original, name) = &held.original
            && self.open(*original) == Some(name)
            && let Some(progress) = self.progress(name)
        {
            let read = progress.lock().expect("nobody panics while holding this").read().clone();
            let waited = now.saturating_duration_since(held.since);
            // A file that no path leads to any more will soon be gone.
            let stays = there.contains(original) && others.is_intact(*original, &read);
            let is_over = self.wait.is_none_or(|wait| waited >= wait) && stays;
            if is_over {
                return Ok(None); // they are two files
            }
            if held.position > 0 || read.position == 0 {
                return Ok(Some(Verdict::Wait));
            } // otherwise: now that something was read of it, compare again
        }
        let best = original(&self.known, seen, there, others)?;
        let Some((found, position, original)) = best else { return Ok(None) };
        if let State::Open(_) = self.known[&original].state {
            if self.wait.is_none() || !seen.watched {
                return Ok((!seen.watched).then_some(Verdict::Nothing));
            }
            let original = (self.known[&original].record.id, original);
            let held = Held { since: now, length: seen.length, original, position };
            self.held.insert(seen.id, held);
            return Ok(Some(Verdict::Wait));
        }
        if found == Found::All {
            return self.read_on(&original, seen).map(Some);
        }
        // All of it had been read before the original was truncated.
        let length = seen.content.length()?;
        let mut record = self.record_of(seen);
        record.read = Fingerprinter::at(length, &mut seen.content)?;
        self.start(record, seen).map(Some)
    }

    /// A file that contains nothing of what was read.
    fn by_itself<C: Content>(
        &mut self,
        ids: &HashMap<FileId, String>,
        seen: &mut Seen<C>,
    ) -> io::Result<Verdict> {
        let was_empty = |name: &&String| self.known[*name].is_empty();
        match ids.get(&seen.id).filter(was_empty) {
            Some(name) => self.read_on(name, seen),
            _ if seen.watched => {
                let record = self.record_of(seen);
                self.start(record, seen)
            }
            _ => Ok(Verdict::Nothing),
        }
    }

    fn record_of<C>(&self, seen: &Seen<C>) -> FileRecord {
        let path = seen.path.to_string_lossy().into_owned();
        let before = self.known.values().filter(|known| known.record.path == path);
        let generation = before.map(|known| known.record.generation).max().unwrap_or(0) + 1;
        FileRecord {
            path,
            generation,
            resolved: seen.resolved.clone(),
            id: seen.id,
            ..FileRecord::default()
        }
    }

    fn read_on<C: Content>(&mut self, name: &str, seen: &mut Seen<C>) -> io::Result<Verdict> {
        let mut record = self.known[name].record.clone();
        if record.id != seen.id {
            record.earlier = 0;
        }
        (record.id, record.closed, record.packed) = (seen.id, None, None);
        record.resolved.clone_from(&seen.resolved);
        self.start(record, seen)
    }

    fn start<C: Content>(
        &mut self,
        mut record: FileRecord,
        seen: &mut Seen<C>,
    ) -> io::Result<Verdict> {
        let name = record.name();
        let others = self
            .known
            .iter()
            .filter(|(other, known)| known.record.id == record.id && **other != name);
        let earlier = others.map(|(_, known)| known.record.earlier + 1).max();
        record.earlier = record.earlier.max(earlier.unwrap_or(0));
        let progress = Fingerprinter::resume(record.read.clone(), &mut seen.content)?;
        self.held.remove(&record.id);
        self.open.insert(record.id, name.clone());
        let state = State::Open(Arc::new(Mutex::new(progress)));
        self.known.insert(name, Known { record: record.clone(), state });
        Ok(Verdict::Read(record.into()))
    }

    /// How far a file that is being read has been read: its reader keeps it up to date.
    pub(crate) fn progress(&self, name: &str) -> Option<Arc<Mutex<Fingerprinter>>> {
        match &self.known.get(name)?.state {
            State::Open(progress) => Some(progress.clone()),
            State::Left | State::Cut | State::Gone => None,
        }
    }

    /// The file holds something else now.
    pub(crate) fn cut(&mut self, name: &str) {
        self.leave(name, State::Cut);
    }

    /// It is no longer read, since `now` in seconds since 1970.
    pub(crate) fn gone(&mut self, name: &str, now: i64) {
        self.leave(name, State::Gone);
        if let Some(known) = self.known.get_mut(name) {
            known.record.closed = Some(now);
        }
    }

    /// It is not read for now, and checked again later; not if it is compressed and still has this
    /// length.
    pub(crate) fn left(&mut self, name: &str, packed: Option<u64>) {
        self.leave(name, State::Left);
        if let Some(known) = self.known.get_mut(name) {
            known.record.packed = packed;
        }
    }

    fn leave(&mut self, name: &str, to: State) {
        let Some(known) = self.known.get_mut(name) else { return };
        if let State::Open(progress) = std::mem::replace(&mut known.state, to) {
            let progress = progress.lock().expect("nobody panics while holding this");
            known.record.read = progress.read().clone();
            self.open.remove(&known.record.id);
        }
    }

    /// Forgets what has been gone since before `then`.
    pub(crate) fn forget(&mut self, then: i64) {
        self.known.retain(|_, known| known.record.closed.is_none_or(|since| since >= then));
    }
}

/// The name of the last record of each identity.
fn last_ones<'a>(records: impl IntoIterator<Item = &'a FileRecord>) -> HashMap<FileId, String> {
    let mut last = HashMap::<_, &FileRecord>::new();
    for record in records {
        let last = last.entry(record.id).or_insert(record);
        if record.earlier >= last.earlier {
            *last = record;
        }
    }
    last.into_iter().map(|(id, record)| (id, record.name())).collect()
}

#[cfg(test)]
mod tests;
