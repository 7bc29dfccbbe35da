use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::failures::Failures;
use super::format::{Format, Listing, print_failures};
use super::grid::{Grid, digits, numbers};
use crate::file_processor::columns::{Column, Counts};
use crate::file_processor::row::Summary;

/// The width that `wc` gives its columns when it cannot know the size of a file beforehand.
const UNKNOWN_SIZE: usize = 7;

/// `--format wc`: byte for byte what GNU `wc` prints for the same files, as long as there are
/// fewer than 1,000 of them. In a longer listing, the columns are wider.
pub(crate) struct Wc {
    listing: Listing,
    grid: Grid,
    rows: u64,
    columns: usize,
}

impl Wc {
    pub(crate) fn new(listing: Listing) -> Self {
        let columns = listing.columns.iter().count();
        Self { listing, grid: Grid::plain(columns), rows: 0, columns }
    }
}

impl Format for Wc {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.rows += 1;
        if path.as_os_str() == "-" && self.columns > 1 {
            self.grid.widen(UNKNOWN_SIZE);
        }
        self.grid.row(out, numbers(self.listing.columns, counts), quoted(path))
    }

    fn end(
        &mut self,
        out: &mut dyn Write,
        summary: &Summary,
        failures: Failures,
    ) -> io::Result<()> {
        let counts = &summary.total.counts;
        let alone = self.rows == 1 && summary.failed == 0;
        if !alone || self.columns > 1 {
            self.grid.widen(digits(counts.get(Column::Bytes)));
        }
        self.grid.fix_widths(out)?;
        if !alone {
            let name = if self.listing.files { "total" } else { "" };
            self.grid.row(out, numbers(self.listing.columns, counts), name.into())?;
        }
        print_failures(failures)
    }
}

/// A name with a line feed in it is quoted for the shell.
fn quoted(path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    if !name.contains(&b'\n') {
        return name.to_vec();
    }
    let mut parts: Vec<_> = name.split(|byte| *byte == b'\n').map(quote).collect();
    if name.ends_with(b"\n") {
        parts.pop();
        parts.push(Vec::new());
    }
    parts.join(&b"$'\\n'"[..])
}

fn quote(part: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = part.split(|byte| *byte == b'\'').collect();
    [b"'", &parts.join(&b"'\\''"[..])[..], b"'"].concat()
}
