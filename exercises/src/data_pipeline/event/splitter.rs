//! Cuts a stream of bytes into chunks of whole lines. A line beyond the limit comes in parts, so
//! that memory stays bounded however long it gets.

/// A stretch of a source: whole lines, or a part of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Of the first byte.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole lines. Only the last line of a source may lack its line feed.
    Lines,
    /// The `n`th part (from 1) of a line that is longer than the limit.
    Part(u64),
    /// NULs where a line begins: the hole that a writer leaves whose file was truncated under it.
    Hole,
    /// No bytes: the source is in the middle of a line, of which this many parts were sent on.
    Position(u64),
    /// Something that no lines can be made of, and why.
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "only a message can be so"))]
    Broken(&'static str),
}

/// Most lines of a chunk. It bounds what a chunk of short lines can grow to: a dead letter is many
/// times as long as a short line.
const LINES: usize = 2048;

impl Segment {
    /// The same in segments of at most `LINES` lines, each with the number of its events.
    pub(crate) fn cut(mut self) -> Vec<(Self, u64)> {
        let mut events = self.events();
        let mut segments = Vec::new();
        if events > LINES as u64 {
            let ends = memchr::memchr_iter(b'\n', &self.bytes).skip(LINES - 1).step_by(LINES);
            // From the back, so that no segment has more memory than bytes.
            let ends: Vec<_> = (1..).zip(ends).collect();
            for (number, end) in ends.into_iter().rev() {
                let before = number * LINES as u64;
                let (offset, bytes) = (self.offset + end as u64 + 1, self.bytes.split_off(end + 1));
                if !bytes.is_empty() {
                    segments.push((Self { offset, bytes, kind: Kind::Lines }, events - before));
                    events = before;
                }
            }
        }
        segments.push((self, events));
        segments.reverse();
        segments
    }

    /// How many events the ledger counts: a line in parts counts once, with its first.
    pub(crate) fn events(&self) -> u64 {
        match self.kind {
            Kind::Part(part) => u64::from(part == 1),
            Kind::Broken(_) => 1,
            Kind::Hole | Kind::Position(_) => 0,
            Kind::Lines => {
                let unfinished = !self.bytes.is_empty() && self.bytes.last() != Some(&b'\n');
                memchr::memchr_iter(b'\n', &self.bytes).count() as u64 + u64::from(unfinished)
            }
        }
    }
}

/// How much to read at `position` for a chunk of `size`: up to the next multiple of it. So a file
/// is cut at the same places wherever reading starts, also after a restart.
pub(crate) fn read_length(position: u64, size: usize) -> usize {
    size - (position % size as u64) as usize
}

/// The state between two reads: the beginning of a line whose end is still to come.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_line: usize,
    /// Of the first byte of `carry`.
    offset: u64,
    carry: Vec<u8>,
    /// How many parts of the current line are out already.
    parts: u64,
}

impl Splitter {
    /// For a source that is read from `offset` on: the beginning of a line, or the end of its
    /// `parts`th part.
    pub(crate) fn new(offset: u64, parts: u64, max_line: usize) -> Self {
        Self { max_line, offset, carry: Vec::new(), parts }
    }

    /// Where the next byte is to be read.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.carry.len() as u64
    }

    /// Where the first byte is that is not out yet, and how many parts of its line are.
    pub(crate) fn done(&self) -> (u64, u64) {
        (self.offset, self.parts)
    }

    /// How many bytes of an unfinished line are held.
    pub(crate) fn carried(&self) -> usize {
        self.carry.len()
    }

    /// A buffer to append the next read to. It holds what is carried, so that a chunk is one segment
    /// of memory; give it back to [`push`](Splitter::push).
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Content the buffer with what was read appended and gives what is complete, in order.
    pub(crate) fn push(&mut self, mut bytes: Vec<u8>) -> Vec<Segment> {
        let mut segments = Vec::new();
        if self.parts > 0 && !bytes.is_empty() {
            let end = memchr::memchr(b'\n', &bytes).map(|end| end + 1);
            let rest = bytes.split_off(end.unwrap_or(bytes.len()));
            segments.push(self.part(bytes));
            if end.is_some() {
                self.parts = 0;
            }
            bytes = rest;
        }
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let carry = bytes.split_off(whole);
        if !bytes.is_empty() {
            segments.push(self.segment(bytes, Kind::Lines));
        }
        self.carry = carry;
        let hole = if self.parts == 0 { hole(&self.carry) } else { 0 };
        if hole > 0 {
            let mut bytes = self.buffer();
            self.carry = bytes.split_off(hole);
            segments.push(self.segment(bytes, Kind::Hole));
        }
        if self.carry.len() > self.max_line {
            let bytes = self.buffer();
            segments.push(self.part(bytes));
        }
        segments
    }

    /// The end of the source: a last line without its line feed is a line all the same.
    pub(crate) fn finish(&mut self) -> Option<Segment> {
        let bytes = self.buffer();
        (!bytes.is_empty()).then(|| self.segment(bytes, Kind::Lines))
    }

    fn part(&mut self, bytes: Vec<u8>) -> Segment {
        self.parts += 1;
        self.segment(bytes, Kind::Part(self.parts))
    }

    fn segment(&mut self, bytes: Vec<u8>, kind: Kind) -> Segment {
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        Segment { offset, bytes, kind }
    }
}

/// How many NULs a line begins with.
pub(crate) fn hole(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == 0).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in reads of at most `read` bytes.
    fn split(input: &[u8], read: usize, max_line: usize) -> Vec<Segment> {
        let mut splitter = Splitter::new(0, 0, max_line);
        let mut segments = Vec::new();
        for bytes in input.chunks(read) {
            let mut buffer = splitter.buffer();
            buffer.extend_from_slice(bytes);
            segments.extend(splitter.push(buffer));
            assert!(splitter.carry.len() <= max_line);
        }
        segments.extend(splitter.finish());
        segments
    }

    #[test]
    fn a_piece_with_many_short_lines_is_cut_and_loses_nothing() {
        for lines in [0, 1, LINES, LINES + 1, 3 * LINES + 5] {
            let bytes = [b"x\n".repeat(lines), b"unfinished".to_vec()].concat();
            let segments = Segment { offset: 7, bytes: bytes.clone(), kind: Kind::Lines }.cut();
            let mut offset = 7;
            for (segment, events) in &segments {
                assert!(segment.offset == offset && segment.events() == *events);
                assert!(*events <= LINES as u64);
                offset += segment.bytes.len() as u64;
            }
            let memory: usize = segments.iter().map(|(segment, _)| segment.bytes.capacity()).sum();
            assert!(memory <= 2 * bytes.len() + bytes.len() / 2, "{memory}");
            let cut: Vec<_> = segments.into_iter().flat_map(|(segment, _)| segment.bytes).collect();
            assert!(cut == bytes);
        }
    }

    #[test]
    fn a_chunk_ends_with_a_line() {
        let segments = split(b"one\ntwo\nthree", 6, 100);
        let texts: Vec<_> = segments.iter().map(|segment| &segment.bytes[..]).collect();
        assert_eq!(texts, [&b"one\n"[..], b"two\n", b"three"]);
        assert_eq!(segments.iter().map(Segment::events).sum::<u64>(), 3);
    }

    #[test]
    fn a_line_beyond_the_limit_comes_in_parts_and_counts_once() {
        let segments = split(b"ok\n0123456789abcdef\nok\n", 5, 8);
        let parts: Vec<_> = segments.iter().filter(|segment| segment.kind != Kind::Lines).collect();
        assert!(parts.len() > 1);
        assert_eq!(parts.iter().map(|part| part.events()).sum::<u64>(), 1);
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.bytes.clone()).collect();
        assert_eq!(whole, b"0123456789abcdef\n");
        assert_eq!(segments.last().unwrap().bytes, b"ok\n");
    }

    #[test]
    fn an_empty_source_gives_nothing() {
        assert_eq!(split(b"", 5, 8), []);
    }

    #[test]
    fn a_restart_between_two_parts_goes_on_with_the_next() {
        let mut splitter = Splitter::new(8, 1, 8);
        let segments = splitter.push(b"end of a long line\nshort\n".to_vec());
        let kinds: Vec<_> = segments.iter().map(|segment| (segment.offset, segment.kind)).collect();
        assert_eq!(kinds, [(8, Kind::Part(2)), (27, Kind::Lines)]);
    }

    #[test]
    fn a_hole_is_no_line_however_long_it_is() {
        let input = [b"one\n".to_vec(), vec![0; 100], b"two\n".to_vec(), vec![0; 5]].concat();
        for read in [3, 7, 200] {
            let segments = split(&input, read, 20);
            let lines = segments.iter().filter(|segment| segment.kind != Kind::Hole);
            assert_eq!(lines.clone().map(Segment::events).sum::<u64>(), 2);
            let rest: Vec<u8> = lines.flat_map(|segment| segment.bytes.clone()).collect();
            // What is before a line in the same read goes along with it: the parser skips it.
            assert_eq!(rest.split(|byte| *byte == 0).collect::<Vec<_>>().concat(), b"one\ntwo\n");
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_moved(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            read in 1_usize..50,
            max_line in 1_usize..40,
        ) {
            let segments = split(&input, read, max_line);
            let mut at = 0;
            for segment in &segments {
                prop_assert_eq!(segment.offset, at);
                at += segment.bytes.len() as u64;
            }
            let joined: Vec<u8> = segments.iter().flat_map(|segment| segment.bytes.clone()).collect();
            prop_assert_eq!(&joined, &input);
            let lines = input.split_inclusive(|byte| *byte == b'\n');
            let lines = lines.filter(|line| hole(line) < line.len()).count() as u64;
            prop_assert_eq!(segments.iter().map(Segment::events).sum::<u64>(), lines);
        }
    }
}
