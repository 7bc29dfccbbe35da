use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::failures::Failures;
use super::format::{Format, Listing, TotalWhen};
use super::grid::{Grid, Look, headings, numbers};
use crate::file_processor::columns::Counts;
use crate::file_processor::count::LONGEST_WORD;
use crate::file_processor::row::{By, Failure, Summary, Total};
use crate::terminal::plain;

/// `--format table`: for people.
pub(crate) struct Table {
    listing: Listing,
    files: Grid,
    rows: u64,
    failures: Failures,
}

impl Table {
    pub(crate) fn new(listing: Listing) -> Self {
        let headings = headings(listing.columns).chain(["file"]).collect();
        let files = Grid::new(headings, look(listing));
        Self { listing, files, rows: 0, failures: Failures::default() }
    }
}

const fn look(listing: Listing) -> Look {
    Look { grouped: listing.terminal, colors: listing.colors }
}

impl Format for Table {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.rows += 1;
        let name = plain(path).to_string().into_bytes();
        self.files.row(out, numbers(self.listing.columns, counts), name)
    }

    fn failed(&mut self, path: &Path, failure: &Failure) {
        self.failures.push(path, failure);
    }

    fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if self.listing.top {
            self.top(out, summary)?;
        }
        if self.listing.by.is_some() {
            self.groups(out, summary)?;
        }
        self.total(out, &summary.total)?;
        self.foot(out, summary)
    }
}

impl Table {
    fn total(&mut self, out: &mut dyn Write, total: &Total) -> io::Result<()> {
        let alone = self.rows == 1 && total.files == 1;
        match self.listing.total {
            TotalWhen::Auto if alone => self.files.fix_widths(out),
            TotalWhen::Never if self.rows == 0 => Ok(()),
            TotalWhen::Never => self.files.fix_widths(out),
            TotalWhen::Auto | TotalWhen::Always | TotalWhen::Only => {
                let files = if total.files == 1 { "file" } else { "files" };
                let name = format!("total of {} {files}", total.files);
                self.files.sum(out, &numbers(self.listing.columns, &total.counts), &name)
            }
        }
    }

    fn groups(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        let by = self.listing.by.map_or("", By::name);
        let columns = headings(self.listing.columns);
        let headings = ["files"].into_iter().chain(columns).chain([by]).collect();
        let mut grid = Grid::new(headings, look(self.listing));
        for (group, total) in &summary.groups {
            let mut row = vec![total.files];
            row.extend(numbers(self.listing.columns, &total.counts));
            let name = if group.is_empty() { "(none)".into() } else { plain(group).to_string() };
            grid.row(out, row, name.into_bytes())?;
        }
        grid.fix_widths(out)?;
        writeln!(out)
    }

    fn top(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        let mut grid = Grid::new(vec!["count", "word"], look(self.listing));
        for (word, count) in &summary.top {
            let word = plain(OsStr::from_bytes(word)).to_string();
            grid.row(out, vec![*count], word.into_bytes())?;
        }
        grid.fix_widths(out)?;
        if let Some(note) = long_words(summary) {
            writeln!(out, "{note}")?;
        }
        writeln!(out)
    }

    fn foot(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if !summary.complete {
            writeln!(out, "\ninterrupted: these are the files that were read until then")?;
        }
        if summary.failed > 0 {
            let errors = if summary.failed == 1 { "error" } else { "errors" };
            let red = AnsiColor::Red.on_default();
            let red = if self.listing.colors { red } else { Style::new() };
            writeln!(out, "\n{red}{} {errors}, not in the total:{red:#}", summary.failed)?;
        }
        for (path, failure) in self.failures.iter() {
            writeln!(out, "  {}: {}", plain(&path), plain(&failure.to_string()))?;
        }
        Ok(())
    }
}

/// Says how many words had no rank, if there were any.
pub(crate) fn long_words(summary: &Summary) -> Option<String> {
    match summary.long_words {
        0 => None,
        1 => Some(format!("1 word of more than {LONGEST_WORD} bytes has no rank")),
        n => Some(format!("{n} words of more than {LONGEST_WORD} bytes have no rank")),
    }
}
