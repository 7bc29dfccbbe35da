use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use url::Url;

use crate::api_client::transport::{ErrorKind, Failure, is_starved};

/// A name of a file is cut to so many bytes; file systems take 255.
const LONGEST_NAME: usize = 120;

/// A directory for bodies. A file in it is complete: until then it has another name, and no file
/// is ever written over.
#[derive(Clone, Debug)]
pub(in crate::api_client) struct Store {
    directory: PathBuf,
}

/// A body that is being stored. Dropping it removes what there is.
pub(in crate::api_client) struct Download {
    path: TempPath,
    file: File,
}

impl Store {
    pub(in crate::api_client) fn create(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    pub(in crate::api_client) async fn begin(&self) -> Result<Download, Failure> {
        let directory = self.directory.clone();
        let made = blocking(move || part_in(&directory));
        let (file, path) = made.await.map_err(|err| cannot_write(&err))?.into_parts();
        Ok(Download { path, file: File::from_std(file) })
    }
}

impl Download {
    pub(in crate::api_client) async fn write(&mut self, chunk: &Bytes) -> Result<(), Failure> {
        self.file.write_all(chunk).await.map_err(|err| cannot_write(&err))
    }

    /// Gives the file its name: the URL's, or with the number added if there is one already.
    pub(in crate::api_client) async fn finish(
        mut self,
        url: &Url,
        number: u64,
    ) -> Result<PathBuf, Failure> {
        self.file.flush().await.map_err(|err| cannot_write(&err))?;
        let file = self.file.into_std().await;
        let name = file_name(url);
        let path = self.path;
        let kept = blocking(move || keep(NamedTempFile::from_parts(file, path), &name, number));
        kept.await.map_err(|err| cannot_write(&err))
    }
}

/// A file that is not complete yet. tempfile's errors hide the system's, which says more.
fn part_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut reason = None;
    let part = tempfile::Builder::new().prefix(".").suffix(".part").make_in(directory, |path| {
        std::fs::File::create_new(path).inspect_err(|err| reason = err.raw_os_error())
    });
    part.map_err(|err| reason.map_or(err, io::Error::from_raw_os_error))
}

fn keep(mut file: NamedTempFile, name: &str, number: u64) -> io::Result<PathBuf> {
    let directory = file.path().parent().unwrap_or(Path::new("")).to_owned();
    let mut candidate = directory.join(name);
    for more in 1.. {
        match file.persist_noclobber(&candidate) {
            Ok(_) => break,
            Err(err) if err.error.kind() == io::ErrorKind::AlreadyExists => file = err.file,
            Err(err) => return Err(err.error),
        }
        candidate = match more {
            1 => directory.join(format!("{name}-{number}")),
            _ => directory.join(format!("{name}-{number}-{more}")),
        };
    }
    Ok(candidate)
}

/// `https://host/a/b?c=d` is stored as `host_a_b_c=d`.
pub(in crate::api_client) fn file_name(url: &Url) -> String {
    let mut name = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        let _ = write!(name, "_{port}"); // writing to a string cannot fail
    }
    name.push_str(url.path().trim_end_matches('/'));
    if let Some(part) = url.query() {
        name.push('_');
        name.push_str(part);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=,".contains(c);
    let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        return "_".to_owned(); // of `http://.../`
    }
    name.chars().take(LONGEST_NAME).collect()
}

/// Runs file work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|err| Err(io::Error::other(err)))
}

fn cannot_write(err: &io::Error) -> Failure {
    let detail = format!("cannot store the body: {err}");
    if is_starved(err) {
        Failure::starved(ErrorKind::Body, detail)
    } else {
        Failure::permanent(ErrorKind::Body, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_has_a_name_that_is_a_plain_one() {
        for (url, name) in [
            ("https://a.example/b/c?d=e", "a.example_b_c_d=e"),
            ("http://ada:secret@a.example:81/", "a.example_81"),
            ("http://a.example/..%2f..%2fb", "a.example_.._2f.._2fb"),
            ("http://.../", "_"),
        ] {
            assert_eq!(file_name(&Url::parse(url).expect("a URL")), name);
        }
    }
}
