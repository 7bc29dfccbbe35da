//! Finds the files: those that match at the start and, when following, those that come later. The
//! registry says which known file each of them is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use glob::{MatchOptions, Pattern};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::content::Stored;
use super::known::{Others, Seen, begins_alike};
use super::place::{Place, folder, id_of, is_same, look_into, matching};
use super::registry::{Registry, Verdict};
use super::tail::{self, Ended, How, Opened, Order, Orders, Shared};
use super::{Feed, Inlet, Stopped, join};
use crate::data_pipeline::config::{Config, sink_path};
use crate::data_pipeline::monitor::warnings::warn;
use crate::data_pipeline::state::checkpoint::own_files;
use crate::data_pipeline::state::chunk::Origin;
use crate::data_pipeline::state::feeds::{Feeds, KEEP};
use crate::data_pipeline::state::file::{Content, FileId, FileRecord, Fingerprint, Found};

/// Most files that are read at once when files are read to their ends.
const OPEN: usize = 512;

/// The pause before a file that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Most files that one message names.
const NAMED: usize = 5;

/// All files of a run; those of one path are one source.
#[derive(Debug)]
pub(crate) struct Files {
    inlet: Arc<Inlet>,
    patterns: Vec<String>,
    how: How,
    /// All of them are read to their ends at the same time.
    finite: bool,
    /// The run's own outputs, which must not be read: the run would feed itself.
    outputs: Vec<PathBuf>,
    registry: Registry,
    /// The files that are being read, by name.
    open: HashMap<String, Reading>,
    /// The readers that have not ended, by path.
    readers: HashMap<String, Arc<Orders>>,
    /// Files that were there at the start and are not identified yet: their readers hold windows
    /// open.
    awaited: HashMap<FileId, Arc<Orders>>,
    /// Files that were empty and no longer are: they stay open until they are identified.
    filled: Vec<Reading>,
    /// Readers that are still to be started.
    new: Vec<(Feed, Arc<Orders>)>,
    /// Files that could not be read, and when to try again. A file stays here until
    /// it was read: the run may stop while it is tried again.
    failed: HashMap<FileId, (String, Instant)>,
    /// Compressed files that broke off before their end.
    torn: HashSet<FileId>,
    /// The warnings that were given, so that each is given once.
    told: HashSet<String>,
}

#[derive(Debug)]
struct Reading {
    path: PathBuf,
    id: FileId,
    /// `None` if the reader opens it itself, and its content need not be compared.
    file: Option<Arc<File>>,
    shared: Arc<Shared>,
}

impl Files {
    /// Finds the files that are there and registers them.
    pub(crate) fn new(
        inlet: &Arc<Inlet>,
        config: &Config,
        feeds: &mut Feeds,
    ) -> Result<Self, String> {
        let outputs = config.sinks().filter_map(|(name, ..)| sink_path(name)).map(Path::to_owned);
        let checkpoint = config.checkpoint.iter().flat_map(|path| own_files(path));
        let how = How {
            follow: config.follow,
            poll: config.poll.unwrap_or_default(),
            rotate_wait: config.rotate_wait.unwrap_or_default(),
            final_line: config.final_line || config.checkpoint.is_none(),
        };
        let records = feeds.files().values().cloned();
        let mut files = Self {
            inlet: inlet.clone(),
            patterns: config.file.clone(),
            how,
            finite: false,
            outputs: outputs.chain(checkpoint).collect(),
            registry: Registry::new(records, how.follow.then_some(how.rotate_wait)),
            open: HashMap::new(),
            readers: HashMap::new(),
            awaited: HashMap::new(),
            filled: Vec::new(),
            new: Vec::new(),
            failed: HashMap::new(),
            torn: HashSet::new(),
            told: HashSet::new(),
        };
        files.start(feeds)?;
        Ok(files)
    }

    /// The first look, which also finds out what has become of the files of an earlier run.
    fn start(&mut self, feeds: &mut Feeds) -> Result<(), String> {
        let mut places = BTreeMap::new();
        for pattern in &self.patterns.clone() {
            self.find(pattern, &mut places)?;
        }
        self.finite = !self.how.follow && places.len() <= OPEN;
        let there: HashSet<_> = places.keys().copied().collect();
        let missing: Vec<_> = self.registry.missing(&there).cloned().collect();
        let missing: Vec<_> =
            missing.into_iter().filter(|file| self.pattern_of(file).is_some()).collect();
        self.look_beside(&missing, &mut places);
        let watched = places.iter().filter(|(_, place)| place.watched);
        let paths: Vec<_> = watched.map(|(id, place)| (*id, place.path.clone())).collect();
        self.look(places);
        for (id, path) in paths {
            if self.registry.holds(id) {
                self.wait_for(id, &path);
            }
        }
        // Files that are still not found are gone; something else may be in their place.
        let now = Timestamp::now().as_second();
        let gone = missing.into_iter().filter(|file| !self.open.contains_key(&file.name()));
        let gone = gone.filter(|file| file.closed.is_none());
        let mut told = Vec::new();
        for file in gone.collect::<Vec<_>>() {
            self.registry.gone(&file.name(), now);
            if file.packed.is_none() {
                told.push(format!("{} (read up to byte {})", file.name(), file.read.position));
            }
        }
        if !told.is_empty() {
            let more = told.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            told.truncate(NAMED);
            warn(format_args!("no longer there, so not read further: {}{more}", told.join(", ")));
        }
        self.registry.closed().for_each(|(name, since)| feeds.gone(name, since));
        for (feed, _) in &self.new {
            feeds.register(feed.id, &feed.origin, Instant::now());
        }
        Ok(())
    }

    /// Reads all of them.
    pub(crate) async fn run(mut self) -> Result<(), Stopped> {
        let ctx = self.inlet.ctx.clone();
        let mut tasks = JoinSet::new();
        let open = if self.how.follow { Semaphore::MAX_PERMITS } else { OPEN };
        let open = Arc::new(Semaphore::new(open));
        loop {
            for (feed, orders) in self.new.drain(..) {
                let (open, how) = (open.clone(), self.how);
                tasks.spawn(async move {
                    let _open = open.acquire_owned().await;
                    tail::run(feed, orders, how).await // it has given a warning for each file
                });
            }
            if !self.how.follow || ctx.run(sleep(self.how.poll)).await.is_err() {
                break;
            }
            let look = spawn_blocking(move || {
                let found = self.look_again();
                (self, found)
            });
            let (back, found) = look.await.map_err(|err| Stopped::Failed(err.to_string()))?;
            found.map_err(Stopped::Failed)?;
            self = back;
        }
        let ended = join(tasks).await;
        self.collect();
        match self.failed.into_values().next() {
            Some((failure, _)) if !matches!(ended, Err(Stopped::Failed(_))) => {
                Err(Stopped::Failed(failure))
            }
            _ => ended,
        }
    }

    fn look_again(&mut self) -> Result<(), String> {
        self.collect();
        let mut places = BTreeMap::new();
        for pattern in &self.patterns.clone() {
            self.find(pattern, &mut places)?;
        }
        for reading in self.open.values() {
            let is_watched = places.contains_key(&reading.id);
            reading.shared.is_watched.store(is_watched, Ordering::Relaxed);
        }
        let cut: Vec<_> = self.registry.cut_ones().cloned().collect();
        self.look_beside(&cut, &mut places);
        self.look(places);
        let registry = &self.registry;
        for (_, reader) in self.awaited.extract_if(|id, _| !registry.holds(*id)) {
            reader.wait(false);
        }
        self.registry.forget(Timestamp::now().as_second() - KEEP);
        Ok(())
    }

    /// Records the files that are no longer read, and those that can be read again.
    fn collect(&mut self) {
        for Reading { id, shared, .. } in self.open.values() {
            if shared.was_read.load(Ordering::Relaxed) {
                self.failed.remove(id);
            }
        }
        let ended = |reading: &Reading| reading.shared.ended.lock().expect("no panic").take();
        let ended = self
            .open
            .iter()
            .filter_map(|(name, reading)| ended(reading).map(|ended| (name.clone(), ended)));
        for (name, ended) in ended.collect::<Vec<_>>() {
            let reading = self.open.remove(&name).expect("it was found here");
            match ended {
                Ended::Cut => self.registry.cut(&name),
                Ended::Gone => self.registry.gone(&name, Timestamp::now().as_second()),
                Ended::Filled => {
                    self.registry.left(&name, None);
                    self.filled.push(reading);
                }
                Ended::Packed(length) => self.registry.left(&name, Some(length)),
                Ended::Failed(err) => {
                    self.registry.left(&name, None);
                    self.fail(reading.id, Path::new(&name), &err);
                }
            }
        }
    }

    /// Warns once that a file cannot be read, and tries it again later.
    fn fail(&mut self, id: FileId, path: &Path, err: &io::Error) {
        let failure = format!("cannot read {}: {err}", path.display());
        // A compressed file without its end is probably being written: it gets a warning only if
        // that lasts.
        if err.kind() != io::ErrorKind::UnexpectedEof || !self.torn.insert(id) {
            self.tell(&format!("{failure}; it is tried again"));
        }
        self.failed.insert(id, (failure, Instant::now() + RETRY));
    }

    fn tell(&mut self, what: &str) {
        if self.told.insert(what.to_owned()) {
            warn(format_args!("{what}"));
        }
    }

    /// Adds the files that match, by identity, each with the first path that leads to it.
    fn find(&mut self, pattern: &str, places: &mut BTreeMap<FileId, Place>) -> Result<(), String> {
        let outputs: Vec<_> = self.outputs.iter().filter_map(|path| id_of(path).ok()).collect();
        for (path, metadata) in matching(pattern)? {
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(err) => {
                    self.tell(&format!("cannot read {}: {err}; it is tried again", path.display()));
                    continue;
                }
            };
            let id = FileId::of(&metadata);
            let unfit = match metadata.file_type() {
                kind if kind.is_file() => None,
                kind if kind.is_dir() => Some("it is a directory"),
                _ => Some("it is not a regular file"),
            };
            let was_file = || self.readers.contains_key(&*path.to_string_lossy());
            if !outputs.contains(&id) && (unfit.is_none() || was_file()) {
                places.entry(id).or_insert(Place { path, watched: true, unfit });
            }
        }
        Ok(())
    }

    /// Adds the files in the directories of these: they may have been renamed, copied or
    /// compressed.
    fn look_beside(&self, files: &[FileRecord], places: &mut BTreeMap<FileId, Place>) {
        let folders = files.iter().flat_map(|file| [&file.path, &file.resolved]);
        let folders = folders.filter_map(|path| Path::new(path).parent());
        let folders: HashSet<_> = folders.map(folder).collect();
        for entry in folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten() {
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            let (id, path) = (FileId::of(&metadata), entry.path());
            if metadata.is_file() && !self.outputs.iter().any(|output| is_same(output, &path)) {
                places.entry(id).or_insert(Place { path, watched: false, unfit: None });
            }
        }
    }

    /// The pattern that matches the path under which a file was found.
    fn pattern_of(&self, file: &FileRecord) -> Option<&String> {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let absolute = |path: &str| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let path = absolute(&file.path);
        self.patterns.iter().find(|pattern| {
            let absolute = Pattern::new(&absolute(pattern).to_string_lossy());
            absolute.is_ok_and(|pattern| pattern.matches_path_with(&path, options))
                || **pattern == file.path
        })
    }

    /// Has the registry identify these files, and gives the readers their orders.
    fn look(&mut self, places: BTreeMap<FileId, Place>) {
        let now = Instant::now();
        let mut there: HashSet<_> = places.keys().copied().collect();
        self.failed.retain(|id, _| there.contains(id));
        let mut seen = Vec::new();
        for (id, place) in places {
            let rests = self.failed.get(&id).is_some_and(|(_, again)| *again > now);
            if self.registry.open(id).is_some() || rests {
                continue;
            }
            match look_into(&place, id) {
                Ok(new) => seen.push(new),
                Err(err) if err.kind() == io::ErrorKind::NotFound => drop(there.remove(&id)),
                Err(err) if place.watched => self.fail(id, &place.path, &err),
                Err(_) => {}
            }
        }
        for filled in self.filled.drain(..).filter(|filled| there.insert(filled.id)) {
            seen.extend(out_of_sight(filled).ok()); // it was renamed in the meantime
        }
        // In the order of their names, not of their inodes.
        seen.sort_by(|left, right| left.path.cmp(&right.path));
        let orders = self.judge(now, &mut there, seen);
        for file in self.registry.cut_ones().cloned().collect::<Vec<_>>() {
            self.registry.gone(&file.name(), Timestamp::now().as_second());
            if let Some(reader) = self.readers.get(&file.path) {
                let _ = reader.push(Order::Forget(file.name())); // it has nothing to forget
            }
        }
        for opened in orders {
            self.order(opened);
        }
    }

    /// What the registry wants to be read: the older files of a path first.
    fn judge(
        &mut self,
        now: Instant,
        there: &mut HashSet<FileId>,
        mut seen: Vec<Seen<Stored>>,
    ) -> Vec<Opened> {
        let mut orders = Vec::new();
        for round in 0..2 {
            let open = self.open.values().filter_map(|open| Some((open.id, open.file.clone()?)));
            let found = seen.iter().map(|seen| (seen.id, seen.content.file().clone()));
            let mut others = Open(open.chain(found).collect());
            let verdicts = self.registry.look(now, there, &mut seen, &mut others);
            for (seen, verdict) in seen.drain(..).zip(verdicts) {
                match verdict {
                    Ok(Verdict::Read(record)) => {
                        if let Some(opened) = self.opened(seen, *record) {
                            orders.push(opened);
                        }
                    }
                    Err(err) if seen.watched => self.fail(seen.id, &seen.path, &err),
                    Ok(Verdict::Nothing | Verdict::Wait) | Err(_) => {}
                }
            }
            // A file that was just found truncated may have a copy beside it.
            let cut: Vec<_> = self.registry.cut_ones().cloned().collect();
            if round > 0 || cut.is_empty() {
                break;
            }
            let mut places = BTreeMap::new();
            self.look_beside(&cut, &mut places);
            places.retain(|id, _| there.insert(*id));
            seen.extend(places.iter().filter_map(|(id, place)| look_into(place, *id).ok()));
        }
        orders.sort_by(|left, right| {
            let by = |opened: &Opened| (opened.record.path.clone(), opened.record.generation);
            by(left).cmp(&by(right))
        });
        orders
    }

    fn opened(&mut self, seen: Seen<Stored>, record: FileRecord) -> Option<Opened> {
        let name = record.name();
        let progress = self.registry.progress(&name)?;
        let shared = Arc::new(Shared::default());
        shared.is_watched.store(seen.watched, Ordering::Relaxed);
        let content = self.how.follow.then_some(seen.content);
        let file = content.as_ref().map(|content| content.file().clone());
        self.open.insert(
            name,
            Reading { path: seen.path.clone(), id: record.id, file, shared: shared.clone() },
        );
        let is_empty = self.how.follow && seen.length == 0;
        Some(Opened { path: seen.path, record, content, is_empty, progress, shared })
    }

    /// Has a file read by the reader of its path, which is started if there is none.
    fn order(&mut self, opened: Opened) {
        let path = opened.record.path.clone();
        let (record, mut order) = (opened.record.clone(), Order::Read(opened.into()));
        if let Some(reader) = self.readers.get(&path) {
            match reader.push(order) {
                Ok(()) => return,
                Err(back) => order = back,
            }
        }
        self.start_reader(record, order.into());
    }

    /// Makes the reader of a path wait until it is known whether this file belongs to it.
    fn wait_for(&mut self, id: FileId, path: &Path) {
        let path = path.to_string_lossy().into_owned();
        let reader = match self.readers.get(&path) {
            Some(reader) => reader.clone(),
            None => self.start_reader(FileRecord { path, ..FileRecord::default() }, None),
        };
        reader.wait(true);
        self.awaited.insert(id, reader);
    }

    fn start_reader(&mut self, record: FileRecord, order: Option<Order>) -> Arc<Orders> {
        let pattern = self.pattern_of(&record).unwrap_or(&self.patterns[0]).clone();
        let path = record.path.clone();
        let origin = Origin { name: record.name(), finite: self.finite, file: Some(record) };
        let orders = Arc::new(Orders::default());
        if let Some(order) = order {
            orders.push(order).expect("it has just been made");
        }
        self.readers.insert(path, orders.clone());
        self.new.push((self.inlet.feed(&pattern, origin), orders.clone()));
        orders
    }
}

/// The open files, whose content the registry compares.
struct Open(HashMap<FileId, Arc<File>>);

impl Open {
    fn content(&self, id: FileId) -> Option<Stored> {
        Stored::new(self.0.get(&id)?.clone()).ok()
    }
}

impl Others for Open {
    fn is_intact(&mut self, id: FileId, read: &Fingerprint) -> bool {
        let found = |mut content| read.found_in(&mut content).ok();
        self.content(id).and_then(found) == Some(Found::All)
    }

    fn begins_with(&mut self, id: FileId, head: &[u8]) -> bool {
        let read = |mut content: Stored| content.read(0, head.len()).ok();
        self.content(id).and_then(read).is_some_and(|read| begins_alike(&read, head))
    }
}

/// An open file that no path leads to any more.
fn out_of_sight(reading: Reading) -> io::Result<Seen<Stored>> {
    let file = reading.file.ok_or(io::ErrorKind::NotFound)?;
    let length = file.metadata()?.len();
    let (path, id, content) = (reading.path, reading.id, Stored::new(file)?);
    let (resolved, packed) = (String::new(), content.is_packed());
    Ok(Seen { path, id, resolved, length, packed, watched: false, content })
}
