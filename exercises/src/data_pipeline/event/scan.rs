//! The fast reader of the wanted fields: it scans a line once, and builds nothing for fields that
//! are not wanted. It is as strict as `serde_json`. A line that it does not accept, and a few that
//! are merely unusual (deeply nested, half a surrogate pair in a key), are left to the reader over
//! `serde_json` in [`value`](super::value), which says what is wrong. The fuzz target `fields`
//! compares the two.

use std::borrow::Cow;

use super::value::{Fields, Node, Number, Value};

/// The deepest nesting of objects and arrays, so that the stack stays small. Deeper ones are left
/// to `serde_json`.
const DEPTH: u32 = 64;

/// How many bytes are examined together.
const BLOCK: usize = 64;

impl Fields {
    /// Reads `line` into `slots`, one for each wanted field. Of a repeated field the last counts.
    pub(crate) fn read<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<(), serde_json::Error> {
        self.clear(slots);
        let scanned = if self.into_arrays { None } else { scan(&self.root, line, slots) };
        scanned.map_or_else(|| self.read_with_serde(line, slots), Ok)
    }
}

/// Reads the fields of `root` out of a line into their empty slots. `None` leaves the line to
/// `serde_json`; the slots may then hold anything.
fn scan<'a>(root: &Node, line: &'a str, slots: &mut [Value<'a>]) -> Option<()> {
    let (bytes, block, marks) = (line.as_bytes(), usize::MAX, 0);
    let mut scanner = Scanner { line, bytes, at: 0, block, marks };
    scanner.blanks();
    (scanner.peek()? == b'{').then(|| scanner.field(root, slots, DEPTH))??;
    scanner.blanks();
    (scanner.at == line.len()).then_some(())
}

struct Scanner<'a> {
    line: &'a str,
    bytes: &'a [u8],
    /// The index of the next byte.
    at: usize,
    /// The block that the marks belong to.
    block: usize,
    marks: u64,
}

impl<'a> Scanner<'a> {
    /// The rest of an object behind its brace. Only the fields of `node` are wanted.
    fn object(&mut self, node: Option<&Node>, slots: &mut [Value<'a>], depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.blanks();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.take(b'"')?;
            let start = self.at;
            let is_plain = self.string()?;
            let child = match node {
                Some(node) if is_plain => node.child(self.bytes.get(start..self.at - 1)?),
                Some(node) => node.child(self.unescaped(start)?.as_bytes()),
                None => None,
            };
            self.blanks();
            self.take(b':')?;
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
    fn field(&mut self, node: &Node, slots: &mut [Value<'a>], depth: u32) -> Option<()> {
        let value = match self.peek()? {
            b'"' => {
                self.at += 1;
                Value::Text(self.text()?)
            }
            b'-' | b'0'..=b'9' => Value::Number(self.number()?),
            b't' => Value::Bool(self.word("true").map(|()| true)?),
            b'f' => Value::Bool(self.word("false").map(|()| false)?),
            b'n' => self.word("null").map(|()| Value::Null)?,
            b'{' => {
                self.at += 1;
                self.object(Some(node), slots, depth)?;
                Value::Opaque
            }
            _ => {
                self.skip(depth)?;
                Value::Opaque
            }
        };
        if let Some(slot) = node.slot {
            slots[slot] = value;
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

    /// The content of a string, from behind its first quote.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        if self.string()? {
            return Some(Cow::Borrowed(self.line.get(start..self.at - 1)?));
        }
        self.unescaped(start).map(Cow::Owned)
    }

    /// The content of the string that was just passed.
    #[cold]
    fn unescaped(&self, start: usize) -> Option<String> {
        serde_json::from_str(self.line.get(start - 1..self.at)?).ok()
    }

    /// Moves past a string, and returns whether it has no escapes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let ahead = self.marks >> (self.at % BLOCK);
        if self.block == self.at / BLOCK && ahead != 0 {
            let end = self.at + ahead.trailing_zeros() as usize;
            if self.bytes.get(end) == Some(&b'"') {
                self.at = end + 1;
                return Some(true);
            }
        }
        self.long_string()
    }

    /// The same for one that goes beyond its block or has escapes.
    #[inline(never)]
    fn long_string(&mut self) -> Option<bool> {
        let mut is_plain = true;
        loop {
            self.go_to_mark();
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

    /// Moves to the next quote, backslash or control byte, or past the end.
    fn go_to_mark(&mut self) {
        loop {
            let (block, offset) = (self.at / BLOCK, self.at % BLOCK);
            if block != self.block {
                let rest = self.bytes.get(block * BLOCK..).unwrap_or_default();
                self.marks = rest.first_chunk().map_or_else(
                    || {
                        let mut last = [0; BLOCK]; // a mark behind the end
                        last[..rest.len()].copy_from_slice(rest);
                        marks(&last)
                    },
                    marks,
                );
                self.block = block;
            }
            let ahead = self.marks >> offset;
            if ahead != 0 {
                self.at += ahead.trailing_zeros() as usize;
                return;
            }
            self.at = (block + 1) * BLOCK;
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
        let text = self.line.get(start..self.at)?;
        let whole = || {
            let signed = text.parse::<i64>().map(i128::from);
            signed.or_else(|_| text.parse::<u64>().map(i128::from)).ok()
        };
        match is_whole.then(whole).flatten() {
            Some(whole) => Some(Number::Integer(whole)),
            None => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Number::from),
        }
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
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    #[inline]
    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte <= b' ' && b" \t\n\r".contains(&byte)) {
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

/// One bit for each byte that is a quote, a backslash or a control byte. The compiler turns the
/// comparisons into SIMD; nothing here branches.
fn marks(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        let (is_quote, is_backslash) = (u8::from(*byte == b'"'), u8::from(*byte == b'\\'));
        *flag = is_quote | is_backslash | u8::from(*byte < b' ');
    }
    let (words, _) = flags.as_chunks();
    // The multiplication gathers the lowest bits of eight bytes in its highest byte.
    let bits = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().rev().fold(0, |marks, word| marks << 8 | bits(word))
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
            let mut slots = vec![Value::Missing];
            assert!(scan(&fields.root, line, &mut slots).is_some(), "{line}");
        }
    }
}
