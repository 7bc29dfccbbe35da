//! How long the longest line is: in characters, or in the columns of a terminal as in `wc -L`.

use unicode_width::UnicodeWidthChar;

/// The longest of the complete lines inside, and the lines that the edges cut, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineLengths {
    /// Whether a line feed is inside. If not, `head` and `tail` are the same.
    broken: bool,
    head: u64,
    longest: u64,
    tail: u64,
    starts_with_lf: bool,
    ends_with_cr: bool,
}

impl LineLengths {
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut lengths = Self {
            starts_with_lf: text.starts_with(b"\n"),
            ends_with_cr: text.ends_with(b"\r"),
            ..Self::default()
        };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            let line = &text[start..end];
            let length = chars(line.strip_suffix(b"\r").unwrap_or(line));
            if lengths.broken {
                lengths.longest = lengths.longest.max(length);
            } else {
                lengths.head = length;
                lengths.broken = true;
            }
            start = end + 1;
        }
        lengths.tail = chars(&text[start..]);
        if !lengths.broken {
            lengths.head = lengths.tail;
        }
        lengths
    }

    pub(crate) fn join(self, next: Self) -> Self {
        let crlf = self.ends_with_cr && next.starts_with_lf;
        let seam = self.tail + next.head - u64::from(crlf);
        let inside = if self.broken && next.broken { seam } else { 0 };
        Self {
            broken: self.broken || next.broken,
            head: if self.broken { self.head } else { seam },
            longest: self.longest.max(next.longest).max(inside),
            tail: if next.broken { next.tail } else { seam },
            starts_with_lf: self.starts_with_lf,
            ends_with_cr: next.ends_with_cr,
        }
    }

    pub(crate) fn longest(self) -> u64 {
        self.longest.max(self.head).max(self.tail)
    }
}

fn chars(line: &[u8]) -> u64 {
    bytecount::num_chars(line) as u64
}

/// The same in columns of a terminal. A line feed, a carriage return and a form feed start over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineWidths {
    /// Whether one of these is inside. If not, `head` and `tail` are the same.
    broken: bool,
    head: Width,
    longest: u64,
    tail: Width,
}

/// The width of a part of a line, for any column it may start in. A tab goes to the next multiple
/// of 8, so what follows the first tab does not depend on the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Width {
    before_tab: u64,
    after_tab: Option<u64>,
}

impl LineWidths {
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut widths = Self::default();
        for character in text.utf8_chunks().flat_map(|chunk| chunk.valid().chars()) {
            match character {
                '\n' | '\r' | '\x0c' => widths.end_line(),
                '\t' => widths.tail = widths.tail.then(Width::TAB),
                '\u{2028}' | '\u{2029}' => {} // glibc prints nothing for a separator
                ' '..='~' => widths.tail = widths.tail.then(Width::columns(1)),
                _ => {
                    let columns = character.width().unwrap_or(0) as u64;
                    widths.tail = widths.tail.then(Width::columns(columns));
                }
            }
        }
        if !widths.broken {
            widths.head = widths.tail;
        }
        widths
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.tail);
        if self.broken {
            self.longest = self.longest.max(line.from(0));
        } else {
            (self.head, self.broken) = (line, true);
        }
    }

    pub(crate) fn join(self, next: Self) -> Self {
        let seam = self.tail.then(next.head);
        let inside = if self.broken && next.broken { seam.from(0) } else { 0 };
        Self {
            broken: self.broken || next.broken,
            head: if self.broken { self.head } else { seam },
            longest: self.longest.max(next.longest).max(inside),
            tail: if next.broken { next.tail } else { seam },
        }
    }

    pub(crate) fn longest(self) -> u64 {
        self.longest.max(self.head.from(0)).max(self.tail.from(0))
    }
}

impl Width {
    const TAB: Self = Self { before_tab: 0, after_tab: Some(0) };

    const fn columns(columns: u64) -> Self {
        Self { before_tab: columns, after_tab: None }
    }

    /// The column in which it ends if it starts in this one.
    const fn from(self, column: u64) -> u64 {
        let tab = column + self.before_tab;
        match self.after_tab {
            None => tab,
            Some(after) => tab / 8 * 8 + 8 + after,
        }
    }

    /// The width of this part followed by the next one.
    const fn then(self, next: Self) -> Self {
        match self.after_tab {
            None => Self { before_tab: self.before_tab + next.before_tab, ..next },
            Some(after) => Self { after_tab: Some(next.from(after)), ..self },
        }
    }
}
