//! What is at a path: the files that match a pattern, and which file each of them is.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use glob::GlobResult;

use super::content::Stored;
use super::known::Seen;
use crate::data_pipeline::state::file::FileId;

/// A file that some path leads to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) watched: bool,
    /// Why it cannot be read.
    pub(crate) unfit: Option<&'static str>,
}

/// Opens the file that was seen at a path, if it is still there.
pub(crate) fn look_into(place: &Place, id: FileId) -> io::Result<Seen<Stored>> {
    if let Some(why) = place.unfit {
        return Err(io::Error::other(why));
    }
    let file = File::open(&place.path)?;
    let metadata = file.metadata()?;
    if FileId::of(&metadata) != id {
        return Err(io::ErrorKind::NotFound.into()); // the next look finds what is there then
    }
    let resolved = place.path.canonicalize().unwrap_or_default().to_string_lossy().into_owned();
    let content = Stored::new(file.into())?;
    let (path, watched, length) = (place.path.clone(), place.watched, metadata.len());
    Ok(Seen { path, id, resolved, length, packed: content.is_packed(), watched, content })
}

/// The paths that match a pattern, in the order of their names, each with its metadata or the
/// error. A pattern that is the name of an existing file means that file, even if it contains
/// wildcards.
pub(crate) fn matching(pattern: &str) -> Result<Vec<(PathBuf, io::Result<Metadata>)>, String> {
    let metadata = fs::metadata(pattern);
    if metadata.is_ok() || metadata.as_ref().is_err_and(is_hidden) {
        return Ok(vec![(pattern.into(), metadata)]);
    }
    let paths = glob::glob(pattern).map_err(|err| format!("in --file {pattern}: {err}"))?;
    let look = |path: GlobResult| match path.map_err(|err| (err.path().to_owned(), err.into())) {
        Ok(path) => {
            let metadata = fs::metadata(&path);
            (path, metadata)
        }
        Err((path, err)) => (path, Err(err)),
    };
    // A path that is missing has just been removed, or is a dangling symlink.
    let is_there =
        |(_, metadata): &(_, io::Result<_>)| metadata.as_ref().err().is_none_or(is_hidden);
    Ok(paths.map(look).filter(is_there).collect())
}

/// Whether the error leaves open that there is a file.
fn is_hidden(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    !matches!(err.kind(), InvalidFilename | NotADirectory | NotFound)
}

pub(crate) fn id_of(path: &Path) -> io::Result<FileId> {
    Ok(FileId::of(&fs::metadata(path)?))
}

pub(crate) fn is_same(left: &Path, right: &Path) -> bool {
    id_of(left).is_ok_and(|left| id_of(right).is_ok_and(|right| left == right))
}

/// The path of a directory; an empty path is the current directory.
pub(crate) fn folder(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { ".".into() } else { path.to_owned() }
}
