use std::fs::File;
use std::io::{self, Write};

use super::csv::Csv;
use super::failures::Failures;
use super::format::{Format, Listing};
use super::json::Json;
use super::table::Table;
use super::wc::Wc;
use crate::file_processor::row::{Outcome, Row, Summary};

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

/// Prints rows as they come, and the summary with all that failed at the end.
pub struct Printer<W> {
    out: W,
    listing: Listing,
    format: Box<dyn Format>,
    failures: Failures,
    /// The first failure to note a failure, which ends no run either.
    first_error: io::Result<()>,
}

impl<W: Write> Printer<W> {
    /// A printer to `out`; the failures also go to the file `errors`, as lines of JSON.
    pub fn new(out: W, format: FormatName, listing: Listing, errors: Option<File>) -> Self {
        let format: Box<dyn Format> = match format {
            FormatName::Table => Box::new(Table::new(listing)),
            FormatName::Wc => Box::new(Wc::new(listing)),
            FormatName::Json => Box::new(Json::new(listing, true)),
            FormatName::Ndjson => Box::new(Json::new(listing, false)),
            FormatName::Csv => Box::new(Csv::new(listing)),
        };
        Self { out, listing, format, failures: Failures::new(errors), first_error: Ok(()) }
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
        if self.first_error.is_ok() {
            self.first_error = written;
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
        self.first_error
    }
}
