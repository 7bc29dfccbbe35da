//! The content of a file: its bytes, unpacked if it is compressed.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::bufread::GzDecoder;

use crate::data_pipeline::state::file::{Content, FileId};

/// How many bytes the beginnings of compressed data have.
const MAGIC: usize = 4;

/// How many bytes are unpacked at a time on the way to a position, and read at a time to unpack.
const STRETCH: usize = 64 * 1024;

/// A file that is open for reading. Positions count unpacked bytes.
pub(crate) struct Stored {
    file: Arc<File>,
    is_packed: bool,
    /// The unpacking reader, and its position.
    unpacked: Option<(Unpacker, u64)>,
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
        let is_packed = Packing::at(&file, 0)? != Packing::None;
        Ok(Self { file, is_packed, unpacked: None })
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// Whether something that is not compressed was found behind the compressed data.
    pub(crate) fn has_garbage(&self) -> bool {
        self.unpacked.as_ref().is_some_and(|(unpacker, _)| unpacker.has_garbage)
    }

    /// Its length on the disk, and when it was last written to.
    pub(crate) fn stamp(&self) -> io::Result<(u64, SystemTime)> {
        let metadata = self.file.metadata()?;
        Ok((metadata.len(), metadata.modified()?))
    }

    /// Fills `buffer` from this position on, as far as the content goes. Where it cannot be read any
    /// further, what is before that comes first, and the next call gives the error.
    pub(crate) fn fill(&mut self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if !self.is_packed {
            return read_up_to(&self.file, buffer, position);
        }
        let (unpacker, at) = match &mut self.unpacked {
            Some((unpacker, at)) if *at <= position => (unpacker, at),
            stale => {
                let (unpacker, at) = stale.insert((Unpacker::new(&self.file)?, 0));
                (unpacker, at)
            }
        };
        while *at < position {
            let mut skipped = vec![0; STRETCH.min((position - *at) as usize)];
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
        let (mut bytes, mut done) = (vec![0; length], 0);
        // Fewer bytes mean that the content ends: an error must not look like that.
        while done < length {
            match self.fill(&mut bytes[done..], offset + done as u64)? {
                0 => break,
                read => done += read,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn length(&mut self) -> io::Result<u64> {
        if !self.is_packed {
            return Ok(self.stamp()?.0);
        }
        let mut position = self.unpacked.as_ref().map_or(0, |(_, at)| *at);
        let mut bytes = vec![0; STRETCH];
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
        f.debug_tuple("Stored").field(&self.file).field(&self.is_packed).finish()
    }
}

/// What begins at a place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    /// No compressed data. No line of JSON begins like the others.
    None,
}

impl Packing {
    fn at(file: &File, position: u64) -> io::Result<Self> {
        let mut magic = [0; MAGIC];
        let length = read_up_to(file, &mut magic, position)?;
        Ok(match magic[..length] {
            [0x1f] | [0x1f, 0x8b, ..] => Self::Gzip, // a single byte is one that is cut off
            [0x28, 0xb5, ref rest @ ..] if [0x2f, 0xfd].starts_with(rest) => Self::Zstd,
            [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd, // a frame that decoders skip
            _ => Self::None,
        })
    }
}

/// Unpacks compressed data. A file may hold several pieces of it, one behind the other: gzip calls
/// them members, zstd frames. Zeros behind the last one are padding, anything else is garbage; as
/// gzip does, it passes over both.
struct Unpacker {
    /// `None` behind the last one.
    piece: Option<Piece>,
    has_garbage: bool,
    /// Why it cannot go on: further reads give the same error.
    failed: Option<(ErrorKind, String)>,
}

type Input = BufReader<From>;

enum Piece {
    Gzip(Box<GzDecoder<Input>>),
    Zstd(Box<zstd::Decoder<'static, Input>>),
}

impl Unpacker {
    fn new(file: &Arc<File>) -> io::Result<Self> {
        let mut unpacker = Self { piece: None, has_garbage: false, failed: None };
        let input = From { file: file.clone(), at: 0 };
        unpacker.begin(Input::with_capacity(STRETCH, input))?;
        Ok(unpacker)
    }

    /// Begins with the piece at which the input is, if there is one.
    fn begin(&mut self, input: Input) -> io::Result<()> {
        let From { file, at } = input.get_ref();
        self.piece = match Packing::at(file, at - input.buffer().len() as u64)? {
            Packing::Gzip => Some(Piece::Gzip(GzDecoder::new(input).into())),
            Packing::Zstd => {
                Some(Piece::Zstd(Box::new(zstd::Decoder::with_buffer(input)?.single_frame())))
            }
            Packing::None => {
                let garbage = input.bytes().find(|byte| !matches!(byte, Ok(0)));
                self.has_garbage = garbage.transpose()?.is_some();
                None
            }
        };
        Ok(())
    }

    fn unpack(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut piece) = self.piece.take() {
            let read = match &mut piece {
                Piece::Gzip(gzip) => gzip.read(buffer)?,
                Piece::Zstd(zstd) => zstd.read(buffer)?,
            };
            if read > 0 {
                self.piece = Some(piece);
                return Ok(read);
            }
            self.begin(match piece {
                Piece::Gzip(gzip) => gzip.into_inner(),
                Piece::Zstd(zstd) => zstd.finish(),
            })?;
        }
        Ok(0)
    }
}

impl Read for Unpacker {
    /// Reads into a buffer that is not empty.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            match self.unpack(buffer) {
                Ok(read) => return Ok(read),
                Err(err) if err.kind() == ErrorKind::UnexpectedEof => {
                    self.failed = Some((err.kind(), "its compressed data is cut off".to_owned()));
                }
                Err(err) => self.failed = Some((err.kind(), err.to_string())),
            }
        }
        let (kind, why) = self.failed.clone().expect("it has just been set, or was before");
        Err(io::Error::new(kind, why))
    }
}

/// Reads a file from its own position, which other readers of the file do not move.
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_up_to(&self.file, buffer, self.at)?;
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

/// Reads until the buffer is full, or there is no more. An error behind what was read is left to the
/// next read, which has it again.
fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], done) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(_) if done > 0 => break,
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
    use crate::data_pipeline::state::file::tests::numbered;

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
        let zstd = |text: &String| zstd(text);
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

    /// What the first `read`s of a file give, and the kind of the error behind it.
    fn all(bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>, bool) {
        let (mut stored, mut all) = (stored(bytes), Vec::new());
        loop {
            let mut buffer = vec![0; 100_000];
            match stored.fill(&mut buffer, all.len() as u64) {
                Ok(0) => return (all, None, stored.has_garbage()),
                Ok(read) => all.extend(&buffer[..read]),
                Err(err) => {
                    let again = stored.fill(&mut buffer, all.len() as u64).unwrap_err();
                    assert_eq!(again.to_string(), err.to_string());
                    return (all, Some(err.kind()), stored.has_garbage());
                }
            }
        }
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    #[test]
    fn a_compressed_file_that_is_cut_off_gives_all_that_is_there_and_then_the_error() {
        let text = numbered(0..50_000);
        for (packed, lost) in [(gzip(&text), 10_000), (zstd(&text), 300_000)] {
            for cut in [1, 500, 2_000] {
                let (read, failed, _) = all(&packed[..packed.len() - cut]);
                assert!(text.as_bytes().starts_with(&read));
                let missing = text.len() - read.len();
                assert!(missing < lost + 20 * cut, "{missing} of {} for {cut}", text.len());
                assert_eq!(failed, Some(ErrorKind::UnexpectedEof));
            }
        }
        // Byte by byte, what the decoder can give without the rest.
        let (packed, mut stream) = (gzip(&text), flate2::Decompress::new(false));
        for cut in [packed.len() / 2, packed.len() - 9, packed.len() - 4] {
            let mut expected = Vec::with_capacity(text.len());
            stream.reset(false);
            let body = &packed[10..cut.min(packed.len() - 8)];
            stream.decompress_vec(body, &mut expected, flate2::FlushDecompress::Sync).unwrap();
            assert!(all(&packed[..cut]).0 == expected, "cut at {cut}");
        }
    }

    #[test]
    fn padding_behind_compressed_data_is_passed_over_and_garbage_is_noticed() {
        let text = "a line\n".repeat(30_000);
        for packed in [gzip(&text), zstd(&text)] {
            for (behind, has_garbage) in [
                (vec![0; 200_000], false),
                (vec![0], false),
                (b"garbage".to_vec(), true),
                ([vec![0; 100_000], packed.clone()].concat(), true),
            ] {
                let read = all(&[&packed[..], &behind].concat());
                assert!(read == (text.clone().into_bytes(), None, has_garbage));
            }
        }
        let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec(); // a frame without content
        let read = all(&[skipped.clone(), zstd(&text), skipped, zstd(&text)].concat());
        assert!(read == (text.repeat(2).into_bytes(), None, false));
    }

    #[test]
    fn a_wrong_checksum_is_an_error_for_as_long_as_one_asks() {
        let mut packed = gzip("a line\n");
        let at = packed.len() - 8;
        packed[at] ^= 1;
        let (read, failed, _) = all(&packed);
        assert_eq!((&read[..], failed.is_some()), (&b"a line\n"[..], true));
    }

    #[test]
    fn nothing_short_of_the_end_looks_like_the_end_to_who_compares_files() {
        let whole = gzip(&"a line\n".repeat(100_000));
        let mut stored = stored(&whole[..whole.len() / 2]);
        assert_eq!(stored.read(7, 7).unwrap(), b"a line\n");
        assert_eq!(stored.read(7, 1 << 20).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(stored.length().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
