use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderValue;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::task::spawn_blocking;
use url::Url;

use crate::api_client::transport::{ErrorKind, Failure, is_starved};
use crate::policy::Answer;

/// The longest file name in bytes, cut to leave room for numbers and endings; file systems take
/// 255.
const LONGEST_NAME: usize = 120;
/// The longest suffix, in bytes, that stays behind the number, as in `photo-2.jpeg`.
const LONGEST_SUFFIX: usize = 8;
/// The least bytes of a broken body that are kept, so that the next attempt continues it: a shorter
/// one is fetched anew.
pub(in crate::api_client) const WORTH_CONTINUING: u64 = 1024 * 1024;

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
/// ever overwritten.
#[derive(Clone, Debug)]
pub(in crate::api_client) struct Store {
    pub(in crate::api_client) directory: PathBuf,
    naming: Naming,
    /// Parts that a killed run has left, by the key of the request.
    left: Arc<Mutex<HashMap<u128, HeaderValue>>>,
    /// The last number that each repeated name has got.
    numbers: Arc<Mutex<HashMap<String, u32>>>,
}

/// A body that is being stored. Dropping it removes the file, unless it can be continued.
#[derive(Debug)]
pub(in crate::api_client) struct Part {
    path: PathBuf,
    file: File,
    /// How many bytes of it are stored.
    pub(in crate::api_client) length: u64,
    /// The validator of the rest: a strong `ETag`, or a date.
    pub(in crate::api_client) validator: Option<HeaderValue>,
    done: bool,
}

impl Store {
    /// Makes the directory, and removes what killed runs have left there and no run can continue.
    pub(in crate::api_client) fn create(directory: &Path, naming: Naming) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut left = HashMap::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == "part") {
                left.extend(left_behind(&path));
            }
        }
        let left = Arc::new(Mutex::new(left));
        Ok(Self { directory: directory.to_owned(), naming, left, numbers: Arc::default() })
    }

    /// The part of this request's body that an earlier run has left, to be continued.
    pub(in crate::api_client) async fn left(&self, key: u128) -> Option<Part> {
        let left = self.left.lock().expect("no holder of this lock panics").remove(&key);
        let (validator, path) = (Some(left?), part_of(&self.directory, key));
        let opened = blocking(move || {
            let file = std::fs::File::options().append(true).open(&path)?;
            let length = file.metadata()?.len();
            file.try_lock()?;
            Ok((file, path, length))
        });
        let (file, path, length) = opened.await.ok()?;
        Some(Part { path, file: File::from_std(file), length, validator, done: false })
    }

    /// Begins to store a body, for the request with this key. One with a validator can be
    /// continued.
    pub(in crate::api_client) async fn begin(
        &self,
        key: u128,
        validator: Option<HeaderValue>,
    ) -> Result<Part, Failure> {
        let directory = self.directory.clone();
        let made = blocking(move || {
            if let Some(validator) = validator
                && let Ok(file) = new_file(&part_of(&directory, key))
            {
                let path = part_of(&directory, key);
                std::fs::write(path.with_extension("validator"), validator.as_bytes())?;
                return Ok((file, path, Some(validator)));
            }
            let (file, path) = part_in(&directory)?;
            Ok((file, path, None)) // another one with the same key is on its way
        });
        let (file, path, validator) = made.await.map_err(|err| cannot_write(&err))?;
        Ok(Part { path, file: File::from_std(file), length: 0, validator, done: false })
    }

    /// Gives the file the name of the URL that was asked for, or that with a number, and `ending`.
    pub(in crate::api_client) async fn finish(
        &self,
        mut part: Part,
        url: &Url,
        ending: &'static str,
    ) -> Result<PathBuf, Failure> {
        part.file.flush().await.map_err(|err| cannot_write(&err))?;
        part.done = true;
        let (store, (name, suffix)) = (self.clone(), self.naming.of(url));
        let path = std::mem::take(&mut part.path);
        let kept = blocking(move || store.keep(path, &name, &(suffix + ending), ending));
        kept.await.map_err(|err| cannot_write(&err))
    }

    fn keep(&self, part: PathBuf, name: &str, suffix: &str, ending: &str) -> io::Result<PathBuf> {
        let _ = std::fs::remove_file(part.with_extension("validator")); // most have none
        let mut part = TempPath::try_from_path(part)?;
        if let Naming::Exactly(name) = &self.naming {
            let mut name = name.clone();
            name.push(ending);
            let path = self.directory.join(name);
            part.persist(&path).map_err(|err| err.error)?;
            return Ok(path);
        }
        loop {
            let path = {
                let mut numbers = self.numbers.lock().expect("no holder of this lock panics");
                next_path(&self.directory, name, suffix, &mut numbers)
            };
            match part.persist_noclobber(&path) {
                Ok(()) => return Ok(path),
                Err(err) if err.error.kind() == io::ErrorKind::AlreadyExists => part = err.path,
                Err(err) => return Err(err.error),
            }
        }
    }
}

impl Part {
    pub(in crate::api_client) async fn write(&mut self, chunk: &Bytes) -> Result<(), Failure> {
        self.file.write_all(chunk).await.map_err(|err| cannot_write(&err))?;
        self.length += chunk.len() as u64;
        Ok(())
    }

    /// Waits until all that was written is in the file.
    pub(in crate::api_client) async fn flush(&mut self) -> Result<(), Failure> {
        self.file.flush().await.map_err(|err| cannot_write(&err))
    }

    /// Removes the file.
    pub(in crate::api_client) fn discard(mut self) {
        self.validator = None;
    }

    /// Empties the file: the body begins again.
    pub(in crate::api_client) async fn clear(&mut self) -> Result<(), Failure> {
        let cleared = async {
            self.file.set_len(0).await?;
            self.file.rewind().await
        };
        cleared.await.map_err(|err| cannot_write(&err))?;
        self.length = 0;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done && (self.validator.is_none() || self.length < WORTH_CONTINUING) {
            remove(&self.path);
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

/// The key and the validator of a part that can be continued. Others are removed, unless another
/// run has locked them.
fn left_behind(path: &Path) -> Option<(u128, HeaderValue)> {
    let key = path.file_stem()?.to_str()?.strip_prefix('.')?;
    if ![16, 32].contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None; // somebody else's
    }
    let free = std::fs::File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    if !free || !path.symlink_metadata().is_ok_and(|part| part.is_file()) {
        return None;
    }
    let validator = std::fs::read(path.with_extension("validator"));
    let continued = u128::from_str_radix(key, 16).ok().filter(|_| key.len() == 32);
    let usable =
        continued.zip(validator.ok().and_then(|bytes| HeaderValue::from_bytes(&bytes).ok()));
    if usable.is_none() {
        remove(path);
    }
    usable
}

/// A new file, with a unique name, for a body that is not complete yet.
fn part_in(directory: &Path) -> io::Result<(std::fs::File, PathBuf)> {
    loop {
        let path = directory.join(format!(".{:016x}.part", rand::random::<u64>()));
        match new_file(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => return Ok((made?, path)),
        }
    }
}

/// Locked, so that another run does not take it for one that was left behind.
fn new_file(path: &Path) -> io::Result<std::fs::File> {
    let file = std::fs::File::options().append(true).create_new(true).open(path)?;
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

/// Runs file work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|err| Err(io::Error::other(err)))
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
    use super::*;

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
