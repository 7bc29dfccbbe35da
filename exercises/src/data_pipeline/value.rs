//! Reads the wanted fields out of a line of JSON, borrowed where they hold no escapes, and goes over
//! the rest. The whole line is validated all the same.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::de::IgnoredAny;

/// A field of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// Not there, `null`, or an array or object, none of which can be compared.
    #[default]
    Missing,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

/// An integer of 64 bits, exactly, or any other number as `f64`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.partial_cmp(right),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

/// The wanted fields: a tree of names, since `a.b` is the field `b` of the object `a`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    root: Node,
    slots: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<(Box<str>, Node)>,
}

impl Fields {
    /// The slot in which [`read`](Fields::read) puts the field with this path.
    pub(crate) fn slot(&mut self, path: &str) -> usize {
        let mut node = &mut self.root;
        for name in path.split('.') {
            let known = node.children.iter().position(|(child, _)| **child == *name);
            let at = known.unwrap_or_else(|| {
                node.children.push((name.into(), Node::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        *node.slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// A slot that no field of the line fills: for a derived field.
    pub(crate) fn spare_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Reads `line` into `slots`, one for each wanted field. Of a repeated field the last counts.
    /// `shape` comes from the line before, if there was one. The error says why this is not one
    /// JSON object.
    pub(crate) fn read<'n, 'a>(
        &'n self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
        shape: &mut Shape<'n, 'a>,
    ) -> Result<(), String> {
        slots.clear();
        slots.resize(self.slots, Value::Missing);
        let mut scanner = Scanner { line, at: 0 };
        let read = scanner.object(&self.root, slots, shape);
        // Or trailing garbage would pass.
        read.filter(|()| scanner.peek().is_none()).ok_or_else(|| reason(line))
    }
}

impl Node {
    fn child(&self, name: &Raw<'_>) -> Option<&Self> {
        let find = |name: &str| {
            self.children.iter().find(|(child, _)| **child == *name).map(|(_, node)| node)
        };
        if name.is_escaped { find(&name.text()?) } else { find(name.inside) }
    }

    /// Empties the slots of this field and of those below it.
    fn forget(&self, slots: &mut [Value<'_>]) {
        if let Some(slot) = self.slot {
            slots[slot] = Value::Missing;
        }
        self.children.iter().for_each(|(_, child)| child.forget(slots));
    }
}

/// The names of an object, each with its quotes and its colon, and which wanted fields they are: lines
/// that follow each other mostly have the same ones, and a comparison is faster than a search.
#[derive(Default)]
pub(crate) struct Shape<'n, 'a>(Vec<(&'a str, Option<&'n Node>)>);

/// Goes through a line once, and takes what `serde_json` takes: `fuzz::fields` compares them. With
/// the shape it takes a quarter less of the whole program's time. `None` stands for an error: what
/// is wrong is found out by `serde_json`.
struct Scanner<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Reads an object: the fields below `node` into their slots.
    fn object<'n>(
        &mut self,
        node: &'n Node,
        slots: &mut [Value<'a>],
        shape: &mut Shape<'n, 'a>,
    ) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            return self.expect(b'}');
        }
        for number in 0.. {
            self.name(node, shape, number)?;
            match shape.0[number].1 {
                Some(child) => self.field(child, slots)?,
                None => self.skip()?,
            }
            if self.peek()? == b'}' {
                break;
            }
            self.expect(b',')?;
        }
        self.expect(b'}')
    }

    /// Goes over a name and its colon, and puts it into the shape at its `number` unless it is there.
    fn name<'n>(&mut self, node: &'n Node, shape: &mut Shape<'n, 'a>, number: usize) -> Option<()> {
        self.peek()?;
        if let Some((name, _)) = shape.0.get(number)
            && self.line[self.at..].starts_with(name)
        {
            self.at += name.len();
            return Some(());
        }
        let start = self.at;
        let name = self.string()?;
        self.expect(b':')?;
        shape.0.truncate(number);
        shape.0.push((&self.line[start..self.at], node.child(&name)));
        Some(())
    }

    fn field(&mut self, node: &Node, slots: &mut [Value<'a>]) -> Option<()> {
        node.forget(slots); // what it held if it is repeated
        let value = match self.peek()? {
            b'{' if node.children.is_empty() => return self.skip(),
            b'{' => return self.object(node, slots, &mut Shape::default()),
            b'"' => Value::Text(self.string()?.text()?),
            b'-' | b'0'..=b'9' => Value::Number(number(self.number()?)?),
            b't' => self.word("true").map(|()| Value::Bool(true))?,
            b'f' => self.word("false").map(|()| Value::Bool(false))?,
            _ => return self.skip(),
        };
        if let Some(slot) = node.slot {
            slots[slot] = value;
        }
        Some(())
    }

    /// Goes over a value that nobody wants.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b'{' | b'[' => {
                let rest = serde_json::Deserializer::from_str(&self.line[self.at..]);
                let mut values = rest.into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                self.at += values.byte_offset();
                Some(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            _ => self.word("null"),
        }
    }

    fn string(&mut self) -> Option<Raw<'a>> {
        self.expect(b'"')?;
        let (bytes, start) = (self.line.as_bytes(), self.at);
        let (mut end, mut is_escaped) = (start, false);
        loop {
            end += plain(&bytes[end..]);
            match bytes.get(end)? {
                b'"' => break,
                b'\\' => is_escaped = true,
                _ => return None, // a control character
            }
            end += match bytes.get(end + 1)? {
                b'u' if bytes.get(end + 2..end + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                _ => return None,
            };
        }
        self.at = end + 1;
        Some(Raw { inside: &self.line[start..end], is_escaped })
    }

    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.take(|byte| byte == b'-');
        if !self.take(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.take(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.take(|byte| matches!(byte, b'e' | b'E')) {
            self.take(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Some(&self.line[start..self.at])
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let rest = &self.line.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.line[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// The next byte that is no white space; stays before it.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.line.as_bytes();
        let mut at = self.at;
        while matches!(bytes.get(at)?, b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        self.at = at;
        Some(bytes[at])
    }

    /// Goes over white space and `byte`.
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn take(&mut self, is_wanted: impl Fn(u8) -> bool) -> bool {
        let is_there = self.line.as_bytes().get(self.at).is_some_and(|byte| is_wanted(*byte));
        self.at += usize::from(is_there);
        is_there
    }
}

/// A string as it stands in the line, without its quotes.
struct Raw<'a> {
    inside: &'a str,
    is_escaped: bool,
}

impl<'a> Raw<'a> {
    /// What it stands for; nothing if half of a surrogate pair is missing.
    fn text(&self) -> Option<Cow<'a, str>> {
        if self.is_escaped {
            serde_json::from_str(&format!("\"{}\"", self.inside)).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(self.inside))
        }
    }
}

/// The value of a number in JSON, if there is one in the range of `f64`.
fn number(text: &str) -> Option<Number> {
    let integer =
        text.parse::<i64>().map(i128::from).or_else(|_| text.parse::<u64>().map(i128::from));
    let float = || serde_json::from_str(text).ok().map(Number::Float);
    integer.ok().map(Number::Integer).or_else(float)
}

/// How many bytes there are before the first quote, backslash or control character. Eight at a time:
/// a byte of a difference with `sign` is zero where the sign is.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
        let is = |sign: u8| below(word ^ (ONES * u64::from(sign)), 1);
        // Only above the first of them a borrow may leave a bit that means nothing.
        let found = (is(b'"') | is(b'\\') | below(word, 0x20)) & (ONES * 0x80);
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// Why a line is refused.
fn reason(line: &str) -> String {
    let read = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line);
    // It sees one line at a time and says "line 1" of each.
    let reason =
        |err: serde_json::Error| err.to_string().replacen(" at line 1 column ", " at column ", 1);
    read.map_or_else(reason, |_| "it is not one JSON object".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data_pipeline::fuzz;

    fn read<'a>(paths: &[&str], line: &'a str) -> Result<Vec<Value<'a>>, String> {
        let mut fields = Fields::default();
        let at: Vec<_> = paths.iter().map(|path| fields.slot(path)).collect();
        let mut slots = Vec::new();
        fields.read(line, &mut slots, &mut Shape::default())?;
        Ok(at.into_iter().map(|slot| slots[slot].clone()).collect())
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text))
    }

    #[test]
    fn wanted_fields_are_found_at_any_depth_and_escaped() {
        let line = r#"{"a":{"b":"x","skip":[1,{"b":2}]},"k\u0065y":"caf\u00e9","n":-7,"f":1.5}"#;
        let values = read(&["a.b", "key", "n", "f", "none"], line).unwrap();
        let number = |number| Value::Number(Number::Integer(number));
        let float = Value::Number(Number::Float(1.5));
        assert_eq!(values, [text("x"), text("café"), number(-7), float, Value::Missing]);
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let values = read(&["a"], r#"{"a":"plain"}"#).unwrap();
        assert!(matches!(values[0], Value::Text(Cow::Borrowed("plain"))));
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        assert_eq!(read(&["a"], r#"{"a":"x","a":"y"}"#).unwrap(), [text("y")]);
        assert_eq!(read(&["a"], r#"{"a":"x","a":{}}"#).unwrap(), [Value::Missing]);
        for last in ["1", "{}", r#"{"b":null}"#, r#"{"c":"x"}"#] {
            let line = format!(r#"{{"a":{{"b":"x"}},"a":{last}}}"#);
            assert_eq!(read(&["a.b"], &line).unwrap(), [Value::Missing], "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_one_json_object_is_refused() {
        for line in ["", "1", "[]", "{", r#"{"a":1}x"#, r#"{"b":tru}"#, r#"{"b":1,}"#, "{} {}"] {
            assert!(read(&["a"], line).is_err(), "{line}");
            assert!(read(&[], line).is_err(), "{line}, where nothing is wanted");
        }
        // Out of range and lone surrogates: refused where the field is wanted.
        assert!(read(&["a"], r#"{"a":1e400}"#).is_err());
        assert!(read(&["a"], r#"{"a":"\ud800"}"#).is_err());
    }

    const LINE: &str = r#" {"a":{"b":"x\n\u00e9\ud83d\ude00","s":[1,{"b":-2.5e+3}]},"k\u0065y" : "café",
        "n":-0,"big":18446744073709551616,"t":true,"f":false,"z":null,"a":{"b":0.5}} "#;

    proptest! {
        /// Both agree on what is an object, and on what is in it, however it is damaged.
        #[test]
        fn a_damaged_line_is_read_as_serde_json_reads_it(
            damage in proptest::collection::vec((0..LINE.len(), 0..4, any::<u8>()), 1..4)
        ) {
            let mut bytes = LINE.as_bytes().to_vec();
            for (at, kind, byte) in damage {
                let (at, other) = (at % bytes.len(), usize::from(byte) % bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, bytes[other]),
                    _ => bytes[at] = b"\"\\{}[],:0-.e u"[other % 14],
                }
            }
            let line = String::from_utf8_lossy(&bytes).replace('\n', " ");
            fuzz::fields(format!("a.b,a,key,n,big,t,f,z\n{line}").as_bytes());
        }
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let large = |n: i128| Number::Integer(n);
        assert!(large(9_007_199_254_740_993) > large(9_007_199_254_740_992));
        assert!(large(1) < Number::Float(1.5));
    }
}
