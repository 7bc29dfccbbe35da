use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::types::{Types, TypesBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};
use rustix::fs::{Access, access};
use rustix::io::Errno;

/// The names of the ignore files that a walk obeys in every directory.
const IGNORE_FILES: [&str; 3] = [".gitignore", ".ignore", RG_IGNORE];

/// Like `.ignore`, for ripgrep only.
const RG_IGNORE: &str = ".rgignore";

/// Which files of a directory are counted. A file that the user names is always counted.
#[derive(Clone, Debug)]
pub struct Filter {
    overrides: Override,
    types: Types,
    hidden: bool,
    no_ignore: bool,
    follow: bool,
    max_depth: Option<usize>,
    /// Each glob and type that includes files.
    watched: Arc<[Watched]>,
}

/// A pattern, and whether a file has matched it.
#[derive(Debug)]
struct Watched {
    flag: String,
    pattern: Pattern,
    matched: AtomicBool,
}

#[derive(Debug)]
enum Pattern {
    Glob(Override),
    Type(Types),
}

/// What [`Filter`] is made from: ripgrep's flags, with ripgrep's meaning.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which files of a directory")]
pub struct FilterArgs {
    /// Only files that match this glob; with a leading `!` all others: `!docs` leaves out a directory
    #[arg(short, long = "glob", value_name = "GLOB")]
    globs: Vec<String>,

    /// The same, ignoring case
    #[arg(long = "iglob", value_name = "GLOB")]
    iglobs: Vec<String>,

    /// Only files of this type, such as `rust`, `py` or `md` (see `--type-list`)
    #[arg(short, long = "type", value_name = "TYPE")]
    types: Vec<String>,

    /// At most this many levels deep: 1 is the files of the directory itself
    #[arg(short = 'd', long, value_name = "N")]
    max_depth: Option<usize>,

    /// Include files and directories whose name starts with a dot
    #[arg(long)]
    hidden: bool,

    /// Include what .gitignore, .ignore, .rgignore and git's exclude files leave out
    #[arg(long)]
    no_ignore: bool,

    /// Follow symlinks; each loop is reported as one error
    #[arg(long)]
    follow: bool,
}

/// Why a filter could not be built.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A malformed glob.
    #[error("--glob: {0}")]
    Glob(ignore::Error),
    /// A type that is not in the list.
    #[error("--type: there is no type `{name}`; {remedy}")]
    Type {
        /// The type that was asked for.
        name: String,
        /// What to do.
        remedy: String,
    },
}

impl Default for Filter {
    fn default() -> Self {
        FilterArgs::default().build().expect("no glob is malformed and no type unknown")
    }
}

impl FilterArgs {
    /// # Errors
    ///
    /// If a glob is malformed or a type unknown.
    pub fn build(&self) -> Result<Filter, FilterError> {
        let globs = self.globs.iter().map(|glob| ("--glob", glob.as_str()));
        let globs: Vec<_> =
            globs.chain(self.iglobs.iter().map(|glob| ("--iglob", glob.as_str()))).collect();
        let mut watched = Vec::new();
        for glob in globs.iter().filter(|(_, glob)| !glob.starts_with('!')) {
            let pattern = Pattern::Glob(overrides([glob])?);
            watched.push(Watched::new(format!("{} '{}'", glob.0, glob.1), pattern));
        }
        for name in &self.types {
            let pattern = Pattern::Type(types([name.as_str()])?);
            watched.push(Watched::new(format!("--type {name}"), pattern));
        }
        Ok(Filter {
            overrides: overrides(&globs)?,
            types: types(self.types.iter().map(String::as_str))?,
            hidden: self.hidden,
            no_ignore: self.no_ignore,
            follow: self.follow,
            max_depth: self.max_depth,
            watched: watched.into(),
        })
    }
}

fn overrides<'a>(
    globs: impl IntoIterator<Item = &'a (&'static str, &'a str)>,
) -> Result<Override, FilterError> {
    let mut builder = OverrideBuilder::new(".");
    for (flag, glob) in globs {
        let any_case = *flag == "--iglob";
        builder
            .case_insensitive(any_case)
            .and_then(|it| it.add(glob))
            .map_err(FilterError::Glob)?;
    }
    builder.build().map_err(FilterError::Glob)
}

fn types<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Types, FilterError> {
    let mut builder = TypesBuilder::new();
    let mut names = names.into_iter().peekable();
    if names.peek().is_some() {
        builder.add_defaults();
    }
    for name in names {
        if name != "all" && !builder.definitions().iter().any(|known| known.name() == name) {
            return Err(unknown_type(name));
        }
        builder.select(name);
    }
    builder.build().map_err(FilterError::Glob)
}

fn unknown_type(name: &str) -> FilterError {
    let known = type_list().map(|(known, _)| known);
    let nearest = known.map(|known| (strsim::damerau_levenshtein(name, &known), known)).min();
    let remedy = match nearest {
        Some((edits, nearest)) if edits <= 1 + name.len() / 3 => {
            format!("did you mean `{nearest}`? --type-list prints all")
        }
        _ => "--type-list prints all".into(),
    };
    FilterError::Type { name: name.into(), remedy }
}

/// The types that `--type` knows, each with its globs.
pub(crate) fn type_list() -> impl Iterator<Item = (String, Vec<String>)> {
    let known = TypesBuilder::new().add_defaults().definitions();
    known.into_iter().map(|known| (known.name().to_owned(), known.globs().to_vec()))
}

impl Watched {
    fn new(flag: String, pattern: Pattern) -> Self {
        Self { flag, pattern, matched: AtomicBool::new(false) }
    }

    fn has_matched(&self) -> bool {
        self.matched.load(Ordering::Relaxed)
    }
}

/// Directories with too many entries to be sorted in memory. The walk leaves them out until their
/// turn comes.
pub(crate) type Deferred = Arc<Mutex<VecDeque<PathBuf>>>;

impl Filter {
    /// Notes which patterns a found file matches.
    pub(crate) fn watch(&self, path: &Path) {
        for watched in self.watched.iter().filter(|watched| !watched.has_matched()) {
            let matches = match &watched.pattern {
                Pattern::Glob(glob) => glob.matched(path, false).is_whitelist(),
                Pattern::Type(types) => types.matched(path, false).is_whitelist(),
            };
            watched.matched.store(matches, Ordering::Relaxed);
        }
    }

    /// The flags that no file has matched.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &str> {
        self.watched.iter().filter(|watched| !watched.has_matched()).map(|watched| &*watched.flag)
    }

    /// The ignore files of a directory that exist but cannot be read; the `ignore` crate skips them
    /// silently.
    pub(crate) fn unreadable_ignore_files(&self, dir: &Path) -> Vec<(PathBuf, io::Error)> {
        if self.no_ignore {
            return Vec::new();
        }
        let files = IGNORE_FILES.iter().map(|name| dir.join(name));
        let unreadable = |path: PathBuf| match access(&path, Access::READ_OK) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(err) => Some((path, err.into())),
        };
        files.filter_map(unreadable).collect()
    }

    /// How many levels may follow below this one.
    pub(crate) fn depth_left(&self, depth: usize) -> Option<usize> {
        self.max_depth.map(|most| most.saturating_sub(depth))
    }

    /// Walks `root`, siblings in the order of their names, so that paths come in their order too. A
    /// directory of more than `page_size` entries is deferred: it is walked before the entry that
    /// comes next.
    pub(crate) fn walk(&self, root: &Path, depth: usize, page_size: usize) -> (Walk, Deferred) {
        let deferred = Deferred::default();
        let deferring = Arc::clone(&deferred);
        let follow = self.follow;
        let walk = self
            .builder(root)
            .max_depth(self.depth_left(depth))
            // Siblings differ only in their names, so comparing whole paths is enough.
            .sort_by_file_path(|a, b| a.as_os_str().cmp(b.as_os_str()))
            .filter_entry(move |entry| {
                let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
                // A loop is only seen within one walk, so with symlinks the walk is not split.
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

    /// The first `page_size` entries of a directory whose names follow on `after`, sorted. Each
    /// call reads the whole directory, and holds no more than one page in memory.
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
        if !self.no_ignore {
            builder.add_custom_ignore_filename(RG_IGNORE);
        }
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
