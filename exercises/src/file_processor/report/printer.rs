use std::io::{self, Write};

use super::csv::Csv;
use super::format::{Format, Listing};
use super::json::Json;
use super::table::Table;
use super::wc::Wc;
use crate::file_processor::row::{Row, Status, Summary};
use crate::file_processor::walk::Inputs;

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

impl FormatName {
    /// Whether failures are part of what is printed; if not, they belong on stderr.
    pub const fn lists_failures(self) -> bool {
        matches!(self, Self::Table | Self::Json | Self::Ndjson)
    }
}

/// Prints rows as they come, and the summary with all that failed at the end.
pub struct Printer<W> {
    out: W,
    listing: Listing,
    format: Box<dyn Format>,
    /// The first failure to write a row.
    written: io::Result<()>,
}

impl<W: Write> Printer<W> {
    /// A printer to `out`, for what these inputs hold.
    pub fn new(out: W, format: FormatName, listing: Listing, inputs: &Inputs) -> Self {
        let format: Box<dyn Format> = match format {
            FormatName::Table => Box::new(Table::new(listing)),
            FormatName::Wc => Box::new(Wc::new(listing, inputs)),
            FormatName::Json => Box::new(Json::new(listing, true)),
            FormatName::Ndjson => Box::new(Json::new(listing, false)),
            FormatName::Csv => Box::new(Csv::new(listing)),
        };
        Self { out, listing, format, written: Ok(()) }
    }

    /// Takes a row. [`end`](Self::end) reports an error in writing it.
    pub fn row(&mut self, row: &Row) {
        match &row.outcome {
            Status::Counted(counts) if self.listing.files => {
                let written = self.format.row(&mut self.out, &row.path, counts);
                if self.written.is_ok() {
                    self.written = written;
                }
            }
            Status::Failed(failure) => self.format.failed(&row.path, failure),
            Status::Counted(_) | Status::Binary | Status::Note(_) => {}
        }
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) {
        let flushed = self.out.flush();
        if self.written.is_ok() {
            self.written = flushed;
        }
    }

    /// Prints what is left.
    ///
    /// # Errors
    ///
    /// If anything could not be written.
    pub fn end(mut self, summary: &Summary) -> io::Result<()> {
        self.format.end(&mut self.out, summary)?;
        self.out.flush()?;
        self.written
    }
}
