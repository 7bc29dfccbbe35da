//! Events as later stages take them: accepted lines, rows for the windows, or dead letters.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use foldhash::fast::FixedState;

use super::expr::{Operand, json, key};
use super::form::not_lines;
use super::job::{Counted, Id, Job};
use super::rows::{NO_KEY, Row, Rows};
use super::splitter::{Parts, Segment};
use super::time::Second;
use super::value::Value;

/// A segment of lines, parsed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The offset behind the last byte.
    pub(crate) end: u64,
    /// How many parts of unfinished overlong lines were given out.
    pub(crate) parts: Parts,
    /// Skipped bytes: NULs at the head of a line.
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
    /// The reasons of the dead letters, and how many each has.
    pub(crate) reasons: Vec<(String, u64)>,
    pub(crate) rows: Rows,
    /// For each condition how many events it has seen, and how many met it.
    pub(crate) met: Vec<(u64, u64)>,
    /// What the source holds, if it begins here and is not lines of JSON.
    pub(crate) hint: Option<&'static str>,
}

/// Is told of each event, and whether it is accepted or why it is a dead letter.
pub(crate) type Tell<'t> = &'t mut dyn FnMut(&str, &Result<bool, String>);

pub(super) struct Output<'j> {
    pub(super) job: &'j Job,
    /// The source's name, escaped for a JSON string, without quotes.
    source: String,
    /// The numbers of the keys in the rows.
    keys: HashMap<Box<str>, u32, FixedState>,
    /// That of the last event.
    second: Second,
    pub(super) made: Parsed,
    pub(super) tell: Option<Tell<'j>>,
}

impl<'j> Output<'j> {
    pub(super) fn new(job: &'j Job, source: &str, segment: &Segment) -> Self {
        let source = json(&format!("{}{source}", job.node));
        let room = |is_wanted| if is_wanted { segment.bytes.len() / 8 } else { 0 };
        let made = Parsed {
            end: segment.offset + segment.bytes.len() as u64,
            parts: segment.after,
            skipped: 0,
            filtered: 0,
            dead: 0,
            accepted: 0,
            plain: Vec::with_capacity(room(job.plain)),
            tagged: Vec::with_capacity(room(job.id.is_some())),
            letters: Vec::new(),
            reasons: Vec::new(),
            rows: Rows::default(),
            met: vec![(0, 0); job.conditions.len()],
            hint: if segment.offset == 0 { not_lines(&segment.bytes) } else { None },
        };
        let source = source[1..source.len() - 1].to_owned();
        let second = Second::default();
        Self { job, source, keys: HashMap::default(), second, made, tell: None }
    }

    pub(super) fn dead(&mut self, offset: u64, reason: &str, line: &[u8]) {
        self.letter(offset, reason, line);
        self.made.dead += 1;
    }

    /// Whether a line that was read is accepted, or why it is a dead letter.
    pub(super) fn judge(
        &mut self,
        read: Result<bool, String>,
        slots: &[Value<'_>],
    ) -> Result<bool, String> {
        if !read? {
            return Ok(false);
        }
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
                "the field {} holds no text, so it is not another node's id; --id-field gives \
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
        let time = counted.time(slots, &mut self.second)?;
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
        let rows = &mut self.made.rows;
        let wanted = counted.keys.len() + 1 + counted.totals.len();
        rows.had.resize(wanted, false);
        let mut had = rows.had.iter_mut();
        let mut see = |is_there| *had.next().expect("there is one for each field") |= is_there;
        let is_there =
            |value: &Value<'_>| !matches!(value, Value::Missing | Value::Null | Value::Opaque);
        let one;
        let key = match &counted.keys[..] {
            [] => Cow::Borrowed(NO_KEY),
            [(_, field)] => {
                one = field.get(slots);
                see(is_there(&one));
                key(&one)
            }
            several => {
                let values = several.iter().map(|(_, field)| field.get(slots));
                let values: Vec<_> = values.inspect(|value| see(is_there(value))).collect();
                Cow::Owned(object(several, &values))
            }
        };
        let value = counted.value.as_ref().and_then(|value| value.number(slots));
        see(value.is_some());
        for total in &counted.totals {
            let number = match *total.get(slots) {
                Value::Number(number) => Some(number),
                _ => None,
            };
            see(number.is_some());
            rows.totals.push(number);
        }
        let number = self.keys.get(&*key).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.made.rows.keys.len()).expect("a chunk has fewer lines");
            self.keys.insert((*key).into(), number);
            self.made.rows.keys.push((*key).into());
            number
        });
        self.made.rows.list.push(Row { time, latest, key: number, value });
    }

    pub(super) fn file(
        &mut self,
        offset: u64,
        line: &str,
        verdict: Result<bool, String>,
        slots: &[Value<'_>],
    ) {
        if let (Some(tell), Ok(_)) = (&mut self.tell, &verdict) {
            tell(line, &verdict);
        }
        match verdict {
            Ok(false) => self.made.filtered += 1,
            Err(reason) => self.dead(offset, &reason, line.as_bytes()),
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

    /// Puts `"_source_id":"source:offset"` first into the object, unless it already has an id from
    /// another node.
    fn tag(&mut self, id: &Id, offset: u64, line: &str, there: &Value<'_>) {
        let line = line.trim_ascii();
        if *there != Value::Missing {
            return append_line(&mut self.made.tagged, line.as_bytes());
        }
        let rest = line[1..].trim_ascii_start();
        let comma = if rest == "}" { "" } else { "," };
        let offset = offset.to_string(); // appending the parts is faster than formatting
        for part in ["{\"", &id.field, "\":\"", &self.source, ":", &offset, "\"", comma] {
            self.made.tagged.extend_from_slice(part.as_bytes());
        }
        append_line(&mut self.made.tagged, rest.as_bytes());
    }

    pub(super) fn letter(&mut self, offset: u64, reason: &str, line: &[u8]) {
        if let Some(tell) = &mut self.tell {
            tell(&String::from_utf8_lossy(line), &Err(reason.to_owned()));
        }
        self.count(reason);
        let letter = letter(&self.source, offset, reason, line);
        self.made.letters.extend_from_slice(letter.as_bytes());
    }

    /// Counts a dead letter by its reason, without the place in the line; a line in parts counts
    /// once.
    fn count(&mut self, reason: &str) {
        let kind = reason.split(" at column ").next().unwrap_or(reason);
        let (kind, part) = kind.split_once(", part ").unwrap_or((kind, "1"));
        if part == "1" {
            tally(&mut self.made.reasons, kind, 1);
        }
    }
}

/// A dead letter. `source` is escaped for a JSON string.
pub(crate) fn letter(source: &str, offset: u64, reason: &str, line: &[u8]) -> String {
    // Escaped, a control byte would take six times its length.
    let is_text = |text: &&str| !text.chars().any(is_control);
    let raw = match std::str::from_utf8(line).ok().filter(is_text) {
        Some(text) => format!(r#""raw":{}"#, json(text.trim_end_matches('\n'))),
        None => format!(r#""raw_base64":"{}""#, BASE64.encode(line)),
    };
    let reason = json(reason);
    format!("{{\"source\":\"{source}\",\"offset\":{offset},\"reason\":{reason},{raw}}}\n")
}

/// The key of several fields, in the order of --by.
fn object(names: &[(String, Operand)], values: &[Cow<'_, Value<'_>>]) -> String {
    let mut object = String::from("{");
    for ((name, _), value) in names.iter().zip(values) {
        let comma = if object.len() > 1 { "," } else { "" };
        for part in [comma, name, ":", &key(value)] {
            object.push_str(part);
        }
    }
    object + "}"
}

/// Most different reasons of dead letters that are counted; more go into one.
pub(crate) const REASONS: usize = 20;

/// Counts dead letters by their reason; beyond the limit, further reasons are counted together.
pub(crate) fn tally(reasons: &mut Vec<(String, u64)>, reason: &str, letters: u64) {
    let is_full = reasons.len() > REASONS;
    let known = reasons.iter().position(|(known, _)| known == reason);
    match known.or(is_full.then_some(REASONS)) {
        Some(at) => reasons[at].1 += letters,
        None if reasons.len() == REASONS => reasons.push(("other reasons".to_owned(), letters)),
        None => reasons.push((reason.to_owned(), letters)),
    }
}

/// Control characters, except tabs and line ends, which texts contain.
fn is_control(char: char) -> bool {
    char.is_control() && !matches!(char, '\t' | '\n' | '\r')
}

/// Appends lines byte for byte; only a last line without a line feed gets one.
fn append_line(to: &mut Vec<u8>, line: &[u8]) {
    to.extend_from_slice(line);
    if line.last() != Some(&b'\n') {
        to.push(b'\n');
    }
}
