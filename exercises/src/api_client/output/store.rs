use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::fs::{Access, access};
use tempfile::{TempDir, TempPath};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::api_client::transport::{ErrorKind, Failure, Version, is_starved};
use crate::policy::Answer;

/// The longest file name in bytes, cut to leave room for numbers and endings; file systems take
/// 255.
const LONGEST_NAME: usize = 120;
/// The longest suffix, in bytes, that stays behind the number, as in `photo-2.jpeg`.
const LONGEST_SUFFIX: usize = 8;
/// The least bytes of a broken body that are kept, so that the next attempt continues it: a shorter
/// one is fetched again.
const WORTH_CONTINUING: u64 = 1024 * 1024;
/// Bytes of a body that are collected in memory and written together. A shorter body becomes a file
/// in one go, once it is whole.
const TOGETHER: usize = 128 * 1024;
/// Pieces of file work that wait for the thread. Each attempt waits for its own, so that more would
/// not make it faster.
const WAITING_WORKS: usize = 64;

/// What the file of a body is called.
#[derive(Clone, Debug, Default)]
pub enum Naming {
    /// From the whole URL: `host_a_b.c`.
    #[default]
    WholeUrl,
    /// From the last part of the URL's path.
    LastPart,
    /// This name; an existing file is replaced once the body is complete.
    Exactly(OsString),
    /// Any name, in a directory of its own that is removed with the client.
    Temporary,
}

impl Naming {
    /// The name, and the suffix behind the number that it may get.
    fn of(&self, url: &Url) -> (String, String) {
        let segments = url.path_segments().and_then(|mut segments| segments.next_back());
        match self {
            Self::LastPart => match segments.map(|name| name.trim_start_matches('.')) {
                None | Some("") => file_name(url),
                Some(name) => split_suffix(&plain(name, "-_.=,%~+@"), url),
            },
            _ => file_name(url),
        }
    }

    /// Where the body of a URL would be stored now. `numbers` are those of this run.
    pub(in crate::api_client) fn path(
        &self,
        directory: &Path,
        url: &Url,
        numbers: &mut HashMap<String, u32>,
    ) -> PathBuf {
        if let Self::Exactly(name) = self {
            return directory.join(name);
        }
        let (name, suffix) = self.of(url);
        loop {
            let path = next_path(directory, &name, &suffix, numbers);
            if path.symlink_metadata().is_err() {
                return path;
            }
        }
    }
}

/// `photo.jpg`, the next time `photo-2.jpg`.
fn next_path(
    directory: &Path,
    name: &str,
    suffix: &str,
    numbers: &mut HashMap<String, u32>,
) -> PathBuf {
    let number = numbers.entry(format!("{name}{suffix}")).or_default();
    *number += 1;
    directory.join(match number {
        1 => format!("{name}{suffix}"),
        _ => format!("{name}-{number}{suffix}"),
    })
}

/// A directory for bodies. A file in it is complete: until then it has another name, and no file is
/// ever overwritten, except one that was named.
#[derive(Debug)]
pub(in crate::api_client) struct Store {
    named: Arc<Named>,
    parts: Arc<Parts>,
    /// Parts that a killed run has left, by the key of the request.
    left: Mutex<HashMap<u128, Version>>,
    files: Files,
}

/// The directory in which bodies grow.
#[derive(Debug)]
struct Parts {
    directory: PathBuf,
    /// If it is not that of the complete files. It is removed when this is dropped.
    temporary: Option<TempDir>,
}

/// The directory, as the files that have got their names there see it.
#[derive(Debug)]
struct Named {
    directory: PathBuf,
    naming: Naming,
    /// The last number that each repeated name has got.
    numbers: Mutex<HashMap<String, u32>>,
}

/// A body that is being stored. Dropping it removes its file, unless it can be continued.
#[derive(Debug)]
pub(in crate::api_client) struct Part {
    parts: Arc<Parts>,
    key: u128,
    /// Its hidden file, once something was written.
    file: Option<(File, PathBuf)>,
    /// The bytes that are not in the file yet.
    rest: Vec<u8>,
    /// How many bytes it has, with the rest.
    pub(in crate::api_client) length: u64,
    /// What it is a part of, if it can be continued.
    pub(in crate::api_client) version: Option<Version>,
}

impl Store {
    /// Makes the directory, and removes what killed runs have left there and no run can continue.
    /// What may not be written is an error.
    pub(in crate::api_client) fn create(directory: &Path, naming: Naming) -> io::Result<Self> {
        let parts = match &naming {
            Naming::Temporary => Parts::temporary()?,
            Naming::Exactly(name) => Parts::beside(directory, name)?,
            Naming::WholeUrl | Naming::LastPart => Parts::within(directory)?,
        };
        let mut left = HashMap::new();
        for entry in std::fs::read_dir(&parts.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|suffix| suffix == "part") {
                left.extend(left_behind(&path));
            }
        }
        let directory = match &naming {
            Naming::Temporary => parts.directory.clone(),
            _ => directory.to_owned(),
        };
        let (parts, left, files) = (Arc::new(parts), Mutex::new(left), Files::start()?);
        let named = Arc::new(Named { directory, naming, numbers: Mutex::default() });
        Ok(Self { named, parts, left, files })
    }

    pub(in crate::api_client) fn directory(&self) -> &Path {
        &self.named.directory
    }

    /// The part of this request's body that an earlier run has left, to be continued.
    pub(in crate::api_client) async fn left(&self, key: u128) -> Option<Part> {
        let left = self.left.lock().expect("no holder of this lock panics").remove(&key);
        let version = Some(left?);
        let mut part = self.begin(key, None, None);
        let opened = self.files.work(move || {
            let path = part_of(&part.parts.directory, key);
            let file = File::options().append(true).open(&path)?;
            file.try_lock()?;
            part.length = file.metadata()?.len();
            (part.file, part.version) = (Some((file, path)), version);
            Ok(part)
        });
        opened.await.ok()
    }

    /// Begins to store a body, for the request with this key. A long one with a version can be
    /// continued.
    pub(in crate::api_client) fn begin(
        &self,
        key: u128,
        length: Option<u64>,
        version: Option<Version>,
    ) -> Part {
        let length = length.unwrap_or_default();
        Part {
            parts: self.parts.clone(),
            key,
            file: None,
            rest: Vec::with_capacity(length.min(TOGETHER as u64) as usize),
            length: 0,
            version: version.filter(|_| length >= WORTH_CONTINUING),
        }
    }

    /// Gives the file the name of the URL that was asked for, or that with a number, and `ending`;
    /// `then` follows at once, so that hardly anything can end the process in between.
    pub(in crate::api_client) async fn finish<T: Send + 'static>(
        &self,
        mut part: Part,
        url: &Url,
        ending: &'static str,
        then: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<(PathBuf, T), Failure> {
        let (named, (name, suffix)) = (self.named.clone(), self.named.naming.of(url));
        let kept = self.files.work(move || {
            part.write_rest()?;
            let path = named.keep(part, &name, &(suffix + ending), ending)?;
            let then = then(&path);
            Ok((path, then))
        });
        kept.await.map_err(|err| cannot_write(&err))
    }
}

impl Parts {
    fn temporary() -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix("api-client-").tempdir();
        let temporary = made.map_err(|err| {
            let what = "a temporary directory, for a body until it is complete (TMPDIR says where)";
            io::Error::new(err.kind(), format!("cannot make {what}: {err}"))
        })?;
        Ok(Self { directory: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// In the directory of the complete files, which is made if there is none.
    fn within(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory).map_err(|err| at(directory, &err))?;
        may(Access::WRITE_OK | Access::EXEC_OK, directory)?;
        Ok(Self { directory: directory.to_owned(), temporary: None })
    }

    /// For the file with this name: beside it, or else, if it is there, wherever there is room.
    fn beside(directory: &Path, name: &OsStr) -> io::Result<Self> {
        let file = directory.join(name);
        match file.metadata() {
            Ok(_) => {
                may(Access::WRITE_OK, &file)?;
                Self::within(directory).or_else(|_| Self::temporary())
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => Self::within(directory),
            Err(err) => Err(at(&file, &err)), // such as links in a circle
        }
    }

    fn unwritten(&self, err: &io::Error) -> io::Error {
        match self.temporary {
            Some(_) if !is_starved(err) => {
                let place = self.directory.display();
                io::Error::new(err.kind(), format!("{place} (TMPDIR says where): {err}"))
            }
            _ => at(&self.directory, err),
        }
    }
}

impl Named {
    fn keep(&self, mut part: Part, name: &str, suffix: &str, ending: &str) -> io::Result<PathBuf> {
        let (file, path) = part.file.take().expect("its rest was written");
        if part.version.is_some() {
            let _ = std::fs::remove_file(path.with_extension("validator"));
        }
        let mut path = TempPath::try_from_path(path)?;
        if let Naming::Exactly(name) = &self.naming {
            let mut name = name.clone();
            name.push(ending);
            let named = self.directory.join(name);
            replace(&named, &file, path).map_err(|err| at(&named, &err))?;
            return Ok(named);
        }
        loop {
            let named = {
                let mut numbers = self.numbers.lock().expect("no holder of this lock panics");
                next_path(&self.directory, name, suffix, &mut numbers)
            };
            match path.persist_noclobber(&named) {
                Ok(()) => return Ok(named),
                Err(err) if err.error.kind() == io::ErrorKind::AlreadyExists => path = err.path,
                Err(err) => return Err(at(&named, &err.error)),
            }
        }
    }
}

impl Part {
    /// Takes in a piece of the body.
    pub(in crate::api_client) async fn write(
        &mut self,
        store: &Store,
        chunk: &[u8],
    ) -> Result<(), Failure> {
        self.rest.extend_from_slice(chunk);
        self.length += chunk.len() as u64;
        if self.rest.len() < TOGETHER { Ok(()) } else { self.flush(store).await }
    }

    /// Waits until the file has all that was taken in. If that wait is cut off, the part is dropped
    /// once the file has it.
    pub(in crate::api_client) async fn flush(&mut self, store: &Store) -> Result<(), Failure> {
        let mut part = std::mem::replace(self, store.begin(self.key, None, None));
        let flushed = store.files.work(move || Ok((part.write_rest(), part)));
        let (written, part) = flushed.await.map_err(|err| cannot_write(&err))?;
        *self = part;
        written.map_err(|err| cannot_write(&err))
    }

    /// Writes the rest to the file. A part that cannot be written cannot be continued.
    fn write_rest(&mut self) -> io::Result<()> {
        let mut rest = std::mem::take(&mut self.rest);
        let written = self.file().and_then(|mut file| file.write_all(&rest));
        rest.clear();
        self.rest = rest;
        written.map_err(|err| {
            self.version = None;
            self.parts.unwritten(&err)
        })
    }

    /// The file, which is made if there is none yet.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let path = part_of(&self.parts.directory, self.key);
            let file = self.version.as_ref().and_then(|_| new_file(&path).ok());
            if file.is_none() {
                self.version = None; // another one with the same key is on its way
            }
            let (_, path) = self.file.insert(match file {
                Some(file) => (file, path),
                None => part_in(&self.parts.directory)?,
            });
            if let Some(version) = &self.version {
                std::fs::write(path.with_extension("validator"), version.written())?;
            }
        }
        let (file, _) = self.file.as_ref().expect("it was just made");
        Ok(file)
    }

    /// Removes the file.
    pub(in crate::api_client) fn discard(mut self) {
        self.version = None;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let written = self.length - self.rest.len() as u64;
        if let Some((_, path)) = &self.file
            && (self.version.is_none() || written < WORTH_CONTINUING)
        {
            remove(path);
        }
    }
}

/// Gives a complete part the name of a file. It replaces one that is ours alone, which stays whole
/// whatever happens. Another is written into, as its links, its owner or its mount shall stay.
fn replace(named: &Path, part: &File, path: TempPath) -> io::Result<()> {
    let before = named.metadata().ok();
    if let Some(before) = &before {
        if !is_ours_alone(before, &part.metadata()?) {
            return write_into(named, &path);
        }
        part.set_permissions(before.permissions())?;
    }
    match path.persist(named) {
        Ok(()) => Ok(()),
        Err(refused) if before.is_some() => write_into(named, &refused.path),
        Err(refused) => Err(refused.error),
    }
}

/// Whether a file that a new one replaces differs from it in nothing but its content and its mode.
fn is_ours_alone(before: &Metadata, new: &Metadata) -> bool {
    let owner = |file: &Metadata| (file.uid(), file.gid());
    before.nlink() == 1 && owner(before) == owner(new)
}

fn write_into(named: &Path, part: &Path) -> io::Result<()> {
    let mut part = File::open(part)?;
    let mut named = File::options().write(true).truncate(true).open(named)?;
    io::copy(&mut part, &mut named).map(drop)
}

fn may(access_it: Access, path: &Path) -> io::Result<()> {
    access(path, access_it).map_err(|err| at(path, &err.into()))
}

/// The error with the path that it is about. A lack of open files is about none.
fn at(path: &Path, err: &io::Error) -> io::Error {
    match err.raw_os_error() {
        Some(code) if is_starved(err) => io::Error::from_raw_os_error(code),
        _ => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            io::Error::new(err.kind(), format!("{}: {err}", path.display()))
        }
    }
}

/// Removes a part and its validator. Either may already be gone.
fn remove(part: &Path) {
    let _ = std::fs::remove_file(part);
    let _ = std::fs::remove_file(part.with_extension("validator"));
}

fn part_of(directory: &Path, key: u128) -> PathBuf {
    directory.join(format!(".{key:032x}.part"))
}

/// The key and the version of a part that can be continued. Others are removed, unless another
/// run has locked them.
fn left_behind(path: &Path) -> Option<(u128, Version)> {
    let key = path.file_stem()?.to_str()?.strip_prefix('.')?;
    if ![16, 32].contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None; // somebody else's
    }
    let free = File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    if !free || !path.symlink_metadata().is_ok_and(|part| part.is_file()) {
        return None;
    }
    let validator = std::fs::read(path.with_extension("validator"));
    let continued = u128::from_str_radix(key, 16).ok().filter(|_| key.len() == 32);
    let usable = continued.zip(validator.ok().and_then(|bytes| Version::read(&bytes)));
    if usable.is_none() {
        remove(path);
    }
    usable
}

/// A new file, with a unique name, for a body that is not complete yet.
fn part_in(directory: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let path = directory.join(format!(".{:016x}.part", rand::random::<u64>()));
        match new_file(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => return Ok((made?, path)),
        }
    }
}

/// Locked, so that another run does not take it for one that was left behind.
fn new_file(path: &Path) -> io::Result<File> {
    let file = File::options().append(true).create_new(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// `https://host/a/b.c?d=e` is stored as `host_a_b.c_d=e`: the name, and the suffix behind the
/// number that it may get.
pub(in crate::api_client) fn file_name(url: &Url) -> (String, String) {
    let mut name = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        let _ = write!(name, "_{port}"); // writing to a string cannot fail
    }
    name.push_str(url.path().trim_end_matches('/'));
    if let Some(part) = url.query() {
        name.push('_');
        name.push_str(part);
    }
    let name = plain(&name, "-_.=,");
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        return ("_".to_owned(), String::new()); // of `http://.../`
    }
    split_suffix(name, url)
}

/// Keeps letters, digits and `others`; every other character becomes an underscore.
fn plain(name: &str, others: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// Takes the suffix of the URL's file off the end of a name, if it is there.
fn split_suffix(name: &str, url: &Url) -> (String, String) {
    let file = url.path().rsplit('/').next().unwrap_or_default();
    let suffix = file.rsplit_once('.').filter(|(stem, suffix)| {
        let plain = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        !stem.is_empty() && plain && (1..=LONGEST_SUFFIX).contains(&suffix.len())
    });
    let suffix = suffix.map(|(_, suffix)| format!(".{suffix}")).unwrap_or_default();
    let (name, suffix) = match name.strip_suffix(&suffix) {
        Some(stem) if !stem.is_empty() => (stem, suffix),
        _ => (name, String::new()),
    };
    (name.chars().take(LONGEST_NAME).collect(), suffix)
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread for the file work, off the runtime's threads. One is enough to hand bytes to the system;
/// more would spend as much time on waking each other.
#[derive(Debug)]
struct Files {
    /// `None` only while it is dropped.
    running: Option<(mpsc::Sender<Work>, JoinHandle<()>)>,
}

impl Files {
    fn start() -> io::Result<Self> {
        let (sender, mut works) = mpsc::channel::<Work>(WAITING_WORKS);
        let run = move || {
            while let Some(work) = works.blocking_recv() {
                work();
            }
        };
        let thread = thread::Builder::new().name("files".to_owned()).spawn(run)?;
        Ok(Self { running: Some((sender, thread)) })
    }

    /// Has the thread do it. If this wait is cut off, the work is done all the same, or dropped if
    /// the thread has not got it yet.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (works, _) = self.running.as_ref().expect("it is not being dropped");
        let (done, result) = oneshot::channel();
        // If the thread has panicked, there is no result either, which is the error below.
        let _ = works.send(Box::new(move || drop(done.send(work())))).await;
        result.await.unwrap_or_else(|_| Err(io::Error::other("the thread for files has panicked")))
    }
}

impl Drop for Files {
    /// Waits for the work that is left, such as removing the parts of attempts that were cut off.
    fn drop(&mut self) {
        if let Some((works, thread)) = self.running.take() {
            drop(works); // the thread ends once it has done what waits
            let _ = thread.join(); // the attempt whose work panicked has got an error
        }
    }
}

/// An error of this machine: the host has answered.
fn cannot_write(err: &io::Error) -> Failure {
    let detail = format!("cannot store the body: {err}");
    if is_starved(err) {
        Failure::starved(ErrorKind::Body, detail)
    } else {
        Failure::new(ErrorKind::Body, detail, Answer::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn dropping_the_thread_for_files_waits_for_the_work_it_has() {
        let files = Files::start().expect("a thread");
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let done = Arc::new(AtomicBool::new(false));
        let sets = done.clone();
        {
            let mut cut_off = pin!(files.work(move || {
                let _ = gone.recv();
                sets.store(true, Ordering::Relaxed);
                Ok(())
            }));
            assert!(cut_off.as_mut().now_or_never().is_none());
        }
        drop(go);
        drop(files);
        assert!(done.load(Ordering::Relaxed));
    }

    #[test]
    fn its_own_name_is_the_last_part_of_the_path() {
        for (url, expected) in [
            ("http://a.example/b/photo.jpg?size=2", "photo.jpg"),
            ("http://a.example/b%20c.tar.gz", "b%20c.tar.gz"),
            ("http://a.example/..%2f.bashrc", "%2f.bashrc"),
            ("http://a.example/", "a.example"),
        ] {
            let (name, suffix) = Naming::LastPart.of(&Url::parse(url).expect("a URL"));
            assert_eq!(name + &suffix, expected);
        }
    }

    #[test]
    fn every_url_has_a_name_that_is_a_plain_one() {
        for (url, name, suffix) in [
            ("https://a.example/b/c?d=e", "a.example_b_c_d=e", ""),
            ("https://a.example/photo.jpg", "a.example_photo", ".jpg"),
            ("https://a.example/photo.jpg?size=2", "a.example_photo.jpg_size=2", ""),
            ("http://ada:secret@a.example:81/", "a.example_81", ""),
            ("http://a.example/..%2f..%2fb", "a.example_.._2f.._2fb", ""),
            ("http://.../", "_", ""),
        ] {
            let expected = (name.to_owned(), suffix.to_owned());
            assert_eq!(file_name(&Url::parse(url).expect("a URL")), expected);
        }
    }
}
