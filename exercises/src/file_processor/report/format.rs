use std::io::{self, Write};
use std::path::Path;

use crate::file_processor::columns::{Columns, Counts};
use crate::file_processor::row::{By, Failure, Summary};

/// What to list.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Listing {
    /// What was counted.
    pub columns: Columns,
    /// What the files were added up by.
    pub by: Option<By>,
    /// Whether words were counted one by one.
    pub top: bool,
    /// Whether each file has a row.
    pub files: bool,
    /// When the total is printed.
    pub total: TotalWhen,
    /// Whether it is printed on a terminal: control characters in names are then shown as text.
    pub terminal: bool,
    /// Whether colours may be used.
    pub colors: bool,
}

/// When to print the total, as in `wc --total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TotalWhen {
    /// Unless there is only one file.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// The total, and no files.
    Only,
    /// Never.
    Never,
}

/// A way of printing. The writer behind it buffers.
pub(crate) trait Format {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()>;

    /// Keeps a failure for the end, if that is where this format lists them.
    fn failed(&mut self, _path: &Path, _failure: &Failure) {}

    fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()>;
}
