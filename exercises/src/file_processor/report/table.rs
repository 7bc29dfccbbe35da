use std::io::{self, Write};
use std::path::Path;

use super::failures::Failures;
use super::format::{Format, Listing};
use super::grid::{Grid, headings, numbers};
use crate::file_processor::columns::Counts;
use crate::file_processor::row::{By, Summary, Total};
use crate::file_processor::terminal::{escape, plain};

/// `--format table`: for people.
pub(crate) struct Table {
    listing: Listing,
    files: Grid,
    rows: u64,
}

impl Table {
    pub(crate) fn new(listing: Listing) -> Self {
        let files = Grid::with_headings(headings(listing.columns).chain(["file"]).collect());
        Self { listing, files, rows: 0 }
    }
}

impl Format for Table {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.rows += 1;
        self.files.row(out, numbers(self.listing.columns, counts), plain(path).into_bytes())
    }

    fn end(
        &mut self,
        out: &mut dyn Write,
        summary: &Summary,
        failures: Failures,
    ) -> io::Result<()> {
        if self.listing.top {
            top(out, summary)?;
        }
        if self.listing.by.is_some() {
            self.groups(out, summary)?;
        }
        self.total(out, &summary.total)?;
        foot(out, summary, failures)
    }
}

impl Table {
    fn total(&mut self, out: &mut dyn Write, total: &Total) -> io::Result<()> {
        if self.rows == 1 && total.files == 1 {
            return self.files.fix_widths(out);
        }
        let sums = numbers(self.listing.columns, &total.counts);
        self.files.fit(&sums);
        self.files.fix_widths(out)?;
        let files = if total.files == 1 { "file" } else { "files" };
        self.files.row(out, sums, format!("total of {} {files}", total.files).into_bytes())
    }

    fn groups(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        let by = self.listing.by.map_or("", By::name);
        let columns = headings(self.listing.columns);
        let mut grid =
            Grid::with_headings(["files"].into_iter().chain(columns).chain([by]).collect());
        for (group, total) in &summary.groups {
            let mut row = vec![total.files];
            row.extend(numbers(self.listing.columns, &total.counts));
            let name = if group.is_empty() { "(none)".into() } else { plain(Path::new(group)) };
            grid.row(out, row, name.into_bytes())?;
        }
        grid.fix_widths(out)?;
        writeln!(out)
    }
}

fn top(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let mut grid = Grid::with_headings(vec!["count", "word"]);
    for (word, count) in &summary.top {
        grid.row(out, vec![*count], escape(&String::from_utf8_lossy(word)).into_bytes())?;
    }
    grid.fix_widths(out)?;
    writeln!(out)
}

fn foot(out: &mut dyn Write, summary: &Summary, failures: Failures) -> io::Result<()> {
    if !summary.complete {
        writeln!(out, "\ninterrupted: these are the files that were read until then")?;
    }
    if summary.failed > 0 {
        let errors = if summary.failed == 1 { "error" } else { "errors" };
        writeln!(out, "\n{} {errors}, not in the total:", summary.failed)?;
    }
    for item in failures.drain()? {
        let (path, failure) = item?;
        writeln!(out, "  {}: {failure}", plain(&path))?;
    }
    Ok(())
}
