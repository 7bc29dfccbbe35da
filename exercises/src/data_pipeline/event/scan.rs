//! The fast reader of the wanted fields: it cuts a text into lines while it scans it once, and builds
//! nothing for fields that are not wanted. It is as strict as `serde_json`. A line that it does not
//! accept, and a few that are merely unusual (deeply nested, half a surrogate pair in a key), are
//! left to the reader over `serde_json` in [`value`](super::value), which says what is wrong. The
//! fuzz target `fields` compares the two.

use std::borrow::Cow;

use super::keys::Keys;
use super::marks::Marks;
use super::number::parse;
use super::value::{Fields, Node, Number, Value};

/// The deepest nesting of objects and arrays, so that the stack stays small. Deeper ones are left
/// to `serde_json`.
const DEPTH: u32 = 64;

impl Fields {
    /// Reads `line` into `slots`, one for each wanted field. Of a repeated field the last counts.
    pub(crate) fn read<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<(), serde_json::Error> {
        match Lines::new(self, line).next(slots) {
            Some((whole, true)) if whole.len() == line.len() => Ok(()),
            _ => self.read_with_serde(line, slots),
        }
    }
}

/// The lines of a text.
pub(crate) struct Lines<'f, 'a> {
    fields: &'f Fields,
    text: &'a str,
    bytes: &'a [u8],
    /// The index of the next byte.
    at: usize,
    marks: Marks,
    keys: Keys<'f, 'a>,
}

/// What is wanted of a value.
struct Wanted<'f>(Option<&'f Node>);

impl<'f, 'a> Lines<'f, 'a> {
    pub(crate) fn new(fields: &'f Fields, text: &'a str) -> Self {
        let (bytes, marks, keys) = (text.as_bytes(), Marks::default(), Keys::default());
        Self { fields, text, bytes, at: 0, marks, keys }
    }

    /// The next line with its line feed, and whether its fields are in their `slots` now. If not,
    /// the line is left to `serde_json`; the slots may then hold anything.
    pub(crate) fn next(&mut self, slots: &mut Vec<Value<'a>>) -> Option<(&'a str, bool)> {
        let start = self.at;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let is_read = !self.fields.into_arrays && self.line(slots).is_some();
        if !is_read {
            self.at = start + memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        }
        Some((&self.text[start..self.at], is_read))
    }

    fn line(&mut self, slots: &mut Vec<Value<'a>>) -> Option<()> {
        self.fields.clear(slots);
        self.keys.begin();
        self.blanks();
        (self.peek()? == b'{').then(|| self.field(&self.fields.root, slots, DEPTH))??;
        self.blanks();
        if self.at < self.bytes.len() { self.take(b'\n') } else { Some(()) }
    }

    /// Moves past a key and its colon, and returns what is wanted of the value.
    #[inline]
    fn key(&mut self, parent: Option<&'f Node>) -> Option<Wanted<'f>> {
        let ahead = self.bytes.get(self.at..)?;
        if let Some((length, child)) = self.keys.next(ahead, parent) {
            self.at += length;
            return Some(Wanted(child));
        }
        self.other_key(parent)
    }

    /// The same for a key that is not the foreseen one.
    #[inline(never)]
    fn other_key(&mut self, parent: Option<&'f Node>) -> Option<Wanted<'f>> {
        let start = self.at;
        self.take(b'"')?;
        let is_plain = self.string()?;
        let child = match parent {
            Some(node) if is_plain => node.child(self.bytes.get(start + 1..self.at - 1)?),
            Some(node) => node.child(self.unescaped(start + 1)?.as_bytes()),
            None => None,
        };
        self.blanks();
        self.take(b':')?;
        self.keys.read(self.bytes.get(start..self.at)?, parent, child);
        Some(Wanted(child))
    }

    /// The rest of an object behind its brace. Only the fields of `node` are wanted.
    fn object(
        &mut self,
        node: Option<&'f Node>,
        slots: &mut [Value<'a>],
        depth: u32,
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.blanks();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let Wanted(child) = self.key(node)?;
            self.blanks();
            match child {
                Some(child) => {
                    child.forget(slots); // a repeated field replaces its value
                    self.field(child, slots, depth)?;
                }
                None => self.skip(depth)?,
            }
            self.blanks();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
            self.blanks();
        }
    }

    /// Reads a wanted value into its slot, and the fields below it into theirs.
    fn field(&mut self, node: &'f Node, slots: &mut [Value<'a>], depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                let start = self.at;
                if self.string()? {
                    let text = self.text.get(start..self.at - 1)?;
                    put(node, slots, Value::Text(Cow::Borrowed(text)));
                } else {
                    put(node, slots, Value::Text(Cow::Owned(self.unescaped(start)?)));
                }
            }
            b'-' | b'0'..=b'9' => put(node, slots, Value::Number(self.number()?)),
            b't' => put(node, slots, self.word("true").map(|()| Value::Bool(true))?),
            b'f' => put(node, slots, self.word("false").map(|()| Value::Bool(false))?),
            b'n' => put(node, slots, self.word("null").map(|()| Value::Null)?),
            b'{' => {
                self.at += 1;
                put(node, slots, Value::Opaque);
                self.object(Some(node), slots, depth)?;
            }
            _ => {
                self.skip(depth)?;
                put(node, slots, Value::Opaque);
            }
        }
        Some(())
    }

    /// Skips a value that is not wanted.
    #[inline]
    fn skip(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string().map(|_| ())
            }
            b'-' | b'0'..=b'9' => self.digits().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.skip_nested(depth),
        }
    }

    #[inline(never)]
    fn skip_nested(&mut self, depth: u32) -> Option<()> {
        if self.take(b'{').is_some() {
            return self.object(None, &mut [], depth);
        }
        self.take(b'[')?;
        self.array(depth)
    }

    /// The rest of an array behind its bracket.
    fn array(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.blanks();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.skip(depth)?;
            self.blanks();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
            self.blanks();
        }
    }

    /// The content of the string that was just passed.
    #[cold]
    fn unescaped(&self, start: usize) -> Option<String> {
        serde_json::from_str(self.text.get(start - 1..self.at)?).ok()
    }

    /// Moves past a string, and returns whether it has no escapes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        match self.marks.near(self.at) {
            Some(end) if self.bytes.get(end) == Some(&b'"') => {
                self.at = end + 1;
                Some(true)
            }
            _ => self.long_string(),
        }
    }

    /// The same for one that goes beyond its block or has escapes.
    #[inline(never)]
    fn long_string(&mut self) -> Option<bool> {
        let mut is_plain = true;
        loop {
            self.at = self.marks.next(self.bytes, self.at);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(is_plain);
                }
                b'\\' => self.escape()?,
                _ => return None, // a control byte
            }
            is_plain = false;
        }
    }

    fn escape(&mut self) -> Option<()> {
        let length = match self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(6)?
            }
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    fn number(&mut self) -> Option<Number> {
        let start = self.at;
        let is_whole = self.digits()?;
        let text = self.text.get(start..self.at)?;
        parse(text, is_whole)
    }

    /// Moves past a number, and returns whether it has neither a fraction nor an exponent. The
    /// caller checks what follows a zero.
    fn digits(&mut self) -> Option<bool> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.run_of_digits()?;
        }
        let has_fraction = self.take(b'.').map(|()| self.run_of_digits());
        let has_exponent = self.take(b'e').or_else(|| self.take(b'E')).map(|()| {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.run_of_digits()
        });
        match (has_fraction, has_exponent) {
            (None, None) => Some(true),
            (Some(None), _) | (_, Some(None)) => None,
            _ => Some(false),
        }
    }

    /// Skips digits, of which there must be at least one.
    fn run_of_digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(eight) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            // A digit becomes 0 to 9, and only such a byte leaves its highest bit 0. What a sum
            // carries goes to the bytes behind one that is no digit.
            let bytes = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
            let others =
                (bytes | bytes.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
            let digits = others.trailing_zeros() / 8;
            self.at += digits as usize;
            if digits < 8 {
                return (self.at > start).then_some(());
            }
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Skips blanks, of which a line feed is none here: it ends the line.
    #[inline]
    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte <= b' ' && b" \t\r".contains(&byte)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }
}

fn put<'a>(node: &Node, slots: &mut [Value<'a>], value: Value<'a>) {
    if let Some(slot) = node.slot {
        slots[slot] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise such a line would be read twice. The tests of `value` check the fields.
    #[test]
    fn no_usual_line_is_left_to_serde_json() {
        for line in [
            "{}",
            r#" { "a" : -1.5e3 , "c":[[],[1,"x"],{"d":{}}],"t":true,"f":false,"z":null}"#,
            r#"{"e":"\u00e9\n","k\u0065y":18446744073709551616,"a":{"b":"\"x\""},"a":"\ud83d\ude00"}"#,
        ] {
            let mut fields = Fields::default();
            fields.slot(["a"]);
            assert_eq!(Lines::new(&fields, line).next(&mut Vec::new()), Some((line, true)));
        }
    }
}
