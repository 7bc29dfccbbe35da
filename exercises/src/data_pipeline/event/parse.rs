//! The workers: a chunk of lines in; accepted lines, rows for the windows and dead letters out.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use foldhash::fast::FixedState;

use super::expr::{json, key};
use super::job::{Counted, Id, Job};
use super::rows::{NO_KEY, Row, Rows};
use super::splitter::{Kind, Segment, hole};
use super::time;
use super::value::Value;

/// A segment of lines, parsed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// Behind the last byte.
    pub(crate) end: u64,
    /// How many parts of an overlong line end here, if it goes on.
    pub(crate) parts: u64,
    /// Bytes that are no event: NULs where a line begins.
    pub(crate) skipped: u64,
    pub(crate) filtered: u64,
    pub(crate) dead: u64,
    pub(crate) accepted: u64,
    /// The accepted lines as they were.
    pub(crate) plain: Vec<u8>,
    /// The accepted lines, each with its id.
    pub(crate) tagged: Vec<u8>,
    /// Dead letters, one line of JSON each.
    pub(crate) letters: Vec<u8>,
    pub(crate) rows: Rows,
    /// For each condition how many events it has seen, and how many met it.
    pub(crate) met: Vec<(u64, u64)>,
}

/// Parses a segment of what `source` gives, and hands its buffer back.
pub(crate) fn parse(source: &str, segment: Segment, job: &Job) -> (Parsed, Vec<u8>) {
    let mut output = Output::new(job, source, &segment);
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
        (Kind::Position(parts), _) => output.made.parts = parts,
        // Checked once for all lines. A parser over bytes would let a skipped string pass.
        (Kind::Lines, Ok(text)) => output.lines(segment.offset, text),
        (Kind::Lines, Err(_)) => output.mixed_lines(segment.offset, &segment.bytes),
    }
    (output.made, segment.bytes)
}

struct Output<'j> {
    job: &'j Job,
    /// The source's name, as the inside of a JSON string.
    source: String,
    /// The numbers of the keys in the rows.
    keys: HashMap<Box<str>, u32, FixedState>,
    made: Parsed,
}

impl<'j> Output<'j> {
    fn new(job: &'j Job, source: &str, segment: &Segment) -> Self {
        let source = json(&format!("{}{source}", job.node));
        let room = |is_wanted| if is_wanted { segment.bytes.len() / 8 } else { 0 };
        let made = Parsed {
            end: segment.offset + segment.bytes.len() as u64,
            parts: match segment.kind {
                Kind::Part(part) if segment.bytes.last() != Some(&b'\n') => part,
                _ => 0,
            },
            skipped: 0,
            filtered: 0,
            dead: 0,
            accepted: 0,
            plain: Vec::with_capacity(room(job.plain)),
            tagged: Vec::with_capacity(room(job.id.is_some())),
            letters: Vec::new(),
            rows: Rows::default(),
            met: vec![(0, 0); job.conditions.len()],
        };
        Self { job, source: source[1..source.len() - 1].to_owned(), keys: HashMap::default(), made }
    }

    fn lines(&mut self, offset: u64, text: &str) {
        let mut slots = Vec::new();
        let mut start = 0;
        for end in line_ends(text.as_bytes()) {
            let (at, line) = self.without_head(offset + start as u64, &text[start..end]);
            let verdict = self.judge(line, &mut slots);
            self.file(at, line, verdict, &slots);
            start = end;
        }
    }

    /// A line without what is no part of it: NULs, and the mark that some files begin with.
    fn without_head<'t>(&mut self, offset: u64, line: &'t str) -> (u64, &'t str) {
        let marked = if offset == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let rest = marked.trim_start_matches('\0');
        self.made.skipped += (marked.len() - rest.len()) as u64;
        (offset + (line.len() - rest.len()) as u64, rest)
    }

    /// Some line is not UTF-8: the others are as good as ever.
    fn mixed_lines(&mut self, offset: u64, bytes: &[u8]) {
        let mut start = 0;
        for end in line_ends(bytes) {
            let (at, line) = (offset + start as u64, &bytes[start..end]);
            if let Ok(text) = simdutf8::basic::from_utf8(line) {
                self.lines(at, text);
            } else {
                let hole = hole(line);
                self.made.skipped += hole as u64;
                self.letter(at + hole as u64, "not UTF-8", &line[hole..]);
                self.made.dead += 1;
            }
            start = end;
        }
    }

    /// Whether a line is accepted, or why it is dead.
    fn judge<'a>(&mut self, line: &'a str, slots: &mut Vec<Value<'a>>) -> Result<bool, String> {
        if line.len() > self.job.max_line {
            return Err("longer than --max-line".to_owned());
        }
        if line.trim_ascii().is_empty() {
            return Ok(false);
        }
        self.job.fields.read(line, slots).map_err(|err| without_line_number(&err))?;
        self.job.derives.iter().for_each(|derive| derive.apply(slots));
        let time = match &self.job.counted {
            Some(counted) => Some((counted, self.time(counted, slots)?)),
            None => None,
        };
        if !self.is_wanted(slots) {
            return Ok(false);
        }
        if let Some(id) = &self.job.id
            && !matches!(slots[id.slot], Value::Missing | Value::Text(_))
        {
            return Err(format!(
                "the field {} holds no text, so it is not the id of a node before; --id-field gives \
                 ids another name",
                id.field
            ));
        }
        if let Some((counted, (time, latest))) = time {
            self.row(counted, slots, time, latest);
        }
        Ok(true)
    }

    /// The time of an event, and the latest one in the chunk up to it.
    fn time(&mut self, counted: &Counted, slots: &[Value<'_>]) -> Result<(i64, i64), String> {
        let value = counted.time.get(slots);
        let Some(time) = time::millis(value) else {
            return Err(time::problem(&counted.time_field, value));
        };
        let latest = self.made.rows.latest.map_or(time, |latest| latest.max(time));
        self.made.rows.latest = Some(latest);
        Ok((time, latest))
    }

    fn is_wanted(&mut self, slots: &[Value<'_>]) -> bool {
        self.job.conditions.iter().zip(&mut self.made.met).all(|(condition, (seen, met))| {
            let is_met = condition.is_met(slots);
            *seen += 1;
            *met += u64::from(is_met);
            is_met
        })
    }

    fn row(&mut self, counted: &Counted, slots: &[Value<'_>], time: i64, latest: i64) {
        let value = counted.value.as_ref().and_then(|value| value.number(slots));
        let keyed = counted.key.as_ref().map(|key| key.get(slots));
        let key = keyed.as_ref().map_or(NO_KEY.into(), |value| key(value));
        let number = self.keys.get(&*key).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.made.rows.keys.len()).expect("a chunk has fewer lines");
            self.keys.insert((*key).into(), number);
            self.made.rows.keys.push((*key).into());
            number
        });
        self.made.rows.list.push(Row { time, latest, key: number, value });
    }

    fn file(
        &mut self,
        offset: u64,
        line: &str,
        verdict: Result<bool, String>,
        slots: &[Value<'_>],
    ) {
        match verdict {
            Ok(false) => self.made.filtered += 1,
            Err(reason) => {
                self.made.dead += 1;
                self.letter(offset, &reason, line.as_bytes());
            }
            Ok(true) => {
                self.made.accepted += 1;
                if self.job.plain {
                    append_line(&mut self.made.plain, line.as_bytes());
                }
                if let Some(id) = &self.job.id {
                    self.tag(id, offset, line, &slots[id.slot]);
                }
            }
        }
    }

    /// Puts `"_source_id":"source:offset"` first into the object, unless it has an id from a node
    /// before.
    fn tag(&mut self, id: &Id, offset: u64, line: &str, there: &Value<'_>) {
        let line = line.trim_ascii();
        if *there != Value::Missing {
            return append_line(&mut self.made.tagged, line.as_bytes());
        }
        let rest = line[1..].trim_ascii_start();
        let comma = if rest == "}" { "" } else { "," };
        let offset = offset.to_string(); // faster than formatting into the vector, part by part
        for part in ["{\"", &id.field, "\":\"", &self.source, ":", &offset, "\"", comma] {
            self.made.tagged.extend_from_slice(part.as_bytes());
        }
        append_line(&mut self.made.tagged, rest.as_bytes());
    }

    fn letter(&mut self, offset: u64, reason: &str, line: &[u8]) {
        // Escaped, a control byte would take six times its length.
        let is_text = |text: &&str| !text.chars().any(is_control);
        let raw = match std::str::from_utf8(line).ok().filter(is_text) {
            Some(text) => format!(r#""raw":{}"#, json(text.trim_end_matches('\n'))),
            None => format!(r#""raw_base64":"{}""#, BASE64.encode(line)),
        };
        let reason = json(reason);
        let letter = format!(
            "{{\"source\":\"{}\",\"offset\":{offset},\"reason\":{reason},{raw}}}\n",
            self.source
        );
        self.made.letters.extend_from_slice(letter.as_bytes());
    }
}

/// Tabs and line ends belong in a text.
fn is_control(char: char) -> bool {
    char.is_control() && !matches!(char, '\t' | '\n' | '\r')
}

/// The ends of all lines, behind the line feed. The last line may lack it.
fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let unfinished = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    let last = unfinished.then_some(bytes.len());
    memchr::memchr_iter(b'\n', bytes).map(|at| at + 1).chain(last)
}

/// Byte for byte; only a line that ended with its file gets the line feed that it lacks.
fn append_line(to: &mut Vec<u8>, line: &[u8]) {
    to.extend_from_slice(line);
    if line.last() != Some(&b'\n') {
        to.push(b'\n');
    }
}

/// The parser sees one line at a time and says "line 1" of each.
fn without_line_number(err: &serde_json::Error) -> String {
    let text = err.to_string();
    text.replacen(" at line 1 column ", " at column ", 1)
}
