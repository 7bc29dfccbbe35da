//! What must hold for any bytes at all. Fuzzers call these functions from outside the crate, and
//! its tests call them with the inputs that are kept in `fuzz/corpus`. Each one panics if its
//! property does not hold. Where a simple way to the same result exists, it compares with that.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::config::Config;
use super::event::expr::{Condition, Derive, Scope};
use super::event::job::Job;
use super::event::output::Parsed;
use super::event::parse::parse;
use super::event::scan::Lines;
use super::event::splitter::{Framing, Kind, Parts, Segment, Splitter, hole};
use super::event::time::{Clock, rfc3339};
use super::event::value::{Fields, Number, Step, Value};
use super::state::checkpoint::{decode, encode, head};
use super::window::Windows;

/// The longest line, the length of a read, where to stop and start again, then the input: no byte
/// is lost or moved, and every line counts once, whether or not reading was interrupted.
pub fn lines(data: &[u8]) {
    let [max_line, read, stop, input @ ..] = data else { return };
    let (max_line, read) = (usize::from(*max_line) + 1, usize::from(*read) + 1);
    let framing = Framing { max_line, runtime: None };
    let mut segments = split(Splitter::new(0, Parts::default(), framing), input, read);
    if let Some(last) = segments.get(usize::from(*stop)) {
        let end = last.offset + last.bytes.len() as u64;
        let parts = last.after;
        segments.truncate(usize::from(*stop) + 1);
        let resumed = Splitter::new(end, parts, framing);
        segments.extend(split(resumed, &input[end as usize..], read));
    }
    let mut at = 0;
    for segment in &segments {
        assert_eq!(segment.offset, at as u64);
        assert!(input[at..].starts_with(&segment.bytes));
        at += segment.bytes.len();
    }
    assert_eq!(at, input.len());
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.filter(|line| hole(line) < line.len()).count() as u64; // no line is a hole
    assert_eq!(segments.iter().map(Segment::events).sum::<u64>(), lines);
}

fn split(mut splitter: Splitter, input: &[u8], read: usize) -> Vec<Segment> {
    let mut segments = Vec::new();
    for bytes in input.chunks(read) {
        let mut buffer = splitter.buffer();
        buffer.extend_from_slice(bytes);
        segments.extend(splitter.push(buffer));
    }
    segments.extend(splitter.finish());
    segments
}

/// Paths, comma separated, then a line: the fields equal those that `serde_json` finds in the whole
/// document, and a line whose form it refuses is refused here.
pub fn fields(data: &[u8]) {
    let Some((paths, line)) = head_and_rest(data) else { return };
    let mut wanted = Fields::default();
    let slots = paths.split(',').map(|path| (path, wanted.slot(path.split('.').map(step))));
    let slots: Vec<_> = slots.collect();
    let mut values = Vec::new();
    let read = wanted.read(line, &mut values);
    let mut others = Vec::new();
    let other = wanted.read_with_serde(line, &mut others);
    assert_eq!(read.is_ok(), other.is_ok(), "{line}");
    assert!(read.is_err() || values == others, "{values:?}, {others:?} in {line}");
    among_others(&wanted, line);
    match serde_json::from_str::<Json>(line) {
        Ok(document @ Json::Object(_)) => {
            read.expect("it is an object");
            for (path, slot) in slots {
                assert_eq!(values[slot], found(path, &document), "{path} in {line}");
            }
        }
        Ok(_) => drop(read.expect_err("it is not an object")),
        // A number out of range, half a surrogate pair, a nesting without end: in a field that is
        // not wanted they are skipped, but their form is checked.
        Err(_) if read.is_ok() => {
            let form = serde_json::from_str::<serde::de::IgnoredAny>(line);
            assert!(form.is_ok(), "{line}");
        }
        Err(_) => {}
    }
}

/// Each line of a text that has every line twice, the second time with its keys foreseen, has the
/// fields that it has alone.
fn among_others(wanted: &Fields, text: &str) {
    let twice: String = text.split_inclusive('\n').flat_map(|line| [line, "\n", line]).collect();
    let (mut lines, mut values, mut others) = (Lines::new(wanted, &twice), Vec::new(), Vec::new());
    for expected in twice.split_inclusive('\n') {
        let (line, is_read) = lines.next(&mut values).expect("there are as many lines");
        assert_eq!(line, expected);
        let other = wanted.read_with_serde(line, &mut others);
        assert!(!is_read || other.is_ok() && values == others, "{values:?}, {others:?} in {line}");
    }
    assert_eq!(lines.next(&mut values), None);
}

/// The first line, and the others together.
fn head_and_rest(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n')
}

/// `0` and `*` lead into arrays, any other name into objects.
fn step(name: &str) -> Step {
    match (name, name.parse()) {
        ("*", _) => Step::Items,
        (_, Ok(at)) => Step::Item(at),
        (name, Err(_)) => Step::from(name),
    }
}

fn found<'j>(path: &str, document: &'j Json) -> Value<'j> {
    let mut values = vec![document];
    for name in path.split('.') {
        let of = |value: &'j Json| match step(name) {
            Step::Items => value.as_array().map(|items| items.iter().collect()).unwrap_or_default(),
            Step::Item(at) => value.get(at).into_iter().collect::<Vec<_>>(),
            Step::Field(name) => value.get(&*name).into_iter().collect(),
        };
        values = values.into_iter().flat_map(of).collect();
    }
    let is_many = path.split('.').any(|name| name == "*") && !values.is_empty();
    let mut values: Vec<_> = values.into_iter().map(|value| reference(Some(value))).collect();
    if is_many { Value::Many(values) } else { values.pop().unwrap_or_default() }
}

fn reference(value: Option<&Json>) -> Value<'_> {
    match value {
        Some(Json::Bool(value)) => Value::Bool(*value),
        Some(Json::String(text)) => Value::Text(text.as_str().into()),
        Some(Json::Number(number)) => {
            let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
            let float = || Number::from(number.as_f64().expect("every number has a nearest float"));
            Value::Number(integer.map_or_else(float, Number::Integer))
        }
        Some(Json::Null) => Value::Null,
        Some(Json::Array(_) | Json::Object(_)) => Value::Opaque,
        None => Value::Missing,
    }
}

/// A field and a literal, a formula, then a line: the six comparisons agree with each other, and a
/// derived number is finite.
pub fn filter(data: &[u8]) {
    let Some((operands, rest)) = head_and_rest(data) else { return };
    let Some((formula, line)) = rest.split_once('\n') else { return };
    let (field, literal) = operands.split_once(' ').unwrap_or((operands, ""));
    let is_alone = !field.contains(['=', '<', '>', '~']); // else the sign below is not the first
    let mut scope = Scope::default();
    let mut values = Vec::new();
    let derive = Derive::parse(formula, &mut scope);
    drop(Condition::parse(operands, &mut scope)); // whatever it is
    let conditions = ["=", "!=", "<", "<=", ">", ">="]
        .map(|sign| Condition::parse(&format!("{field}{sign}{literal}"), &mut scope));
    if scope.fields.read(line, &mut values).is_err() {
        return;
    }
    if let Ok(derive) = derive {
        derive.apply(&mut values);
    }
    let finite =
        |value: &Value<'_>| !matches!(value, Value::Number(number) if !number.as_f64().is_finite());
    assert!(values.iter().all(finite), "{formula} of {line}");
    let met = conditions.map(|condition| Some(condition.ok()?.is_met(&values)));
    if let [Some(equal), Some(unequal), order @ ..] = met
        && is_alone
    {
        assert_eq!(unequal, !equal, "{operands} in {line}");
        if let [Some(below), Some(at_most), Some(above), Some(at_least)] = order {
            assert_eq!(at_most, below || equal, "{operands} in {line}");
            assert_eq!(at_least, above || equal, "{operands} in {line}");
            let holds = [equal, below, above].iter().filter(|met| **met).count();
            assert!(holds <= 1 || field.contains("[*]"), "{operands} in {line}");
        }
    }
}

/// A time as text: if it can be read, it can be printed, and reading that gives the same time.
pub fn times(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let clock = Clock::new("auto", "UTC").expect("it is the default");
    let millis = |text: &str| clock.millis(&Value::Text(text.into()));
    let Some(read) = millis(text) else { return };
    if let Ok(parsed) = text.parse::<jiff::Timestamp>() {
        assert_eq!(parsed.as_millisecond(), read, "{text}"); // RFC 3339 as the full parser reads it
    }
    let printed = rfc3339(read);
    assert_eq!(millis(&printed), Some(read), "{printed}");
}

/// A chunk as a source would send it: every event is filtered, dead or accepted exactly once, and
/// is not altered.
pub fn chunks(data: &[u8]) {
    static JOB: LazyLock<Job> = LazyLock::new(job);

    let framing = Framing { max_line: 64, runtime: None };
    for segment in split(Splitter::new(0, Parts::default(), framing), data, 1000) {
        let (events, kind) = (segment.events(), segment.kind);
        let (parsed, bytes) = parse("a \"b\"", segment, &JOB, None);
        assert_eq!(parsed.filtered + parsed.dead + parsed.accepted, events);
        check_outputs(&parsed, &bytes, kind);
    }
}

fn job() -> Job {
    let config: Config = toml::from_str(
        "stdin = true\nwhere = ['a!=1']\nby = ['k.x']\np = 'v'\nmax-line = '64'
        out = ['file', 'tcp://host']\naggregates = 'windows'",
    )
    .expect("they are settings");
    Job::compile(&config.load(None).expect("it can work")).expect("it can work")
}

fn check_outputs(parsed: &Parsed, bytes: &[u8], kind: Kind) {
    let plain: Vec<_> = parsed.plain.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(plain.len() as u64, parsed.accepted);
    let bare = |line: &'_ [u8]| {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        line[hole(line)..].to_vec()
    };
    let mut lines = bytes.split(|byte| *byte == b'\n').map(bare);
    for accepted in plain {
        assert!(lines.any(|line| line == accepted[..accepted.len() - 1]), "in the order of input");
    }
    assert_eq!(parsed.rows.list.len() as u64, parsed.accepted);
    for line in parsed.tagged.split_inclusive(|byte| *byte == b'\n') {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok(), "{line:?}");
    }
    let letters = parsed.letters.split_inclusive(|byte| *byte == b'\n');
    let letters: Vec<Json> =
        letters.map(|letter| serde_json::from_slice(letter).expect("a letter is JSON")).collect();
    match kind {
        Kind::Lines | Kind::Pieces { .. } | Kind::Hole | Kind::Position => {
            assert_eq!(letters.len() as u64, parsed.dead);
        }
        Kind::Part(_) | Kind::Broken(_) => assert_eq!(letters.len(), 1),
    }
    assert!(letters.iter().all(|letter| letter["source"] == "a \"b\""));
}

/// A checkpoint file, or its content behind the checksum: it is read as it was written, any altered
/// byte is noticed, and windows can be restored from it.
pub fn checkpoints(data: &[u8]) {
    drop(decode(data)); // the checksum is right once in four billion times
    let sealed = |body: &[u8]| {
        let mut file = head(body).into_bytes();
        file.extend_from_slice(body);
        file
    };
    let Ok(checkpoint) = decode(&sealed(data)) else { return };
    let mut file = encode(&checkpoint);
    let again = decode(&file).expect("it was just written");
    assert_eq!(encode(&again), file);
    let at = data.len() * 31 % file.len();
    file[at] ^= 1;
    drop(decode(&file).expect_err("a byte is altered"));
    if let Some(saved) = again.windows {
        let mut windows = Windows::new(1000, 0, 100);
        windows.restore(saved);
        drop(windows.close(i64::MAX));
    }
}

/// A TOML file: settings that are accepted can be printed, and mean the same when they are read
/// back.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    let Ok(config) = config.load(None) else { return };
    let printed = config.explain();
    let again: Config = toml::from_str(&printed).expect("settings are printed as TOML");
    let http_header = again.http_header.clone(); // without the values, which are not shown
    assert_eq!(again, Config { http_header, ..config }, "{printed}");
}
