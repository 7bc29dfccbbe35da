//! What has been read, as a pure state machine. From what was seen at a path it decides which known
//! file that is, and from where to read it. It opens no file and reads no clock.
//!
//! - A file is a known one if its identity is known, and it still begins with what was read.
//! - With another identity it is a known one if it begins with what was read, and the known one is
//!   gone or truncated: it is a restored file, a copy across file systems, a compressed one, or the
//!   copy that copytruncate made. Reading goes on from where the known one was left.
//! - Two files that both exist are two files. A new one that looks like a copy waits until it is
//!   clear whether the other one gets truncated.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::data_pipeline::state::file::{
    Content, FileId, FileRecord, Fingerprint, Fingerprinter, Found, HEAD,
};

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

#[derive(Debug)]
struct Known {
    record: FileRecord,
    state: State,
}

/// A file that looks like a copy, and waits.
#[derive(Debug)]
struct Held {
    since: Instant,
    length: u64,
    /// The name of its original, and how far that had been read.
    original: String,
    position: u64,
}

#[derive(Debug)]
enum State {
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

/// What to do with a file that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Read it from the position of this record.
    Read(FileRecord),
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
        let known = |record: FileRecord| {
            let state = if record.closed.is_some() { State::Gone } else { State::Left };
            (record.name(), Known { record, state })
        };
        let known = records.into_iter().map(known).collect();
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
        let ids = self.identities();
        let mut verdicts: Vec<_> =
            seen.iter_mut().map(|seen| self.by_identity(&ids, seen).transpose()).collect();
        // Files that were empty when found come before new ones, which may be their copies.
        for was_known in [true, false] {
            for (seen, verdict) in seen.iter_mut().zip(&mut verdicts) {
                if verdict.is_none() && ids.contains_key(&seen.id) == was_known {
                    let by_content = self.by_content(now, seen, there, others).transpose();
                    *verdict = by_content.or_else(|| Some(self.by_itself(&ids, seen)));
                }
            }
        }
        verdicts.into_iter().map(|verdict| verdict.expect("both kinds were judged")).collect()
    }

    /// The names of the files that are neither being read nor truncated, by identity. An identity
    /// has several names if a file was truncated and the run ended before it was known where its
    /// old content was.
    fn identities(&self) -> HashMap<FileId, Vec<String>> {
        let mut ids: HashMap<_, Vec<_>> = HashMap::new();
        let rests = |known: &&Known| matches!(known.state, State::Left | State::Gone);
        for Known { record, .. } in self.known.values().filter(rests) {
            ids.entry(record.id).or_default().push(record.name());
        }
        ids
    }

    fn by_identity<C: Content>(
        &mut self,
        ids: &HashMap<FileId, Vec<String>>,
        seen: &mut Seen<C>,
    ) -> io::Result<Option<Verdict>> {
        if self.open.contains_key(&seen.id) {
            return Ok(Some(Verdict::Nothing)); // another path to it
        }
        let (mut best, mut stale): (Option<(u64, &String)>, _) = (None, Vec::new());
        for name in ids.get(&seen.id).into_iter().flatten() {
            let Known { record, state } = &self.known[name];
            let (position, has_ended) = (record.read.position, matches!(state, State::Gone));
            if position == 0 && seen.length > 0 {
                continue; // it was empty: it has to be compared again
            }
            if has_ended && !seen.watched && position == seen.length {
                return Ok(Some(Verdict::Nothing)); // nothing was added since it was last seen
            }
            if record.packed == Some(seen.length) && seen.id.born.is_some() {
                return Ok(Some(Verdict::Nothing)); // compressed files are never appended to
            }
            if record.read.found_in(&mut seen.content)? == Found::All {
                best = best.max(Some((position, name)));
            } else if !has_ended {
                stale.push(name);
            }
        }
        for name in stale {
            self.cut(name);
        }
        best.map(|(_, name)| self.read_on(name, seen)).transpose()
    }

    /// The known file of which this one is a copy, or may be.
    fn by_content<C: Content>(
        &mut self,
        now: Instant,
        seen: &mut Seen<C>,
        there: &HashSet<FileId>,
        others: &mut dyn Others,
    ) -> io::Result<Option<Verdict>> {
        if self.open.contains_key(&seen.id) {
            return Ok(Some(Verdict::Nothing)); // another path to it
        }
        if let Some(held) = self.held.get(&seen.id)
            && held.length == seen.length
            && let Some(progress) = self.progress(&held.original)
        {
            let read = progress.lock().expect("nobody panics while holding this").read().clone();
            let waited = now.saturating_duration_since(held.since);
            let original = self.known[&held.original].record.id;
            // A file that no path leads to any more will soon be gone.
            let stays = there.contains(&original) && others.is_intact(original, &read);
            let is_over = self.wait.is_none_or(|wait| waited >= wait) && stays;
            if is_over {
                return Ok(None); // they are two files
            }
            if held.position > 0 || read.position == 0 {
                return Ok(Some(Verdict::Wait));
            } // otherwise: now that something was read of it, compare again
        }
        let mut best: Option<(Found, u64, String)> = None;
        for (name, known) in &self.known {
            let progress = match &known.state {
                State::Open(progress) => Some(progress.lock().expect("nobody panics holding this")),
                State::Left if there.contains(&known.record.id) => continue,
                State::Left | State::Cut | State::Gone => None,
            };
            let read = progress.as_ref().map_or(&known.record.read, |progress| progress.read());
            if read.position == 0 {
                // Nothing was read of it yet: its copy waits until something was.
                let head = seen.content.read(0, HEAD)?;
                let may_be_copy = progress.is_some() && !head.is_empty();
                if may_be_copy && others.begins_with(known.record.id, &head) {
                    best = best.or_else(|| Some((Found::Part, 0, name.clone())));
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
                (Found::All, _) => has_its_name || read.is_telling(&mut seen.content)?,
            };
            let more = (found == Found::All, read.position);
            let best_is_less =
                best.as_ref().is_none_or(|(found, read, _)| (*found == Found::All, *read) < more);
            if counts && best_is_less {
                best = Some((found, read.position, name.clone()));
            }
        }
        let Some((found, position, original)) = best else { return Ok(None) };
        if let State::Open(_) = self.known[&original].state {
            if self.wait.is_none() || !seen.watched {
                return Ok((!seen.watched).then_some(Verdict::Nothing));
            }
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
        ids: &HashMap<FileId, Vec<String>>,
        seen: &mut Seen<C>,
    ) -> io::Result<Verdict> {
        let was_empty = |name: &&String| self.known[*name].record.read.position == 0;
        match ids.get(&seen.id).into_iter().flatten().rev().find(was_empty) {
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
        (record.id, record.closed, record.packed) = (seen.id, None, None);
        record.resolved.clone_from(&seen.resolved);
        self.start(record, seen)
    }

    fn start<C: Content>(&mut self, record: FileRecord, seen: &mut Seen<C>) -> io::Result<Verdict> {
        let progress = Fingerprinter::resume(record.read.clone(), &mut seen.content)?;
        let name = record.name();
        self.held.remove(&record.id);
        self.open.insert(record.id, name.clone());
        let state = State::Open(Arc::new(Mutex::new(progress)));
        self.known.insert(name, Known { record: record.clone(), state });
        Ok(Verdict::Read(record))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::state::file::tests::{fingerprint, numbered};

    const WAIT: Duration = Duration::from_secs(5);

    /// Files in memory, by path; the numbers are inodes.
    #[derive(Default)]
    struct Disk {
        files: BTreeMap<&'static str, (u64, String)>,
        /// Other files in their directory, which no pattern matches.
        beside: BTreeMap<&'static str, (u64, String)>,
    }

    /// The content of the files that some path leads to.
    struct Texts(HashMap<FileId, String>);

    impl Others for Texts {
        fn is_intact(&mut self, id: FileId, read: &Fingerprint) -> bool {
            let found = |text: &String| read.found_in(&mut text.clone().into_bytes()).unwrap();
            self.0.get(&id).is_some_and(|text| found(text) == Found::All)
        }

        fn begins_with(&mut self, id: FileId, head: &[u8]) -> bool {
            self.0.get(&id).is_some_and(|text| begins_alike(text.as_bytes(), head))
        }
    }

    struct Program {
        registry: Registry,
        now: Instant,
    }

    fn id(inode: u64) -> FileId {
        FileId { device: 1, inode, born: None }
    }

    fn text(from: u32, to: u32) -> String {
        numbered(from..to)
    }

    impl Disk {
        fn put(&mut self, path: &'static str, inode: u64, text: String) {
            self.files.insert(path, (inode, text));
        }

        fn seen(&self) -> Vec<Seen<Vec<u8>>> {
            let seen = |(path, (inode, text)): (&&str, &(u64, String)), watched| Seen {
                path: path.into(),
                resolved: (*path).to_owned(),
                id: id(*inode),
                length: text.len() as u64,
                watched,
                content: text.clone().into_bytes(),
            };
            let watched = self.files.iter().map(|file| seen(file, true));
            watched.chain(self.beside.iter().map(|file| seen(file, false))).collect()
        }

        fn texts(&self) -> Texts {
            let files = self.files.values();
            Texts(files.map(|(inode, text)| (id(*inode), text.clone())).collect())
        }
    }

    impl Program {
        fn new(records: impl IntoIterator<Item = FileRecord>) -> Self {
            Self { registry: Registry::new(records, Some(WAIT)), now: Instant::now() }
        }

        /// Looks, and reads everything new. Returns the path and the first byte of each file that
        /// was read.
        fn reads(&mut self, disk: &Disk) -> Vec<(String, u64)> {
            let mut seen = disk.seen();
            let there = seen.iter().map(|seen| seen.id).collect();
            let verdicts = self.registry.look(self.now, &there, &mut seen, &mut disk.texts());
            let mut reads = Vec::new();
            for (seen, verdict) in seen.iter().zip(verdicts) {
                if let Verdict::Read(record) = verdict.unwrap() {
                    self.read(&record.name(), &seen.content);
                    let path = seen.path.to_string_lossy().into_owned();
                    reads.push((path, record.read.position));
                }
            }
            reads
        }

        fn read(&mut self, name: &str, content: &[u8]) {
            let progress = self.registry.progress(name).unwrap();
            let mut progress = progress.lock().unwrap();
            let position = progress.read().position as usize;
            progress.advance(&content[position..]);
        }

        /// What a checkpoint keeps.
        fn records(self) -> Vec<FileRecord> {
            let record = |known: Known| match known.state {
                State::Open(progress) => {
                    FileRecord { read: progress.lock().unwrap().read().clone(), ..known.record }
                }
                _ => known.record,
            };
            self.registry.known.into_values().map(record).collect()
        }

        fn restart(self) -> Self {
            Self::new(self.records())
        }
    }

    fn read_one(length: u32) -> (Disk, Program) {
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("app.log", 1, text(0, length));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        (disk, program)
    }

    fn length(from: u32, to: u32) -> u64 {
        text(from, to).len() as u64
    }

    #[test]
    fn a_file_goes_on_under_any_name_and_a_second_path_to_it_is_nothing_new() {
        let (mut disk, program) = read_one(100);
        let mut program = program.restart();
        let (inode, _) = disk.files.remove("app.log").unwrap();
        disk.put("app.log.1", inode, text(0, 150));
        disk.put("app.log", 2, text(150, 200));
        let reads = program.reads(&disk);
        let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
        assert_eq!(reads, wanted);
        disk.put("hard-link", 2, text(150, 200));
        assert_eq!(program.reads(&disk), []);
    }

    #[test]
    fn a_reused_inode_is_another_file_even_if_it_is_longer() {
        for new in [text(500, 501), text(500, 900), String::new()] {
            let (mut disk, program) = read_one(100);
            let mut program = program.restart();
            disk.put("app.log", 1, new);
            assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
            assert_eq!(program.registry.open(id(1)), Some("app.log@2"));
        }
    }

    #[test]
    fn files_with_equal_banners_stay_two_files() {
        for banner in ["# a banner\n".to_owned(), text(0, 300)] {
            let (mut disk, mut program) = (Disk::default(), Program::new([]));
            disk.put("a", 1, banner.clone());
            program.reads(&disk);
            disk.put("a", 1, banner.clone() + &text(1000, 1100));
            let all = disk.files["a"].1.clone();
            program.read("a", all.as_bytes());
            let mut program = program.restart();
            disk.files.clear();
            disk.put("b", 2, banner.clone() + &text(2000, 2200));
            assert_eq!(program.reads(&disk), [("b".to_owned(), 0)]);
        }
    }

    /// This covers a restore, a remount, and a copy whose original is gone.
    #[test]
    fn a_file_with_another_identity_is_recognised_by_what_was_read() {
        let (mut disk, program) = read_one(100);
        let mut program = program.restart();
        disk.put("app.log", 7, text(0, 120));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), length(0, 100))]);
        assert_eq!(program.registry.open(id(7)), Some("app.log"), "the same as before");
    }

    #[test]
    fn a_copy_beside_its_original_is_a_second_file_after_a_wait() {
        let (mut disk, mut program) = read_one(100);
        disk.put("copy", 2, text(0, 60));
        assert_eq!(program.reads(&disk), [], "it is being made");
        disk.put("copy", 2, text(0, 100));
        assert_eq!(program.reads(&disk), []);
        program.now += WAIT;
        assert_eq!(program.reads(&disk), [("copy".to_owned(), 0)]);
    }

    #[test]
    fn a_copytruncate_copy_is_read_on_from_the_originals_position() {
        for stopped in [false, true] {
            let (mut disk, mut program) = read_one(100);
            disk.put("app.log.1", 2, text(0, 130)); // 30 lines more than were read
            if stopped {
                program = program.restart();
            } else {
                assert_eq!(program.reads(&disk), []);
                program.now += WAIT * 2;
                disk.put("app.log", 1, text(130, 400));
                assert_eq!(
                    program.reads(&disk),
                    [],
                    "the original does not hold any more what it did"
                );
                program.registry.cut("app.log");
            }
            disk.put("app.log", 1, text(130, 400));
            let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
            assert_eq!(program.reads(&disk), wanted, "stopped: {stopped}");
            assert_eq!(program.registry.open(id(2)), Some("app.log"));
            assert_eq!(program.registry.open(id(1)), Some("app.log@2"));
        }
    }

    /// What was written between the copy and the truncation, and read in time, is not read twice.
    #[test]
    fn a_copy_that_ends_before_the_position_holds_nothing_new() {
        for stopped in [false, true] {
            let (mut disk, mut program) = read_one(100);
            let all = text(0, 110);
            program.read("app.log", all.as_bytes());
            if stopped {
                program = program.restart();
            } else {
                program.registry.cut("app.log");
            }
            disk.put("app.log.1", 2, text(0, 100));
            disk.put("app.log", 1, text(110, 112));
            let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
            assert_eq!(program.reads(&disk), wanted);
        }
    }

    #[test]
    fn a_neighbouring_file_is_read_only_as_the_past_of_a_known_file() {
        let (mut disk, program) = read_one(100);
        let mut program = program.restart();
        disk.files.clear();
        disk.beside.insert("app.log.old", (1, text(0, 140)));
        disk.beside.insert("unknown", (8, text(500, 600)));
        assert_eq!(program.reads(&disk), [("app.log.old".to_owned(), length(0, 100))]);
    }

    #[test]
    fn a_copy_of_a_removed_file_continues_where_that_was_left() {
        let (mut disk, mut program) = read_one(100);
        disk.put("moved", 9, text(0, 105));
        assert_eq!(program.reads(&disk), []);
        disk.files.remove("app.log");
        program.now += WAIT * 2;
        assert_eq!(program.reads(&disk), [], "what is open is still being read");
        program.registry.gone("app.log", 1);
        assert_eq!(program.reads(&disk), [("moved".to_owned(), length(0, 100))]);
        program.registry.gone("app.log", 1);
        program.registry.forget(2);
        assert_eq!(program.registry.known.len(), 0);
    }

    #[test]
    fn a_copy_of_an_unread_file_waits_until_the_file_was_read() {
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("app.log", 1, text(0, 50));
        let mut seen = disk.seen();
        let there = [id(1)].into();
        program.registry.look(program.now, &there, &mut seen, &mut disk.texts());
        disk.put("app.log.gz", 2, text(0, 50));
        assert_eq!(program.reads(&disk), []);
        program.read("app.log", text(0, 50).as_bytes());
        disk.files.remove("app.log");
        program.registry.gone("app.log", 1);
        assert_eq!(program.reads(&disk), [("app.log.gz".to_owned(), length(0, 50))]);
    }
    /// It holds for a new original and one that was empty before, whatever the names are.
    #[test]
    fn a_copy_that_is_found_together_with_its_original_waits() {
        for copy in ["app.log.gz", "a-copy"] {
            let (mut disk, mut program) = (Disk::default(), Program::new([]));
            disk.put("app.log", 1, String::new());
            assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
            program.registry.left("app.log", None); // its reader has seen that it is no longer empty
            disk.put("app.log", 1, text(0, 50));
            disk.put(copy, 2, text(0, 50));
            assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)], "{copy}");
            disk.files.remove("app.log");
            assert_eq!(program.reads(&disk), []);
            program.registry.gone("app.log", 1);
            assert_eq!(program.reads(&disk), [(copy.to_owned(), length(0, 50))]);
        }
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("app.log", 1, text(0, 50));
        disk.put("app.log.1", 2, text(0, 50));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        program.now += WAIT;
        assert_eq!(program.reads(&disk), [("app.log.1".to_owned(), 0)], "then they are two");
    }

    #[test]
    fn an_equal_banner_delays_a_file_only_until_the_other_file_is_read() {
        let banner = text(0, 300);
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("a", 1, banner.clone() + &text(1000, 1100));
        disk.put("b", 2, banner + &text(2000, 2100));
        assert_eq!(program.reads(&disk), [("a".to_owned(), 0)]);
        assert_eq!(program.reads(&disk), [("b".to_owned(), 0)]);
    }

    /// The run ended when a checkpoint knew the new content, but not the copy.
    #[test]
    fn each_content_that_one_inode_had_is_known() {
        for new in ["app.log@2", "an-app.log", "b"] {
            let (mut disk, program) = read_one(100);
            let mut records = program.records();
            let read = fingerprint(&text(130, 140), 50);
            let (path, generation) = new.split_once('@').map_or((new, 1), |(path, _)| (path, 2));
            let path = path.to_owned();
            records.push(FileRecord { path, generation, id: id(1), read, ..FileRecord::default() });
            let mut program = Program::new(records);
            disk.put("app.log", 1, text(130, 150));
            disk.put("app.log.1", 2, text(0, 130)); // 30 lines more than were read
            let wanted = [
                ("app.log".to_owned(), length(130, 140)),
                ("app.log.1".to_owned(), length(0, 100)),
            ];
            assert_eq!(program.reads(&disk), wanted, "{new}");
        }
    }
}
