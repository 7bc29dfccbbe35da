//! The workers: a chunk of lines in; accepted lines, rows for the windows and dead letters out.

use std::borrow::Cow;

use super::container::{Beyond, STREAMS, Step, Streams};
use super::job::{Inner, Job};
use super::output::{Output, Parsed, Tell};
use super::scan::Lines;
use super::splitter::{Framing, Kind, Segment, hole};

/// Parses a segment of `source`, and returns its buffer.
pub(crate) fn parse<'j>(
    source: &str,
    segment: Segment,
    job: &'j Job,
    tell: Option<Tell<'j>>,
) -> (Parsed, Vec<u8>) {
    let mut output = Output::new(job, source, &segment);
    output.tell = tell;
    if let Kind::Pieces { before, .. } = segment.kind {
        output.pieces(&segment, before);
        return (output.made, segment.bytes);
    }
    match (segment.kind, simdutf8::basic::from_utf8(&segment.bytes)) {
        (Kind::Part(part), _) => {
            let reason = format!("longer than --max-line, part {part}");
            output.letter(segment.offset, &reason, &segment.bytes);
            output.made.dead = segment.events();
        }
        (Kind::Broken(reason), _) => {
            output.letter(segment.offset, reason, &segment.bytes);
            output.made.dead = segment.events();
        }
        (Kind::Hole, _) => output.made.skipped = segment.bytes.len() as u64,
        (Kind::Position, _) => {}
        // UTF-8 is checked once for all lines: a parser over bytes would not check skipped strings.
        (Kind::Lines, Ok(text)) => output.lines(segment.offset, text),
        (Kind::Lines, Err(_)) => output.mixed_lines(segment.offset, &segment.bytes),
        (Kind::Pieces { .. }, _) => unreachable!("it has just been dealt with"),
    }
    (output.made, segment.bytes)
}

const NO_STREAM: &str = "not a line of a container's log: its stream is neither stdout nor stderr";

/// The pieces so far of a line in a container's log.
#[derive(Debug, Default)]
struct Joined {
    /// The offset of its first piece.
    from: Option<u64>,
    text: Vec<u8>,
    /// The error, if one of its pieces has no text.
    broken: Option<String>,
}

impl Joined {
    fn add(&mut self, at: u64, text: Result<Cow<'_, [u8]>, String>) {
        self.from.get_or_insert(at);
        match text {
            Ok(text) => self.text.extend_from_slice(&text),
            Err(reason) => drop(self.broken.get_or_insert(reason)),
        }
    }
}

impl Output<'_> {
    fn lines(&mut self, offset: u64, text: &str) {
        let job = self.job;
        if let Some(inner) = &job.inner {
            return self.outer_lines(offset, text, inner);
        }
        let (mut lines, mut slots, mut start) = (Lines::new(&job.fields, text), Vec::new(), 0);
        while let Some((line, is_read)) = lines.next(&mut slots) {
            let at = offset + start;
            start += line.len() as u64;
            let (at, line) = if is_read { (at, line) } else { self.without_head(at, line) };
            let read =
                if is_read { job.complete(line, &mut slots) } else { job.read(line, &mut slots) };
            let verdict = self.judge(read, &slots);
            self.file(at, line, verdict, &slots);
        }
    }

    /// Lines that hold the event in a field.
    fn outer_lines(&mut self, offset: u64, text: &str, inner: &Inner) {
        let mut start = 0;
        for end in line_ends(text.as_bytes()) {
            let (at, line) = self.without_head(offset + start as u64, &text[start..end]);
            start = end;
            if line.trim_ascii().is_empty() {
                self.made.filtered += 1;
                continue;
            }
            match inner.of(line) {
                Ok(text) => self.unwrapped(at, text.as_bytes()),
                Err(reason) => self.dead(at, &reason, line.as_bytes()),
            }
        }
    }

    /// Joins the pieces of a container's lines, as the [splitter](super::splitter) has counted them.
    fn pieces(&mut self, segment: &Segment, before: Beyond) {
        let Framing { max_line, runtime } = self.job.framing;
        let runtime = runtime.expect("only a container's log comes in pieces");
        let mut streams = Streams::new(before);
        let mut lines: [Joined; STREAMS] = Default::default();
        let mut start = 0;
        for end in line_ends(&segment.bytes) {
            let (from, line) = (segment.offset + start as u64, &segment.bytes[start..end]);
            let hole = hole(line);
            self.made.skipped += hole as u64;
            let (at, piece) = (from + hole as u64, &line[hole..]);
            while let Some(stream) = streams.overdue(from + line.len() as u64, max_line) {
                self.part(1, &std::mem::take(&mut lines[stream]));
            }
            match (streams.step(runtime, from, piece, max_line), runtime.text(piece)) {
                (Step::Broken, _) if piece.trim_ascii().is_empty() => self.made.filtered += 1,
                (Step::Broken, Ok(_)) => self.dead(at, NO_STREAM, piece),
                (Step::Broken, Err(reason)) => self.dead(at, &reason, piece),
                (Step::Goes(stream), text) => lines[stream].add(at, text),
                (Step::Ends(stream), Ok(text)) if lines[stream].from.is_none() => {
                    self.unwrapped(at, &text);
                }
                (Step::Ends(stream), text) => {
                    lines[stream].add(at, text);
                    self.joined(&std::mem::take(&mut lines[stream]));
                }
                (Step::Part(stream, part), text) => {
                    lines[stream].add(at, text);
                    self.part(part, &std::mem::take(&mut lines[stream]));
                }
            }
            start = end;
        }
        // Lines are still open only if the source ends, or if they have become too long.
        for (line, parts) in lines.into_iter().zip(segment.after.streams) {
            match line.from {
                None => {}
                Some(_) if parts > 0 => self.part(1, &line),
                Some(_) => self.joined(&line),
            }
        }
    }

    fn part(&mut self, part: u32, line: &Joined) {
        let reason = format!("longer than --max-line, part {part}");
        self.letter(line.from.unwrap_or_default(), &reason, &line.text);
        self.made.dead += u64::from(part == 1);
    }

    fn joined(&mut self, line: &Joined) {
        let from = line.from.unwrap_or_default();
        match &line.broken {
            Some(reason) => self.dead(from, reason, &line.text),
            None => self.unwrapped(from, &line.text),
        }
    }

    /// An event from inside a line.
    fn unwrapped(&mut self, offset: u64, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let Ok(text) = simdutf8::basic::from_utf8(text) else {
            return self.dead(offset, "not UTF-8", text);
        };
        let mut slots = Vec::new();
        let read = self.job.read(text, &mut slots);
        let verdict = self.judge(read, &slots);
        if verdict == Ok(true) && memchr::memchr(b'\n', text.as_bytes()).is_some() {
            // An event is one line. A line feed here is between parts of the object: JSON strings
            // hold none.
            let line = text.replace('\n', " ");
            return self.file(offset, &line, verdict, &slots);
        }
        self.file(offset, text, verdict, &slots);
    }

    /// A line without leading NULs and without a byte order mark.
    fn without_head<'t>(&mut self, offset: u64, line: &'t str) -> (u64, &'t str) {
        let marked = if offset == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let rest = marked.trim_start_matches('\0');
        self.made.skipped += (marked.len() - rest.len()) as u64;
        (offset + (line.len() - rest.len()) as u64, rest)
    }

    /// A line is not UTF-8: parse the lines one by one, so that only that one becomes a dead
    /// letter.
    fn mixed_lines(&mut self, offset: u64, bytes: &[u8]) {
        let mut start = 0;
        for end in line_ends(bytes) {
            let (at, line) = (offset + start as u64, &bytes[start..end]);
            if let Ok(text) = simdutf8::basic::from_utf8(line) {
                self.lines(at, text);
            } else {
                let hole = hole(line);
                self.made.skipped += hole as u64;
                self.dead(at + hole as u64, "not UTF-8", &line[hole..]);
            }
            start = end;
        }
    }
}

/// The ends of all lines, behind the line feed. The last line may lack it.
fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let unfinished = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    let last = unfinished.then_some(bytes.len());
    memchr::memchr_iter(b'\n', bytes).map(|at| at + 1).chain(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data_pipeline::config::Config;
    use crate::data_pipeline::event::expr::json;
    use crate::data_pipeline::event::splitter::{Parts, Splitter};

    fn job(unwrap: &str, max_line: u64) -> Job {
        let config = Config {
            unwrap: Some(unwrap.to_owned()),
            max_line: Some(bytesize::ByteSize(max_line)),
            out: vec!["out".to_owned()],
            ..Config::default()
        };
        Job::compile(&config).unwrap()
    }

    /// Reads `input` from `offset` on, and gives the parsed segments. Asserts that as many events
    /// come out as were counted.
    fn parsed(job: &Job, input: &[u8], (offset, parts): (u64, Parts), read: usize) -> Vec<Parsed> {
        let mut splitter = Splitter::new(offset, parts, job.framing);
        let mut segments = Vec::new();
        for bytes in input[offset as usize..].chunks(read) {
            let mut buffer = splitter.buffer();
            buffer.extend_from_slice(bytes);
            segments.extend(splitter.push(buffer));
        }
        segments.extend(splitter.finish());
        let of = |segment: Segment| {
            let events = segment.events();
            let (made, _) = parse("s", segment, job, None);
            assert_eq!(events, made.filtered + made.dead + made.accepted, "{made:?}");
            made
        };
        segments.into_iter().map(of).collect()
    }

    fn lines(parsed: &[Parsed]) -> String {
        let plain = parsed.iter().flat_map(|made| made.plain.clone()).collect();
        String::from_utf8(plain).unwrap()
    }

    fn letters(parsed: &[Parsed]) -> String {
        let letters = parsed.iter().flat_map(|made| made.letters.clone()).collect();
        String::from_utf8(letters).unwrap()
    }

    /// A container's log as a runtime writes it: the lines of both streams in pieces of `size`
    /// bytes; `choices` say which stream's piece comes next.
    fn log(cri: bool, streams: [&[String]; STREAMS], size: usize, choices: &[bool]) -> Vec<u8> {
        let mut pieces = streams.map(|lines| {
            let cut = |line: &String| -> Vec<(String, bool)> {
                let cut: Vec<_> = line.as_bytes().chunks(size).collect();
                let last = cut.len() - 1;
                let text = |at: usize| String::from_utf8(cut[at].to_vec()).unwrap();
                (0..cut.len()).map(|at| (text(at), at == last)).collect()
            };
            lines.iter().flat_map(cut).collect::<std::collections::VecDeque<_>>()
        });
        let (mut bytes, mut choices) = (String::new(), choices.iter().cycle());
        while pieces.iter().any(|stream| !stream.is_empty()) {
            let stream = usize::from(*choices.next().unwrap());
            let stream = if pieces[stream].is_empty() { 1 - stream } else { stream };
            let (text, ends) = pieces[stream].pop_front().unwrap();
            let name = ["stdout", "stderr"][stream];
            if cri {
                bytes += &format!("t {name} {} {text}\n", if ends { "F" } else { "P" });
            } else {
                let text = json(&(text + if ends { "\n" } else { "" }));
                bytes += &format!("{{\"log\":{text},\"stream\":\"{name}\",\"time\":\"t\"}}\n");
            }
        }
        bytes.into_bytes()
    }

    proptest! {
        /// However the reads are cut, the pieces mixed, and the run restarted, each line comes out
        /// once, in its stream's order, unless it is too long.
        #[test]
        fn the_lines_of_a_containers_log_are_joined_again(
            lengths in proptest::collection::vec((0..2_usize, 0..60_usize), 1..30),
            choices in proptest::collection::vec(any::<bool>(), 1..20),
            (cri, size, read, stop) in (any::<bool>(), 1..40_usize, 1..300_usize, 0..20_usize),
            max_line in prop_oneof![Just(1 << 20), 60..400_u64],
        ) {
            let mut streams = [Vec::new(), Vec::new()];
            for (n, (stream, length)) in lengths.into_iter().enumerate() {
                streams[stream].push(format!("{{\"n\":{n},\"x\":\"{}\"}}", "y".repeat(length)));
            }
            let input = log(cri, [&streams[0], &streams[1]], size, &choices);
            // The settings ensure that no single line of Docker's is too long.
            let max_line = if cri { max_line } else { max_line.max(2 * size as u64 + 80) };
            let job = job(if cri { "cri" } else { "docker" }, max_line);
            let start = (0, Parts::default());
            let whole = parsed(&job, &input, start, read);
            let (text, events) = (lines(&whole), streams[0].len() + streams[1].len());
            let counted: u64 = whole.iter().map(|made| made.accepted + made.dead).sum();
            prop_assert_eq!(counted, events as u64, "{}", letters(&whole));
            for stream in &streams {
                let ours: Vec<_> = text.lines().filter(|line| stream.iter().any(|s| s == line)).collect();
                let wanted: Vec<_> = stream.iter().filter(|line| text.contains(*line)).collect();
                prop_assert_eq!(ours, wanted);
            }
            if max_line == 1 << 20 {
                prop_assert_eq!(text.lines().count(), events);
            }
            prop_assert!(text.lines().all(|line| streams.iter().flatten().any(|s| s == line)));
            // Stopped behind some segment, and started again with other reads.
            let stop = stop % whole.len();
            let (before, after) = (&whole[..=stop], (whole[stop].end, whole[stop].parts));
            let rest = parsed(&job, &input, after, read * 2 + 1);
            prop_assert_eq!(lines(before) + &lines(&rest), text);
            prop_assert_eq!(letters(before) + &letters(&rest), letters(&whole));
        }
    }

    fn once(unwrap: &str, input: &str) -> (String, String) {
        let parsed = parsed(&job(unwrap, 1 << 20), input.as_bytes(), (0, Parts::default()), 4096);
        (lines(&parsed), letters(&parsed))
    }

    #[test]
    fn a_line_not_in_the_containers_format_or_without_an_event_is_a_dead_letter() {
        let (lines, letters) =
            once("cri", "t stdout F {\"a\":1}\nx\nt stderr F ready\n\nt stdout F \n");
        assert_eq!(lines, "{\"a\":1}\n");
        let letters: Vec<_> = letters.lines().collect();
        assert!(letters[0].contains("\"offset\":19,") && letters[0].contains("CRI's format"));
        assert!(
            letters[0].ends_with("\"raw\":\"x\"}") && letters[1].ends_with("\"raw\":\"ready\"}")
        );
        assert!(letters[1].contains("\"offset\":21,\"reason\":\"expected"), "{letters:?}");
        assert_eq!(letters.len(), 2);
    }

    #[test]
    fn a_character_that_was_cut_in_two_is_whole_again() {
        let input = [b"t stdout P {\"a\":\"\xc3\nt stdout F \xa9\"}\n".to_vec()].concat();
        let made = parsed(&job("cri", 1 << 20), &input, (0, Parts::default()), 4096);
        assert_eq!(lines(&made), "{\"a\":\"\u{e9}\"}\n");
    }

    #[test]
    fn a_field_can_hold_the_line() {
        let input = r#"{"message":"{\n\"a\":1}","other":{"message":2}}
{"message":"plain"}
{"message":{"a":1}}
{"m":"x"}
"#;
        let (lines, letters) = once("message", input);
        assert_eq!(lines, "{ \"a\":1}\n", "one line for each event");
        let letters: Vec<_> = letters.lines().collect();
        assert!(
            letters[0].contains("expected value") && letters[0].ends_with("\"raw\":\"plain\"}")
        );
        assert!(letters[1].contains("--unwrap message: the field holds no text"), "{letters:?}");
        assert!(letters[2].contains("--unwrap message: the field is missing"), "{letters:?}");
    }
}
