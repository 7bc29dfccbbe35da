//! The content of a file: its bytes, unpacked if it is compressed.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;

use crate::data_pipeline::state::file::{Content, FileId};

/// How compressed files begin; no line of JSON begins so.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How many bytes are skipped at a time on the way to a position.
const SKIP: usize = 64 * 1024;

/// A file that is open for reading. Positions count unpacked bytes.
pub(crate) struct Stored {
    file: Arc<File>,
    packing: Option<Packing>,
    /// The unpacking reader, and its position.
    unpacked: Option<(Box<dyn Read + Send>, u64)>,
}

#[derive(Clone, Copy, Debug)]
enum Packing {
    Gzip,
    Zstd,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|born| u64::try_from(born.as_nanos()).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }
}

impl Stored {
    pub(crate) fn new(file: Arc<File>) -> io::Result<Self> {
        let mut magic = [0; ZSTD.len()];
        let length = read_up_to(&file, &mut magic, 0)?;
        let packing = match &magic[..length] {
            magic if magic.starts_with(&GZIP) => Some(Packing::Gzip),
            magic if magic.starts_with(&ZSTD) => Some(Packing::Zstd),
            _ => None,
        };
        Ok(Self { file, packing, unpacked: None })
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// Its length on the disk, and when it was last written to.
    pub(crate) fn stamp(&self) -> io::Result<(u64, SystemTime)> {
        let metadata = self.file.metadata()?;
        Ok((metadata.len(), metadata.modified()?))
    }

    /// Fills `buffer` from this position on, as far as the content goes.
    pub(crate) fn fill(&mut self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let Some(packing) = self.packing else {
            return read_up_to(&self.file, buffer, position);
        };
        let (unpacker, at) = match &mut self.unpacked {
            Some((unpacker, at)) if *at <= position => (unpacker, at),
            stale => {
                let from_start = From { file: self.file.clone(), at: 0 };
                let unpacker: Box<dyn Read + Send> = match packing {
                    Packing::Gzip => Box::new(MultiGzDecoder::new(from_start)),
                    Packing::Zstd => Box::new(zstd::Decoder::new(from_start)?),
                };
                let (unpacker, at) = stale.insert((unpacker, 0));
                (unpacker, at)
            }
        };
        while *at < position {
            let mut skipped = vec![0; SKIP.min((position - *at) as usize)];
            let read = read_on(unpacker, &mut skipped)?;
            if read == 0 {
                return Ok(0);
            }
            *at += read as u64;
        }
        let read = read_on(unpacker, buffer)?;
        *at += read as u64;
        Ok(read)
    }
}

impl Content for Stored {
    fn read(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.fill(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn length(&mut self) -> io::Result<u64> {
        if self.packing.is_none() {
            return Ok(self.stamp()?.0);
        }
        let mut position = self.unpacked.as_ref().map_or(0, |(_, at)| *at);
        let mut bytes = vec![0; SKIP];
        loop {
            match self.fill(&mut bytes, position)? {
                0 => return Ok(position),
                read => position += read as u64,
            }
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stored").field(&self.file).field(&self.packing).finish()
    }
}

/// Reads a file from its own position, which other readers of the file do not move.
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Fills `buffer` from this position on, as far as the file goes.
fn read_up_to(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    fill(buffer, |rest, done| file.read_at(rest, position + done as u64))
}

fn read_on(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    fill(buffer, |rest, _| from.read(rest))
}

/// Reads until the buffer is full, or there is no more.
fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], done) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn stored(bytes: &[u8]) -> Stored {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Stored::new(file.into()).unwrap()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_compressed_file_of_several_members_reads_as_what_is_in_it() {
        let texts: Vec<String> = (0..3).map(|n| format!("line {n}\n").repeat(30_000)).collect();
        let whole = texts.concat();
        let zstd = |text: &String| zstd::encode_all(text.as_bytes(), 1).unwrap();
        let gzip = |text: &String| gzip(text);
        for packed in [
            texts.iter().flat_map(zstd).collect::<Vec<_>>(),
            texts.iter().flat_map(gzip).collect(),
            whole.clone().into_bytes(),
        ] {
            let mut stored = stored(&packed);
            assert_eq!(stored.length().unwrap(), whole.len() as u64);
            for (offset, length) in [(0, 10), (400_000, 300_000), (5, 7), (630_000 - 3, 9)] {
                let end = whole.len().min(offset + length);
                let read = stored.read(offset as u64, length).unwrap();
                assert!(read == whole.as_bytes()[offset..end], "{length} at {offset}");
            }
        }
    }

    #[test]
    fn a_compressed_file_that_is_torn_is_an_error_behind_what_is_there() {
        let whole = gzip(&"a line\n".repeat(100_000));
        let mut stored = stored(&whole[..whole.len() / 2]);
        assert_eq!(stored.read(7, 7).unwrap(), b"a line\n");
        assert_eq!(stored.length().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
