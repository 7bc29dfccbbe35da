//! Which files there are: those that match at the start, and when following those that come later.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::file::{self, POLL, Tail};
use super::identity::Known;
use super::{Feed, Inlet, Stopped, join, named, warn_if_failed};
use crate::data_pipeline::config::{Config, sink_path};
use crate::data_pipeline::state::checkpoint::Position;
use crate::data_pipeline::state::chunk::Origin;
use crate::data_pipeline::state::feeds::Feeds;

/// So many files are open at once when they are read to their end.
const OPEN: usize = 512;

/// All files of a run, one source each.
#[derive(Debug)]
pub(crate) struct Files {
    inlet: Arc<Inlet>,
    patterns: Vec<String>,
    follow: bool,
    /// All of them are read to their end, at once.
    finite: bool,
    /// The run's own outputs: reading them would feed it with itself.
    outputs: Vec<PathBuf>,
    known: Known,
    seen: HashSet<PathBuf>,
    tails: Vec<(Feed, Tail)>,
}

impl Files {
    /// Finds the files that are there and registers them.
    pub(crate) fn new(
        inlet: Arc<Inlet>,
        config: &Config,
        feeds: &mut Feeds,
    ) -> Result<Self, String> {
        let outputs = config.sinks().filter_map(|(name, ..)| sink_path(name)?.canonicalize().ok());
        let outputs = outputs.collect();
        let (patterns, follow) = (config.file.clone(), config.follow);
        let (known, seen, tails) = Default::default();
        let mut files =
            Self { inlet, patterns, follow, finite: false, outputs, known, seen, tails };
        feeds.file_ids().for_each(|id| files.known.add(id));
        let found = files.find()?;
        files.finite = !follow && found.len() <= OPEN;
        for (path, pattern) in found {
            let position = feeds.position(&source_name(&path));
            if position.is_none() && follow && files.known.has(&path) {
                continue; // a rotated file that an earlier run knew by another name
            }
            files.add(path, &pattern, position);
        }
        for (feed, _) in &files.tails {
            feeds.register(feed.id, &feed.origin, Instant::now());
        }
        Ok(files)
    }

    /// Reads all of them.
    pub(crate) async fn run(mut self) -> Result<(), Stopped> {
        let mut tasks = JoinSet::new();
        let open =
            Arc::new(Semaphore::new(if self.follow { Semaphore::MAX_PERMITS } else { OPEN }));
        loop {
            for (feed, tail) in self.tails.drain(..) {
                let open = open.clone();
                tasks.spawn(async move {
                    let _open = open.acquire_owned().await;
                    warn_if_failed(file::run(feed, tail)).await
                });
            }
            if !self.follow || self.inlet.ctx.run(sleep(POLL)).await.is_err() {
                break;
            }
            for (path, pattern) in self.find().map_err(Stopped::Failed)? {
                if !self.known.has(&path) {
                    self.add(path, &pattern, None);
                }
            }
        }
        join(tasks).await
    }

    fn add(&mut self, path: PathBuf, pattern: &str, position: Option<Position>) {
        let source = source_name(&path);
        let saved = position.clone().unwrap_or(Position { generation: 1, ..Position::default() });
        let origin = Origin {
            name: named(&source, saved.generation),
            source,
            generation: saved.generation,
            file: saved.file,
            retired: saved.retired,
            replayable: true,
            finite: self.finite,
        };
        let tail =
            Tail { path: path.clone(), follow: self.follow, position, known: self.known.clone() };
        self.seen.insert(path);
        self.tails.push((self.inlet.feed(pattern, origin), tail));
    }

    /// The matching files that were not found before, in the order of their names, each with the
    /// first pattern that it matches.
    fn find(&self) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut found = BTreeMap::new();
        for pattern in &self.patterns {
            for path in matching(pattern)?.into_iter().filter(|path| self.is_new(path)) {
                found.entry(path).or_insert_with(|| pattern.clone());
            }
        }
        Ok(found)
    }

    fn is_new(&self, path: &Path) -> bool {
        let is_output = || path.canonicalize().is_ok_and(|path| self.outputs.contains(&path));
        !self.seen.contains(path) && path.is_file() && !is_output()
    }
}

/// The paths that match a pattern, in the order of their names. A pattern that is the name of a file
/// stands for that file, whatever is in it.
pub(crate) fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    if Path::new(pattern).exists() {
        return Ok(vec![pattern.into()]);
    }
    let paths = glob::glob(pattern).map_err(|err| format!("in --file {pattern}: {err}"))?;
    Ok(paths.flatten().collect())
}

fn source_name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
