//! Numbers from a reader, one a line.

use std::io::{self, BufRead, Read};

use pipeline::{Item, ItemError};

/// The longest line that can be a number, in bytes. The rest of a longer one is discarded.
const LONGEST: usize = 64;

/// Reads a number from each line; a read that fails is the last item. It blocks only while there is
/// no whole line, so a slow input is passed on line by line.
pub struct Lines<R> {
    reader: R,
    /// Lines begun so far.
    count: u64,
    line: Vec<u8>,
    ended: bool,
}

/// Why a line is not a number. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("line {line}: `{text}` is not a 64-bit integer")]
    NotANumber { line: u64, text: String },
    #[error("line {line}: cannot read: {source}")]
    Read { line: u64, source: io::Error },
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, count: 0, line: Vec::new(), ended: false }
    }

    /// Reads the start of the next line and skips the rest of it. Returns 0 at the end of the
    /// input.
    fn read(&mut self) -> io::Result<usize> {
        self.line.clear();
        let mut start = self.reader.by_ref().take(LONGEST as u64 + 1);
        let length = start.read_until(b'\n', &mut self.line)?;
        if length > LONGEST && !self.line.ends_with(b"\n") {
            self.reader.skip_until(b'\n')?;
        }
        Ok(length)
    }

    fn number(&self) -> Result<i64, LineError> {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let digits = line.trim_ascii();
        let number = str::from_utf8(digits).ok().filter(|_| line.len() <= LONGEST);
        number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
            let start = &digits[..digits.len().min(LONGEST)];
            let text = String::from_utf8_lossy(start).escape_debug().to_string();
            LineError::NotANumber { line: self.count, text }
        })
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.ended {
            return None;
        }
        self.count += 1;
        let number = match self.read() {
            Ok(0) => return None,
            Ok(_) => self.number(),
            Err(source) => {
                self.ended = true;
                Err(LineError::Read { line: self.count, source })
            }
        };
        Some(number.map_err(|err| ItemError::Source(err.into()).into()))
    }
}

#[cfg(test)]
mod tests;
