use std::io::{self, Write};
use std::path::Path;

use super::failures::Failures;
use crate::file_processor::columns::{Columns, Counts};
use crate::file_processor::row::{By, Summary};
use crate::file_processor::terminal::plain;

/// What to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing {
    /// What was counted.
    pub columns: Columns,
    /// What the files were added up by.
    pub by: Option<By>,
    /// Whether words were counted one by one.
    pub top: bool,
    /// Whether each file has a row.
    pub files: bool,
}

/// A way of printing. What it writes to does the buffering.
pub(crate) trait Format {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()>;

    fn end(&mut self, out: &mut dyn Write, summary: &Summary, failures: Failures)
    -> io::Result<()>;
}

/// One line on stderr for each failure, as `wc` does it. Nobody is left to tell if stderr is
/// closed as well.
pub(crate) fn print_failures(failures: Failures) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for item in failures.drain()? {
        let (path, failure) = item?;
        let _ = writeln!(stderr, "file-processor: {}: {failure}", plain(&path));
    }
    Ok(())
}
