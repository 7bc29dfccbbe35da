use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::row::{Failure, Operation};
use crate::closed;

/// How long a wait for a pipe lasts before it checks whether the run was interrupted.
const STOP_POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// An open file or pipe that is read from its current position to its end.
pub(crate) struct Source<'a> {
    file: File,
    waits: Waits,
    /// Set once the run is interrupted.
    stop: &'a AtomicBool,
}

/// Whether a read may have to wait for a writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// A file, or a disk.
    Never,
    /// A descriptor that was handed to this process, such as stdin: it may block, so the wait
    /// comes before the read.
    BeforeRead,
    /// A pipe or terminal that was opened here and never blocks: the wait follows a refused read.
    AfterRefusal,
    /// The same, and no writer has been seen yet.
    ForAWriter,
}

impl<'a> Source<'a> {
    /// Standard input.
    pub(crate) fn stdin(stop: &'a AtomicBool) -> Result<Self, Failure> {
        if closed::stdin() {
            return Err(Failure::new(Operation::Open, "stdin is closed"));
        }
        let copy = io::stdin().as_fd().try_clone_to_owned();
        let file = File::from(copy.map_err(|err| Failure::io(Operation::Open, &err))?);
        let waits = match file.metadata() {
            Ok(metadata) if metadata.is_file() => Waits::Never,
            _ => Waits::BeforeRead,
        };
        Ok(Self { file, waits, stop })
    }

    /// Opens a path that the user named. Pipes and terminals are allowed; devices that may never
    /// end are refused.
    pub(crate) fn named(path: &Path, stop: &'a AtomicBool) -> Result<Self, Failure> {
        let (file, metadata) = open(path)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .map_err(|err| Failure::io(Operation::Open, &err))?;
        let waits = waits(path, &file, &metadata)?;
        Ok(Self { file, waits, stop })
    }

    /// What a walk found to be a regular file, opened without blocking.
    pub(crate) fn walked(path: &Path, stop: &'a AtomicBool) -> Result<Self, Failure> {
        let file = open(path).map_err(|err| Failure::io(Operation::Open, &err))?;
        Ok(Self { file, waits: Waits::Never, stop })
    }

    /// Reads on, 0 bytes at the end. A wait ends when the run is interrupted.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.waits == Waits::BeforeRead {
            self.wait()?;
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            match io::Read::read(&mut self.file, buffer) {
                Ok(0) if self.waits == Waits::ForAWriter => {
                    return Err(Failure::new(
                        Operation::Read,
                        "nobody has this FIFO open for writing",
                    ));
                }
                Ok(read) => {
                    if self.waits == Waits::ForAWriter {
                        self.waits = Waits::AfterRefusal;
                    }
                    return Ok(read);
                }
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) if err.kind() == ErrorKind::WouldBlock && self.waits != Waits::Never => {
                    self.waits = Waits::AfterRefusal;
                    self.wait()?;
                }
                Err(err) => return Err(Failure::io(Operation::Read, &err)),
            }
        }
    }

    /// The file and the present position, if it is a regular file with at least `size` bytes to go:
    /// then its parts can be read by many at once. The size is only a hint: a wrong one does no
    /// harm.
    pub(crate) fn into_large(mut self, size: u64) -> Result<(File, u64), Self> {
        let position = match (self.waits, self.file.metadata()) {
            (Waits::Never, Ok(metadata)) if metadata.is_file() => self.file.stream_position().ok(),
            _ => None,
        };
        let length = self.file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        match position {
            Some(position) if length.saturating_sub(position) >= size => Ok((self.file, position)),
            _ => Err(self),
        }
    }

    /// Skips the part of a regular file that its size accounts for, and returns how many bytes it
    /// skipped. The last bytes are left to be read: only a read finds the end, even in `/proc` and
    /// `/sys`, where the size says nothing.
    pub(crate) fn skip_to_last_block(&mut self) -> u64 {
        let (Waits::Never, Ok(metadata)) = (self.waits, self.file.metadata()) else { return 0 };
        if !metadata.is_file() {
            return 0;
        }
        // As in `wc -c`: a file in `/sys` reports a size of exactly one block, so that much is
        // read.
        let last = metadata.len() - metadata.len() % (metadata.blksize() + 1);
        match self.file.stream_position() {
            Ok(position) if position < last && self.file.seek(SeekFrom::Start(last)).is_ok() => {
                last - position
            }
            _ => 0,
        }
    }

    fn wait(&self) -> Result<(), Failure> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&STOP_POLL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(err) => return Err(Failure::io(Operation::Read, &err.into())),
            }
        }
    }
}

impl io::Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Source::read(self, buffer).map_err(io::Error::other)
    }
}

/// Opens without blocking: a FIFO may have taken the place of the file that was here.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn waits(path: &Path, file: &File, metadata: &Metadata) -> Result<Waits, Failure> {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        // The writer of an inherited pipe, as from `<(command)`, may have come and gone already.
        let inherited = ["/dev/fd", "/dev/stdin", "/proc/self/fd"];
        let inherited = inherited.iter().any(|dir| path.starts_with(dir));
        return Ok(if inherited { Waits::AfterRefusal } else { Waits::ForAWriter });
    }
    if !kind.is_char_device() || is_null(metadata) {
        return Ok(Waits::Never);
    }
    if file.is_terminal() {
        return Ok(Waits::AfterRefusal);
    }
    let reason = "a character device, which may never end; to read it all the same, pass it as \
                  stdin";
    Err(Failure::new(Operation::Open, reason))
}

fn is_null(metadata: &Metadata) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev())
}
