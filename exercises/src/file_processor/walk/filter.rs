use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::types::{Types, TypesBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};

/// Which files of a directory count. A file that is named itself always counts.
#[derive(Clone, Debug)]
pub struct Filter {
    overrides: Override,
    types: Types,
    hidden: bool,
    no_ignore: bool,
    follow: bool,
}

/// What [`Filter`] is made from: ripgrep's flags, with ripgrep's meaning.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only files that match this glob; with a leading `!` only those that don't
    #[arg(short, long = "glob", value_name = "GLOB")]
    globs: Vec<String>,

    /// Only files of this type, such as `rust`, `py` or `md` (ripgrep's names)
    #[arg(short, long = "type", value_name = "TYPE")]
    types: Vec<String>,

    /// Also files and directories whose name starts with a dot
    #[arg(long)]
    hidden: bool,

    /// Also what .gitignore, .ignore and git's exclude files leave out
    #[arg(long)]
    no_ignore: bool,

    /// Follow symlinks; a loop is an error, once
    #[arg(long)]
    follow: bool,
}

impl FilterArgs {
    /// # Errors
    ///
    /// If a glob is malformed or a type unknown.
    pub fn build(&self) -> Result<Filter, ignore::Error> {
        let mut overrides = OverrideBuilder::new(".");
        for glob in &self.globs {
            overrides.add(glob)?;
        }
        let mut types = TypesBuilder::new();
        if !self.types.is_empty() {
            types.add_defaults();
        }
        for name in &self.types {
            types.select(name);
        }
        Ok(Filter {
            overrides: overrides.build()?,
            types: types.build()?,
            hidden: self.hidden,
            no_ignore: self.no_ignore,
            follow: self.follow,
        })
    }
}

/// Directories with more entries than can be sorted in memory, left out of a walk until their place
/// comes.
pub(crate) type Deferred = Arc<Mutex<VecDeque<PathBuf>>>;

impl Filter {
    /// Walks `root`, siblings in the order of their names, so that paths come in their order too.
    /// A directory of more than `page_size` entries is left out and deferred: it has its place before
    /// the entry that comes next.
    pub(crate) fn walk(&self, root: &Path, page_size: usize) -> (Walk, Deferred) {
        let deferred = Deferred::default();
        let deferring = Arc::clone(&deferred);
        let follow = self.follow;
        let walk = self
            .builder(root)
            // Siblings differ in their names only, so there is no need to take the paths apart.
            .sort_by_file_path(|a, b| a.as_os_str().cmp(b.as_os_str()))
            .filter_entry(move |entry| {
                let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
                // Loops are seen within one walk only, so with symlinks it stays one.
                let keep = follow || !is_dir || !is_paged(entry.path(), page_size);
                if !keep {
                    lock(&deferring).push_back(entry.path().into());
                }
                keep
            })
            .build();
        (walk, deferred)
    }

    /// Whether `root` itself has to be walked by the [`page`](Self::page).
    pub(crate) fn is_paged(&self, root: &Path, page_size: usize) -> bool {
        !self.follow && is_paged(root, page_size)
    }

    /// The first `page_size` entries of a directory whose names follow on `after`, sorted. As many
    /// calls as it takes read the directory as many times, and hold no more than this in memory.
    pub(crate) fn page(&self, dir: &Path, after: Option<&OsStr>, page_size: usize) -> Page {
        let mut page = Page::default();
        for entry in self.builder(dir).max_depth(Some(1)).build() {
            match entry {
                Ok(entry) if entry.depth() == 0 => {}
                Ok(entry) => page.put(&entry, after, page_size),
                Err(err) => page.problems.push(err),
            }
        }
        page
    }

    fn builder(&self, root: &Path) -> WalkBuilder {
        let mut builder = WalkBuilder::new(root);
        builder
            .overrides(self.overrides.clone())
            .types(self.types.clone())
            .hidden(!self.hidden)
            .ignore(!self.no_ignore)
            .git_ignore(!self.no_ignore)
            .git_global(!self.no_ignore)
            .git_exclude(!self.no_ignore)
            .parents(!self.no_ignore)
            .follow_links(self.follow);
        builder
    }
}

/// A part of a directory.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) entries: BTreeMap<OsString, Option<FileType>>,
    pub(crate) problems: Vec<ignore::Error>,
}

impl Page {
    fn put(&mut self, entry: &DirEntry, after: Option<&OsStr>, page_size: usize) {
        let name = entry.file_name();
        let full = self.entries.len() >= page_size;
        let behind = self.entries.last_key_value().is_some_and(|(last, _)| **last <= *name);
        if after.is_some_and(|after| name <= after) || (full && behind) {
            return;
        }
        if full {
            self.entries.pop_last();
        }
        self.entries.insert(name.into(), entry.file_type());
    }
}

pub(crate) fn lock(deferred: &Deferred) -> MutexGuard<'_, VecDeque<PathBuf>> {
    deferred.lock().expect("no holder of this lock panics")
}

/// Whether a directory has more than `page_size` entries. The size of the directory itself is a
/// cheap hint: no file system needs less than a byte for an entry.
fn is_paged(dir: &Path, page_size: usize) -> bool {
    let may_be = dir.metadata().is_ok_and(|metadata| metadata.len() >= page_size as u64);
    may_be && dir.read_dir().is_ok_and(|entries| entries.take(page_size + 1).count() > page_size)
}
