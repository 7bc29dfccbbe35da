//! Cuts a stream of bytes into chunks of whole lines. A line beyond the limit comes in parts, so
//! that memory stays bounded however long it gets.

use serde::{Deserialize, Serialize};

use super::container::{Beyond, Runtime, Streams};

/// A stretch of a source: whole lines, or a part of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The offset of the first byte.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
    /// How many parts of the lines that go on after it were given out.
    pub(crate) after: Parts,
}

/// How many parts of unfinished overlong lines were given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// Parts of a line of the source.
    #[serde(rename = "parts")]
    pub(crate) line: u64,
    /// Parts of a container's line, by stream.
    #[serde(default, skip_serializing_if = "are_none")]
    pub(crate) streams: Beyond,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it like this")]
fn are_none(streams: &Beyond) -> bool {
    *streams == Beyond::default()
}

/// How bytes become lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    /// The longest line, in bytes.
    pub(crate) max_line: usize,
    /// For a container's log, its runtime: its lines are pieces of lines, and all pieces of a line
    /// stay in one segment.
    pub(crate) runtime: Option<Runtime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole lines. Only the last line of a source may lack its line feed.
    Lines,
    /// Lines of a container's log, with all pieces of each: the number of events, and the parts of
    /// overlong lines before them.
    Pieces { events: u64, before: Beyond },
    /// The `n`th part (from 1) of a line that is longer than the limit.
    Part(u64),
    /// NULs at the head of a line: the hole that a writer leaves when its file is truncated.
    Hole,
    /// No bytes: it only reports the source's position.
    Position,
    /// Bytes that cannot be split into lines, and why.
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "only a message can be so"))]
    Broken(&'static str),
}

/// Most lines of a chunk. It bounds what a chunk of short lines can grow to: a dead letter is many
/// times as long as a short line.
const LINES: usize = 2048;

impl Segment {
    /// The same, cut into segments of at most `LINES` lines, each with the number of its events.
    pub(crate) fn cut(mut self) -> Vec<(Self, u64)> {
        let mut events = self.events();
        let mut segments = Vec::new();
        if self.kind == Kind::Lines && events > LINES as u64 {
            let ends = memchr::memchr_iter(b'\n', &self.bytes).skip(LINES - 1).step_by(LINES);
            // Splits from the back, so that no segment keeps more memory than its bytes need.
            let ends: Vec<_> = (1..).zip(ends).collect();
            for (number, end) in ends.into_iter().rev() {
                let before = number * LINES as u64;
                let (offset, bytes) = (self.offset + end as u64 + 1, self.bytes.split_off(end + 1));
                if !bytes.is_empty() {
                    let rest = Self { offset, bytes, kind: Kind::Lines, after: self.after };
                    segments.push((rest, events - before));
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
            Kind::Hole | Kind::Position => 0,
            Kind::Pieces { events, .. } => events,
            Kind::Lines => {
                let unfinished = !self.bytes.is_empty() && self.bytes.last() != Some(&b'\n');
                memchr::memchr_iter(b'\n', &self.bytes).count() as u64 + u64::from(unfinished)
            }
        }
    }
}

/// How much to read at `position` for a chunk of `size`: up to its next multiple. So a file is cut
/// at the same places wherever reading starts, even after a restart.
pub(crate) fn read_length(position: u64, size: usize) -> usize {
    size - (position % size as u64) as usize
}

/// The state between two reads: the beginning of a line whose end is still to come.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_line: usize,
    /// The offset of the first byte of `carry`.
    offset: u64,
    carry: Vec<u8>,
    /// How many parts of the current line have been given out.
    parts: u64,
    pieces: Option<Pieces>,
}

/// For a container's log: the unfinished lines in `carry`.
#[derive(Debug)]
struct Pieces {
    runtime: Runtime,
    /// The offset behind the last examined line.
    end: u64,
    streams: Streams,
    /// The parts of overlong lines given out before `carry`.
    before: Beyond,
    /// The events in `carry`.
    events: u64,
    lines: usize,
}

impl Splitter {
    /// For a source that is read from `offset` on, where a line begins or a part of one ends.
    pub(crate) fn new(offset: u64, parts: Parts, framing: Framing) -> Self {
        let Framing { max_line, runtime } = framing;
        let before = parts.streams;
        let pieces = runtime.map(|runtime| Pieces {
            runtime,
            end: offset,
            streams: Streams::new(before),
            before,
            events: 0,
            lines: 0,
        });
        Self { max_line, offset, carry: Vec::new(), parts: parts.line, pieces }
    }

    /// Where the next byte is to be read.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.carry.len() as u64
    }

    /// The offset of the first byte that was not given out yet, and how many parts of the lines
    /// before it were.
    pub(crate) fn done(&self) -> (u64, Parts) {
        let streams = self.pieces.as_ref().map_or(Beyond::default(), |pieces| pieces.before);
        (self.offset, Parts { line: self.parts, streams })
    }

    /// How many bytes of an unfinished line are held.
    pub(crate) fn carried(&self) -> usize {
        self.carry.len()
    }

    /// A buffer to append the next read to. It contains the carried bytes, so that a chunk is one
    /// stretch of memory; give it back to [`push`](Splitter::push).
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Takes the buffer with the new bytes appended, and returns what is complete, in order.
    pub(crate) fn push(&mut self, mut bytes: Vec<u8>) -> Vec<Segment> {
        let mut segments = Vec::new();
        if self.parts > 0 && !bytes.is_empty() {
            let end = memchr::memchr(b'\n', &bytes).map(|end| end + 1);
            let rest = bytes.split_off(end.unwrap_or(bytes.len()));
            segments.push(self.part(bytes, end.is_some()));
            bytes = rest;
        }
        self.carry = match self.pieces.take() {
            None => {
                let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
                let carry = bytes.split_off(whole);
                if !bytes.is_empty() {
                    segments.push(self.segment(bytes, Kind::Lines));
                }
                carry
            }
            Some(mut pieces) => {
                let carry = self.whole_pieces(&mut pieces, bytes, &mut segments);
                self.pieces = Some(pieces);
                carry
            }
        };
        let hole = if self.parts == 0 { hole(&self.carry) } else { 0 };
        if hole > 0 {
            let mut bytes = self.buffer();
            self.carry = bytes.split_off(hole);
            segments.push(self.segment(bytes, Kind::Hole));
        }
        if self.carry.len() > self.max_line && self.is_one_line() {
            let bytes = self.buffer();
            if let Some(pieces) = &mut self.pieces
                && let Some((stream, false)) = pieces.runtime.piece(&bytes)
            {
                pieces.streams.give_up(stream);
                pieces.begin();
            }
            segments.push(self.part(bytes, false));
        }
        segments
    }

    /// Cuts where no stream's line is open, and returns what is behind the last cut.
    fn whole_pieces(
        &mut self,
        pieces: &mut Pieces,
        mut bytes: Vec<u8>,
        segments: &mut Vec<Segment>,
    ) -> Vec<u8> {
        let (start, mut cuts, mut closed) = (self.offset, Vec::new(), None);
        let mut at = (pieces.end - start) as usize;
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            let end = at + length + 1;
            if pieces.give_up(start + end as u64, self.max_line) {
                closed = Some((at, pieces.cut()));
            }
            pieces.take(&bytes[at..end], start + at as u64, self.max_line);
            at = end;
            if pieces.streams.are_closed() {
                closed = Some((at, pieces.cut()));
                if pieces.lines >= LINES {
                    cuts.extend(closed.take());
                    pieces.begin();
                }
            }
        }
        // The rest behind the last line may make the open lines too long.
        if pieces.give_up(start + bytes.len() as u64, self.max_line) {
            closed = Some((at, pieces.cut()));
        }
        if let Some((end, cut)) = closed {
            pieces.begin_behind(&cut);
            cuts.push((end, cut));
        }
        // Splits from the back, so that no segment keeps more memory than its bytes need.
        let carry = bytes.split_off(cuts.last().map_or(0, |(end, _)| *end));
        let first = segments.len();
        for (number, (_, cut)) in cuts.iter().enumerate().rev() {
            let from = number.checked_sub(1).map_or(0, |before| cuts[before].0);
            let bytes = if from == 0 { std::mem::take(&mut bytes) } else { bytes.split_off(from) };
            let kind = Kind::Pieces { events: cut.events, before: cut.before };
            let after = Parts { line: 0, streams: cut.after };
            self.offset += bytes.len() as u64;
            segments.push(Segment { offset: start + from as u64, bytes, kind, after });
        }
        segments[first..].reverse();
        carry
    }

    /// Whether the carried bytes are one line without its end.
    fn is_one_line(&self) -> bool {
        self.pieces.as_ref().is_none_or(|pieces| pieces.end == self.offset)
    }

    /// The end of the source: a last line without its line feed counts as a line.
    pub(crate) fn finish(&mut self) -> Option<Segment> {
        let bytes = self.buffer();
        if bytes.is_empty() {
            return None;
        }
        let Some(mut pieces) = self.pieces.take() else {
            return Some(self.segment(bytes, Kind::Lines));
        };
        let (last, max_line) = ((pieces.end - self.offset) as usize, self.max_line);
        if last < bytes.len() {
            let from = pieces.end;
            pieces.give_up(from + (bytes.len() - last) as u64, max_line);
            pieces.take(&bytes[last..], from, max_line);
        }
        let (events, before) = (pieces.events + pieces.streams.count_open(), pieces.before);
        pieces.streams = Streams::new(pieces.streams.beyond());
        pieces.begin();
        self.pieces = Some(pieces);
        Some(self.segment(bytes, Kind::Pieces { events, before }))
    }

    fn part(&mut self, bytes: Vec<u8>, is_last: bool) -> Segment {
        let part = self.parts + 1;
        self.parts = if is_last { 0 } else { part };
        self.segment(bytes, Kind::Part(part))
    }

    fn segment(&mut self, bytes: Vec<u8>, kind: Kind) -> Segment {
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        if let Some(pieces) = &mut self.pieces {
            pieces.end = self.offset.max(pieces.end);
        }
        Segment { offset, bytes, kind, after: self.done().1 }
    }
}

/// A stretch of pieces that ends where no line is open.
#[derive(Debug)]
struct Cut {
    events: u64,
    lines: usize,
    before: Beyond,
    after: Beyond,
}

impl Pieces {
    fn take(&mut self, line: &[u8], from: u64, most: usize) {
        self.end = from + line.len() as u64;
        let line = &line[hole(line)..];
        self.events += u64::from(self.streams.step(self.runtime, from, line, most).counts());
        self.lines += 1;
    }

    /// Turns lines that would be too long if they went on to `end` into parts. Returns whether none
    /// is open then.
    fn give_up(&mut self, end: u64, most: usize) -> bool {
        let mut some = false;
        while self.streams.overdue(end, most).is_some() {
            self.events += 1;
            some = true;
        }
        some && self.streams.are_closed()
    }

    fn cut(&self) -> Cut {
        let after = self.streams.beyond();
        Cut { events: self.events, lines: self.lines, before: self.before, after }
    }

    fn begin(&mut self) {
        (self.events, self.lines, self.before) = (0, 0, self.streams.beyond());
    }

    /// What is behind the cut belongs to the next segment.
    fn begin_behind(&mut self, cut: &Cut) {
        self.events -= cut.events;
        self.lines -= cut.lines;
        self.before = cut.after;
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
        split_as(None, input, read, max_line)
    }

    fn split_as(
        runtime: Option<Runtime>,
        input: &[u8],
        read: usize,
        max_line: usize,
    ) -> Vec<Segment> {
        let framing = Framing { max_line, runtime };
        let mut splitter = Splitter::new(0, Parts::default(), framing);
        let mut segments = Vec::new();
        for bytes in input.chunks(read) {
            let mut buffer = splitter.buffer();
            buffer.extend_from_slice(bytes);
            segments.extend(splitter.push(buffer));
            let most = if runtime.is_some() { 2 * max_line + read } else { max_line };
            assert!(splitter.carry.len() <= most);
        }
        segments.extend(splitter.finish());
        segments
    }

    #[test]
    fn a_piece_with_many_short_lines_is_cut_and_loses_nothing() {
        for lines in [0, 1, LINES, LINES + 1, 3 * LINES + 5] {
            let bytes = [b"x\n".repeat(lines), b"unfinished".to_vec()].concat();
            let (kind, after) = (Kind::Lines, Parts::default());
            let segments = Segment { offset: 7, bytes: bytes.clone(), kind, after }.cut();
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
        let framing = Framing { max_line: 8, runtime: None };
        let parts = Parts { line: 1, ..Parts::default() };
        let mut splitter = Splitter::new(8, parts, framing);
        let segments = splitter.push(b"end of a long line\nshort\n".to_vec());
        let kinds: Vec<_> = segments.iter().map(|segment| (segment.offset, segment.kind)).collect();
        assert_eq!(kinds, [(8, Kind::Part(2)), (27, Kind::Lines)]);
    }

    #[test]
    fn a_hole_of_nuls_is_never_a_line() {
        let input = [b"one\n".to_vec(), vec![0; 100], b"two\n".to_vec(), vec![0; 5]].concat();
        for read in [3, 7, 200] {
            let segments = split(&input, read, 20);
            let lines = segments.iter().filter(|segment| segment.kind != Kind::Hole);
            assert_eq!(lines.clone().map(Segment::events).sum::<u64>(), 2);
            let rest: Vec<u8> = lines.flat_map(|segment| segment.bytes.clone()).collect();
            // NULs before a line in the same read stay in its segment: the parser skips them.
            assert_eq!(rest.split(|byte| *byte == 0).collect::<Vec<_>>().concat(), b"one\ntwo\n");
        }
    }

    /// Lines of both streams that overlap without end, and a line that never ends.
    #[test]
    fn the_carried_part_of_a_containers_log_is_bounded() {
        let overlapping = "t stdout P x\nt stderr P x\nt stdout F x\nt stdout P x\nt stderr F x\n";
        let endless = "t stdout F x\nt stderr F x\n".repeat(100);
        for (input, events) in
            [(overlapping.repeat(100), 201), (format!("t stdout P x\n{endless}"), 201)]
        {
            let segments = split_as(Some(Runtime::Cri), input.as_bytes(), 20, 200);
            let counted = segments.iter().map(Segment::events).sum::<u64>();
            assert!(segments.len() > 5 && counted.abs_diff(events) <= 30, "{counted}");
            let whole: Vec<u8> = segments.into_iter().flat_map(|segment| segment.bytes).collect();
            assert!(whole == input.as_bytes());
        }
    }

    #[test]
    fn a_containers_log_of_many_short_lines_is_cut_too() {
        let input = "t stdout F x\n".repeat(3 * LINES + 7);
        let segments = split_as(Some(Runtime::Cri), input.as_bytes(), 1 << 20, 200);
        let events: Vec<_> = segments.iter().map(Segment::events).collect();
        assert_eq!(events, [LINES as u64, LINES as u64, LINES as u64, 7]);
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
