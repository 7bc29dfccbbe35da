use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::retry_on_intr;
use rustix::process::{Resource, getrlimit};

/// Descriptors that stay free for the walk, the standard streams, `--errors` and the like.
const OWN_FILES: u64 = 32;

/// Never blocks: a FIFO may have taken the place of the file that was found.
const READ: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens files of which each is most likely beside the one before, as they are in a walk. From the
/// directory of both the kernel need not find the way from the root again.
#[derive(Debug)]
pub(crate) struct DirOpener {
    /// Whether there are descriptors to spare for directories.
    may_hold: bool,
    /// The directory of the latest file, with the slash behind it.
    directory: Vec<u8>,
    /// Opened for the second file in it: one alone is opened faster by its path.
    held: Option<OwnedFd>,
}

impl DirOpener {
    /// For one of so many threads. Each has a file and a directory open.
    pub(crate) fn for_one_of(threads: usize) -> Self {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let may_hold = 2 * threads as u64 + OWN_FILES <= most;
        Self { may_hold, directory: Vec::new(), held: None }
    }

    pub(crate) fn open(&mut self, path: &Path) -> io::Result<File> {
        let path = path.as_os_str().as_bytes();
        let (directory, name) = path.split_at(memchr::memrchr(b'/', path).map_or(0, |at| at + 1));
        if !self.may_hold || directory.is_empty() {
            return at_path(path);
        }
        if directory != self.directory {
            self.held = None;
            self.directory.clear();
            self.directory.extend_from_slice(directory);
            return at_path(path);
        }
        if self.held.is_none() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.held = open(directory, flags, Mode::empty()).ok(); // if not, the path does as well
        }
        match &self.held {
            Some(held) => Ok(retry_on_intr(|| openat(held, name, READ, Mode::empty()))?.into()),
            None => at_path(path),
        }
    }
}

fn at_path(path: &[u8]) -> io::Result<File> {
    Ok(retry_on_intr(|| open(path, READ, Mode::empty()))?.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    #[test]
    fn each_path_opens_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["a", "a/b", "c"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        for may_hold in [true, false] {
            let mut opener = DirOpener { may_hold, ..DirOpener::for_one_of(1) };
            let mut held = 0;
            for name in ["a/1", "a/2", "a/3", "a/b/1", "c/1", "c/2", "a/1", "4", "5"] {
                let path = dir.path().join(name);
                fs::write(&path, name).unwrap();
                let mut text = String::new();
                opener.open(&path).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, name);
                held += u64::from(opener.held.is_some());
            }
            assert_eq!(held, if may_hold { 4 } else { 0 }, "2, 3, c/2 and 5");
        }
    }

    #[test]
    fn a_file_that_is_gone_is_an_error_also_beside_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("here");
        fs::write(&path, "").unwrap();
        let mut opener = DirOpener::for_one_of(1);
        for _ in 0..2 {
            opener.open(&path).unwrap();
        }
        let gone = opener.open(&dir.path().join("gone")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
