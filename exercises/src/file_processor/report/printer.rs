use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::csv::Csv;
use super::failures::Failures;
use super::json::Json;
use super::table::Table;
use super::wc::Wc;
use super::{By, Columns, Counts, Outcome, Row, Summary};

/// How to print the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FormatName {
    /// For people: aligned, with a heading, the errors at the foot.
    #[default]
    Table,
    /// What `wc` prints, the errors on stderr.
    Wc,
    /// One object.
    Json,
    /// An object for each file, and one for the total at the end.
    Ndjson,
    /// Comma-separated, with a heading, the errors on stderr.
    Csv,
}

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

/// Prints rows as they come, and the summary with all that failed at the end.
pub struct Report<W> {
    out: W,
    listing: Listing,
    format: Box<dyn Format>,
    failures: Failures,
    /// The first failure to note a failure, which ends no run either.
    trouble: io::Result<()>,
}

/// A way of printing. What it writes to does the buffering.
pub(super) trait Format {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()>;

    fn end(&mut self, out: &mut dyn Write, summary: &Summary, failures: Failures)
    -> io::Result<()>;
}

impl<W: Write> Report<W> {
    /// A report on `out`; the failures also go to the file `errors`, as lines of JSON.
    pub fn new(out: W, format: FormatName, listing: Listing, errors: Option<File>) -> Self {
        let format: Box<dyn Format> = match format {
            FormatName::Table => Box::new(Table::new(listing)),
            FormatName::Wc => Box::new(Wc::new(listing)),
            FormatName::Json => Box::new(Json::new(listing, true)),
            FormatName::Ndjson => Box::new(Json::new(listing, false)),
            FormatName::Csv => Box::new(Csv::new(listing)),
        };
        Self { out, listing, format, failures: Failures::new(errors), trouble: Ok(()) }
    }

    /// Takes a row. What goes wrong by that is said at the [`end`](Self::end).
    pub fn row(&mut self, row: &Row) {
        let written = match &row.outcome {
            Outcome::Counted(counts) if self.listing.files => {
                self.format.row(&mut self.out, &row.path, counts)
            }
            Outcome::Failed(failure) => self.failures.push(&row.path, failure),
            Outcome::Counted(_) | Outcome::Note(_) => Ok(()),
        };
        if self.trouble.is_ok() {
            self.trouble = written;
        }
    }

    /// Prints what is left.
    ///
    /// # Errors
    ///
    /// If anything could not be written: here, in `--errors`, or where failures wait.
    pub fn end(mut self, summary: &Summary) -> io::Result<()> {
        self.format.end(&mut self.out, summary, self.failures)?;
        self.out.flush()?;
        self.trouble
    }
}

/// One line on stderr for each failure, as `wc` does it. Nobody is left to tell if stderr is
/// closed as well.
pub(super) fn complain(failures: Failures) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for item in failures.drain()? {
        let (path, failure) = item?;
        let _ = writeln!(stderr, "file-processor: {}: {failure}", super::table::plain(&path));
    }
    Ok(())
}
