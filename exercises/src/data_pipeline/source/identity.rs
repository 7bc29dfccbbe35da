//! Tells files apart across rotation: by inode and beginning, since inodes are used again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::data_pipeline::state::checkpoint::FileId;

/// So many bytes of the beginning are compared.
const HEAD: usize = 256;

impl FileId {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut head = [0; HEAD];
        let length = read_up_to(file, &mut head, 0)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            head: u32::try_from(length).expect("a head is short"),
            head_crc: crc32fast::hash(&head[..length]),
        })
    }

    /// Whether `file` is this file, which may have grown.
    pub(crate) fn is(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != (self.device, self.inode) {
            return Ok(false);
        }
        let mut head = [0; HEAD];
        let head = &mut head[..(self.head as usize).min(HEAD)];
        let length = read_up_to(file, head, 0)?;
        Ok(length == head.len() && crc32fast::hash(head) == self.head_crc)
    }

    /// Whether the beginning is all there: then it will not change any more.
    pub(crate) fn is_complete(&self) -> bool {
        self.head as usize == HEAD
    }
}

/// Fills `buffer` from this position on, as far as the file goes.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], position + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(length)
}

/// The files that some source reads or has read, under whatever name they go by now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<Vec<FileId>>>);

impl Known {
    pub(crate) fn add(&self, id: FileId) {
        let mut known = self.0.lock().expect("nobody panics while holding this");
        // What is better known now than at first replaces its earlier entry.
        known.retain(|old| (old.device, old.inode) != (id.device, id.inode));
        known.push(id);
    }

    /// Whether the file at `path` is one of them. What cannot be opened is unknown.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        let known = self.0.lock().expect("nobody panics while holding this");
        known.iter().any(|id| id.is(&file).unwrap_or(false))
    }
}
