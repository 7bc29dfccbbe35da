//! The lines of container logs. A runtime cuts a long line into pieces and mixes those of stdout
//! and stderr; each piece says its stream and whether its line goes on.

use std::borrow::Cow;

use serde::Deserialize;

/// How a runtime records what a container prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// `{"log":"text\n","stream":"stdout","time":"…"}`; a text without its line feed goes on.
    Docker,
    /// `2026-03-01T00:00:00Z stdout F text`; `P` instead of `F` if it goes on.
    Cri,
}

/// stdout and stderr.
pub(crate) const STREAMS: usize = 2;

/// For each stream, how many parts of its overlong line have been given out.
pub(crate) type Beyond = [u32; STREAMS];

/// What the next piece does to the line of its stream, whose index it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is no piece.
    Broken,
    /// The line begins, or goes on.
    Goes(usize),
    /// The line ends.
    Ends(usize),
    /// This part of a line that is too long.
    Part(usize, u32),
}

impl Step {
    /// Whether it counts as an event: a line in parts counts once, with its first part.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Broken | Self::Ends(_) | Self::Part(_, 1))
    }
}

/// The unfinished lines of both streams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streams {
    /// Where each open line began.
    open: [Option<u64>; STREAMS],
    beyond: Beyond,
    /// The offset from which on at least one line has been open.
    busy: Option<u64>,
}

impl Streams {
    /// No line is open, except overlong ones, of which this many parts were given out.
    pub(crate) fn new(beyond: Beyond) -> Self {
        Self { open: [None; STREAMS], beyond, busy: None }
    }

    /// Whether a reader could start here: no line is open.
    pub(crate) fn are_closed(&self) -> bool {
        self.open == [None; STREAMS]
    }

    /// How many lines are open.
    pub(crate) fn count_open(&self) -> u64 {
        self.open.iter().flatten().count() as u64
    }

    pub(crate) fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// A stream whose line, with all that is between its pieces, would be longer than `most` if it
    /// went on to `end`. From now on the line comes in parts; its text so far is the first part.
    /// This also bounds lines of both streams that keep overlapping.
    pub(crate) fn overdue(&mut self, end: u64, most: usize) -> Option<usize> {
        let most = most as u64;
        let overlap = self.busy.is_some_and(|from| end - from > most.saturating_mul(2));
        let is_overdue = |open: &Option<u64>| open.is_some_and(|from| overlap || end - from > most);
        let stream = self.open.iter().position(is_overdue)?;
        self.open[stream] = None;
        self.give_up(stream);
        Some(stream)
    }

    /// The first part of this stream's overlong line was given out, and the line goes on.
    pub(crate) fn give_up(&mut self, stream: usize) {
        self.beyond[stream] = 1;
        self.look(None);
    }

    fn look(&mut self, from: Option<u64>) {
        self.busy = if self.are_closed() { None } else { self.busy.or(from) };
    }

    /// Takes the next piece, a line of the file at this offset. Call [overdue](Self::overdue)
    /// first.
    pub(crate) fn step(&mut self, runtime: Runtime, from: u64, line: &[u8], most: usize) -> Step {
        let Some((stream, ends)) = runtime.piece(line) else { return Step::Broken };
        if self.beyond[stream] == 0 && line.len() <= most {
            let open = self.open[stream].unwrap_or(from);
            self.open[stream] = (!ends).then_some(open);
            self.look(Some(from));
            return if ends { Step::Ends(stream) } else { Step::Goes(stream) };
        }
        let part = self.beyond[stream].saturating_add(1);
        self.beyond[stream] = if ends { 0 } else { part };
        Step::Part(stream, part)
    }
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
}

/// How a line of Docker's log begins, up to the text.
const LOG: &[u8] = br#"{"log":""#;

/// What follows the text. The text cannot contain it, because a quote in it has a backslash.
const STREAM: &[u8] = br#"","stream":""#;

impl Runtime {
    /// The stream of a piece, and whether its line ends with it.
    pub(crate) fn piece(self, line: &[u8]) -> Option<(usize, bool)> {
        match self {
            Self::Cri => cri(line).map(|(stream, ends, _)| (stream, ends)),
            Self::Docker => docker(line),
        }
    }

    /// The text of a piece, or why there is none.
    pub(crate) fn text(self, line: &[u8]) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Self::Cri => {
                let text = cri(line).map(|(.., text)| Cow::Borrowed(text));
                text.ok_or_else(|| {
                    "not a line in CRI's format: expected TIME stdout|stderr F|P TEXT".to_owned()
                })
            }
            Self::Docker => match serde_json::from_slice::<DockerLine<'_>>(line) {
                Ok(DockerLine { log: Cow::Borrowed(log), .. }) => Ok(log.as_bytes().into()),
                Ok(DockerLine { log: Cow::Owned(log), .. }) => Ok(log.into_bytes().into()),
                Err(err) => Err(format!("not a line in Docker's format: {err}")),
            },
        }
    }
}

fn stream(name: &[u8]) -> Option<usize> {
    [&b"stdout"[..], b"stderr"].iter().position(|stream| *stream == name)
}

/// The stream, whether the line ends here, and the text.
fn cri(line: &[u8]) -> Option<(usize, bool, &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (_time, stream, tags) = (parts.next()?, self::stream(parts.next()?)?, parts.next()?);
    let ends = match tags.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some((stream, ends, parts.next().unwrap_or_default()))
}

fn docker(line: &[u8]) -> Option<(usize, bool)> {
    if let Some(rest) = line.strip_prefix(LOG)
        && let Some(end) = memchr::memmem::find(rest, STREAM)
    {
        let name = &rest[end + STREAM.len()..];
        let name = &name[..memchr::memchr(b'"', name)?];
        let before = rest[..end].strip_suffix(b"n").unwrap_or_default();
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        return Some((stream(name)?, backslashes % 2 == 1));
    }
    let line = serde_json::from_slice::<DockerLine<'_>>(line).ok()?;
    let stream = if line.stream.is_empty() { Some(0) } else { stream(line.stream.as_bytes()) };
    Some((stream?, line.log.ends_with('\n')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_says_its_stream_and_whether_its_line_ends() {
        for (line, piece) in [
            ("2026-03-01T00:00:00.1Z stdout F {\"a\":1}\n", Some((0, true))),
            ("2026-03-01T00:00:00.1Z stderr P {\"a\"\n", Some((1, false))),
            ("2026-03-01T00:00:00.1Z stderr P:x:y {\n", Some((1, false))),
            ("2026-03-01T00:00:00.1Z stdout F \n", Some((0, true))),
            ("2026-03-01T00:00:00.1Z stdout F\n", Some((0, true))),
            ("2026-03-01T00:00:00.1Z stdin F x\n", None),
            ("2026-03-01T00:00:00.1Z stdout X x\n", None),
            ("{\"a\":1}\n", None),
            ("\n", None),
        ] {
            assert_eq!(Runtime::Cri.piece(line.as_bytes()), piece, "{line}");
        }
        for (line, piece) in [
            (r#"{"log":"x\n","stream":"stdout","time":"t"}"#, Some((0, true))),
            (r#"{"log":"x","stream":"stderr","time":"t"}"#, Some((1, false))),
            (r#"{"log":"x\\n","stream":"stdout","time":"t"}"#, Some((0, false))),
            (r#"{"log":"x\\\n","stream":"stdout","time":"t"}"#, Some((0, true))),
            (r#"{"log":"\",\"stream\":\"stderr\"}\n","stream":"stdout"}"#, Some((0, true))),
            (r#"{ "stream": "stderr", "log": "x\u000a" }"#, Some((1, true))),
            (r#"{"log":"x\n"}"#, Some((0, true))),
            (r#"{"log":"x\n","stream":"other"}"#, None),
            (r#"{"message":"x\n"}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(Runtime::Docker.piece(line.as_bytes()), piece, "{line}");
        }
    }

    #[test]
    fn the_text_of_a_piece_is_given_as_it_was_printed() {
        let text = |runtime: Runtime, line| {
            runtime.text(line).map(|text| String::from_utf8(text.into_owned()).unwrap())
        };
        let line = br#"{"log":"{\"a\":\"\\u00e9\"}\n","stream":"stdout","time":"t"}"#;
        assert_eq!(text(Runtime::Docker, line).unwrap(), "{\"a\":\"\\u00e9\"}\n");
        assert_eq!(text(Runtime::Cri, b"t stdout F  a b \n").unwrap(), " a b ");
        let cut = text(Runtime::Docker, br#"{"log":"\q\n","stream":"stdout"}"#).unwrap_err();
        assert!(cut.contains("Docker's format: invalid escape"), "{cut}");
    }

    #[test]
    fn a_line_that_goes_on_for_too_long_is_in_parts_until_it_ends() {
        let mut streams = Streams::default();
        let mut step = |from, line: &[u8]| {
            let overdue = streams.overdue(from + line.len() as u64, 30);
            (overdue, streams.step(Runtime::Cri, from, line, 30), streams.beyond())
        };
        assert_eq!(step(0, b"t stdout P 123\n"), (None, Step::Goes(0), [0, 0]));
        assert_eq!(step(15, b"t stderr F 456\n"), (None, Step::Ends(1), [0, 0]));
        assert_eq!(step(30, b"t stderr F 789\n"), (Some(0), Step::Ends(1), [1, 0]));
        assert_eq!(step(45, b"t stdout P 123\n"), (None, Step::Part(0, 2), [2, 0]));
        assert_eq!(step(60, b"t stdout F 123\n"), (None, Step::Part(0, 3), [0, 0]));
        assert_eq!(step(75, b"t stdout F 123\n"), (None, Step::Ends(0), [0, 0]));
    }
}
