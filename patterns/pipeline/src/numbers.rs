//! What flows through the chapter's pipeline: numbers, and what went wrong with one.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// A number, or why there is none. An error takes its number's place and flows on to the end, so
/// that nothing else is lost and the order stays.
pub type Item = Result<i64, Box<ItemError>>;

/// Why an item is no number.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// The square is beyond an `i64`.
    #[error("{0} * {0} does not fit into 64 bits")]
    Square(i64),
    /// The sum is beyond an `i64`.
    #[error("{0} + {1} does not fit into 64 bits")]
    Sum(i64, i64),
    /// A line of the input; lines are counted from 1.
    #[error("line {line}: `{text}` is not a whole number of 64 bits")]
    NotANumber {
        /// The line's number.
        line: u64,
        /// How it starts, in printable characters.
        text: String,
    },
    /// The input broke off.
    #[error("line {line}: cannot read: {source}")]
    Read {
        /// The line that could not be read.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads numbers, one a line.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    line: u64,
    /// The start of a line whose end has not been read yet.
    partial: Vec<u8>,
}

/// No number is longer than this, so the rest of a longer line need not be kept.
const LONGEST: usize = 64;

impl<R: BufRead> Lines<R> {
    /// Starts at line 1.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 1, partial: Vec::new() }
    }

    /// Adds the numbers of all lines that are there. It blocks only while there is no line at all,
    /// so a slow input is passed on line by line. Gives `false` at the end of the input.
    pub fn fill(&mut self, chunk: &mut VecDeque<Item>) -> bool {
        let before = chunk.len();
        while chunk.len() == before {
            match self.read(chunk) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    chunk.push_back(Err(ItemError::Read { line: self.line, source }.into()));
                    return false;
                }
            }
        }
        true
    }

    /// One read of the input, and the lines in it.
    fn read(&mut self, chunk: &mut VecDeque<Item>) -> io::Result<bool> {
        let buffer = self.reader.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            if !self.partial.is_empty() {
                chunk.push_back(number(&self.partial, self.line));
            }
            return Ok(false);
        }
        let mut lines = buffer.split(|byte| *byte == b'\n');
        let rest = lines.next_back().expect("a split gives at least one piece");
        for line in lines {
            if self.partial.is_empty() {
                chunk.push_back(number(line, self.line));
            } else {
                extend(&mut self.partial, line);
                chunk.push_back(number(&self.partial, self.line));
                self.partial.clear();
            }
            self.line += 1;
        }
        extend(&mut self.partial, rest);
        self.reader.consume(length);
        Ok(true)
    }
}

fn extend(partial: &mut Vec<u8>, more: &[u8]) {
    let room = LONGEST + 1 - partial.len();
    partial.extend_from_slice(&more[..more.len().min(room)]);
}

fn number(line: &[u8], at: u64) -> Item {
    let digits = line.trim_ascii();
    let number = str::from_utf8(digits).ok().filter(|_| line.len() <= LONGEST);
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        let start = &digits[..digits.len().min(LONGEST)];
        let text = String::from_utf8_lossy(start).escape_debug().to_string();
        ItemError::NotANumber { line: at, text }.into()
    })
}
