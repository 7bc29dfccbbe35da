//! What is known of a file: its identity, how far it was read, and a fingerprint of what was read.

use std::collections::VecDeque;
use std::io;

use serde::{Deserialize, Serialize};

use crate::data_pipeline::event::splitter::Parts;

/// How many bytes of the beginning are compared.
pub(crate) const HEAD: usize = 1024;

/// How many bytes before a position are compared.
const TAIL: usize = 256;

/// Most marks that are kept, including the one at the position.
const MARKS: usize = 8;

/// The identity of a file in the system, for as long as it exists.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// When it was created, in nanoseconds since 1970, if the file system says so: inodes are
    /// reused.
    pub(crate) born: Option<u64>,
}

/// The record of a file that is being read, or was, as a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// The path under which it was found. A label: what is at this path now may be another file.
    pub(crate) path: String,
    /// The number of this file under its path, from 1.
    pub(crate) generation: u64,
    /// Where the path led to when the file was found.
    pub(crate) resolved: String,
    pub(crate) id: FileId,
    /// How many records had this identity before: the file was truncated, or its inode is reused.
    /// Only the last of them is of what the file holds.
    #[serde(default)]
    pub(crate) earlier: u64,
    pub(crate) read: Fingerprint,
    /// How many parts of overlong lines end at the position, if it is in the middle of one.
    #[serde(flatten)]
    pub(crate) parts: Parts,
    /// The latest event time of its source, the base of the watermark.
    pub(crate) latest: Option<i64>,
    /// The compressed length, if the file is compressed and has been read to its end.
    pub(crate) packed: Option<u64>,
    /// Since when it is no longer read, in seconds since 1970: it was deleted, or no path that is
    /// read leads to it.
    pub(crate) closed: Option<i64>,
}

impl FileRecord {
    /// The name in ids, dead letters and the checkpoint: offsets start over in each generation.
    pub(crate) fn name(&self) -> String {
        named(&self.path, self.generation)
    }
}

/// The name of one generation of a source; the first has the source's own.
pub(crate) fn named(source: &str, generation: u64) -> String {
    if generation == 1 { source.to_owned() } else { format!("{source}@{generation}") }
}

/// A fingerprint of what was read of a file, enough to find it again in another file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// The position of the first unread byte; in a compressed file, of the unpacked content.
    pub(crate) position: u64,
    /// How many bytes of the beginning the checksum covers.
    head: usize,
    head_crc: u32,
    /// Positions, and the checksums of the bytes before each. The last mark is the position;
    /// earlier marks serve to recognise a copy that was made when less had been read.
    marks: Vec<(u64, u32)>,
}

/// Reads bytes of a file that may be a known one.
pub(crate) trait Content {
    /// `length` bytes from `offset` on, or fewer if the content ends before.
    fn read(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// The length of the content.
    fn length(&mut self) -> io::Result<u64>;
}

/// How much of what was read is in the other file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// It is another file.
    No,
    /// A part: it ends before the position, like a copy that was made earlier.
    Part,
    /// All of it.
    All,
}

impl Fingerprint {
    /// With how much of what was read `content` begins.
    pub(crate) fn found_in(&self, content: &mut dyn Content) -> io::Result<Found> {
        let head = content.read(0, self.head)?;
        if head.len() == self.head {
            if crc32fast::hash(&head) != self.head_crc {
                return Ok(Found::No);
            }
            if self.position == 0 || has_mark(content, self.marks.last().copied())? {
                return Ok(Found::All);
            }
        }
        let length = content.length()?;
        let before = self.marks.iter().rev().find(|(position, _)| *position <= length);
        let is_copy = length < self.position && has_mark(content, before.copied())?;
        Ok(if is_copy { Found::Part } else { Found::No })
    }

    /// Whether enough was read to tell files apart by their beginnings: more than one line, because
    /// many files may begin with the same banner.
    pub(crate) fn is_telling(&self, content: &mut dyn Content) -> io::Result<bool> {
        let head = content.read(0, self.head)?;
        let lines = memchr::memchr_iter(b'\n', &head).count();
        Ok(lines > 1 || self.position > HEAD as u64)
    }
}

fn has_mark(content: &mut dyn Content, mark: Option<(u64, u32)>) -> io::Result<bool> {
    let Some((position, crc)) = mark else { return Ok(false) };
    let (offset, length) = before(position);
    let bytes = content.read(offset, length)?;
    Ok(bytes.len() == length && crc32fast::hash(&bytes) == crc)
}

/// The stretch before a position that is compared.
fn before(position: u64) -> (u64, usize) {
    let length = position.min(TAIL as u64);
    (position - length, length as usize)
}

/// Makes the fingerprint of what is read, as it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprinter {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    read: Fingerprint,
}

impl Fingerprinter {
    /// Continues from `read`, in a file that holds all of it.
    pub(crate) fn resume(read: Fingerprint, content: &mut dyn Content) -> io::Result<Self> {
        let (offset, length) = before(read.position);
        let (head, tail) = (content.read(0, read.head)?, content.read(offset, length)?);
        Ok(Self { head, tail: tail.into(), read })
    }

    /// For a file that is read from `position` on, without what is before it.
    pub(crate) fn at(position: u64, content: &mut dyn Content) -> io::Result<Fingerprint> {
        let (offset, length) = before(position);
        let head = content.read(0, HEAD.min(position as usize))?;
        let tail = content.read(offset, length)?;
        let (head, head_crc) = (head.len(), crc32fast::hash(&head));
        let marks = vec![(position, crc32fast::hash(&tail))];
        Ok(Fingerprint { position, head, head_crc, marks })
    }

    /// Takes the next bytes, and returns the fingerprint of all up to their end.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Fingerprint {
        if bytes.is_empty() {
            return self.read.clone();
        }
        if self.head.len() < HEAD {
            let room = HEAD - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.read.head = self.head.len();
            self.read.head_crc = crc32fast::hash(&self.head);
        }
        self.tail.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        self.read.position += bytes.len() as u64;
        let crc = crc32fast::hash(self.tail.make_contiguous());
        self.read.mark(crc);
        self.read.clone()
    }

    /// Whether `content` begins like this file, over the length that both have.
    pub(crate) fn begins_like(&self, content: &mut dyn Content) -> io::Result<bool> {
        let head = content.read(0, self.head.len())?;
        Ok(!head.is_empty() && self.head.starts_with(&head))
    }

    pub(crate) fn read(&self) -> &Fingerprint {
        &self.read
    }
}

impl Fingerprint {
    /// Marks the position. If there are too many marks, it removes the one whose neighbours are
    /// closest in relation to their age. So older marks are farther apart.
    fn mark(&mut self, crc: u32) {
        self.marks.push((self.position, crc));
        if self.marks.len() > MARKS {
            let gap = |at: &usize| {
                let before = at.checked_sub(1).map_or(0, |before| self.marks[before].0);
                let gap = self.marks[at + 1].0 - before;
                (gap as f64 / (self.position - before) as f64 * 1e6) as u64
            };
            let least = (0..self.marks.len() - 1).min_by_key(gap).expect("there are several");
            self.marks.remove(least);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write;

    use super::*;

    impl Content for Vec<u8> {
        fn read(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
            let from = self.len().min(offset as usize);
            Ok(self[from..self.len().min(from + length)].to_vec())
        }

        fn length(&mut self) -> io::Result<u64> {
            Ok(self.len() as u64)
        }
    }

    /// The fingerprint after `text` was read in stretches of `stretch` bytes.
    pub(crate) fn fingerprint(text: &str, stretch: usize) -> Fingerprint {
        let mut made = Fingerprinter::default();
        text.as_bytes().chunks(stretch).for_each(|bytes| drop(made.advance(bytes)));
        made.read
    }

    pub(crate) fn numbered(lines: std::ops::Range<u32>) -> String {
        let mut text = String::new();
        lines.for_each(|n| writeln!(text, "{{\"n\":{n}}}").unwrap());
        text
    }

    #[test]
    fn the_content_read_is_found_in_a_longer_file_and_in_no_other() {
        for stretch in [7, 100, 5000] {
            let (old, banner) = (numbered(0..500), numbered(0..150));
            let read = fingerprint(&old, stretch);
            let found = |text: String| read.found_in(&mut text.into_bytes()).unwrap();
            assert_eq!(found(old.clone()), Found::All);
            assert_eq!(found(old.clone() + "more\n"), Found::All);
            assert_eq!(found(banner.clone() + &numbered(1000..2000)), Found::No, "equal banners");
            assert_eq!(found(numbered(1..600)), Found::No);
            assert_eq!(found(String::new()), Found::No);
            assert_eq!(found(banner + &"\0".repeat(9000)), Found::No);
        }
    }

    #[test]
    fn a_copy_made_earlier_is_found() {
        let text = numbered(0..5000);
        let read = fingerprint(&text, 64);
        for length in [text.len() - 10_000, text.len() - 500, text.len() - 70, text.len() - 1] {
            let mut copy = text[..length].to_owned().into_bytes();
            assert_eq!(read.found_in(&mut copy).unwrap(), Found::Part, "{length}");
        }
        let mut other = (numbered(0..200) + &numbered(900..1000)).into_bytes();
        assert_eq!(read.found_in(&mut other).unwrap(), Found::No);
    }

    #[test]
    fn a_fingerprint_goes_on_where_it_was_saved_and_stays_small() {
        let text = numbered(0..3000);
        let whole = fingerprint(&text, 50);
        let saved = serde_json::to_string(&fingerprint(&text[..10_000], 50)).unwrap();
        assert!(saved.len() < 300, "{saved}");
        let saved = serde_json::from_str(&saved).unwrap();
        let mut content = text.clone().into_bytes();
        let mut resumed = Fingerprinter::resume(saved, &mut content).unwrap();
        text.as_bytes()[10_000..].chunks(50).for_each(|bytes| drop(resumed.advance(bytes)));
        assert_eq!(resumed.read, whole);
    }

    #[test]
    fn one_line_is_not_enough_to_recognise_a_file() {
        let telling = |text: &str| {
            let read = fingerprint(text, 10);
            read.is_telling(&mut text.to_owned().into_bytes()).unwrap()
        };
        assert!(!telling("one line\n") && telling("two\nlines\n"));
        assert!(telling(&("x".repeat(3000) + "\n")));
    }
}
