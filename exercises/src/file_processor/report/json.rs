//! `--format json` and `ndjson`: the same objects, as one document or one a line.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::failures::Failures;
use super::format::{Format, Listing};
use super::object::{FailedPath, text, write_json};
use crate::file_processor::columns::{Columns, Counts};
use crate::file_processor::row::{By, Failure, Frequency, Summary, Total};

/// Writes the files as they come, and everything else behind them.
pub(crate) struct Json {
    listing: Listing,
    /// One document, or one object a line.
    document: bool,
    rows: u64,
    failures: Failures,
}

impl Json {
    pub(crate) fn new(listing: Listing, document: bool) -> Self {
        Self { listing, document, rows: 0, failures: Failures::default() }
    }

    fn start_row(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.rows += 1;
        match (self.document, self.rows) {
            (true, 1) => writeln!(out, "{{\"files\":["),
            (true, _) => writeln!(out, ","),
            (false, _) => Ok(()),
        }
    }
}

impl Format for Json {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.start_row(out)?;
        let columns = self.listing.columns;
        write_json(out, &CountedPath { path, counts, columns })?;
        if self.document { Ok(()) } else { writeln!(out) }
    }

    fn failed(&mut self, path: &Path, failure: &Failure) {
        self.failures.push(path, failure);
    }

    fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        match (self.document, self.rows) {
            (true, 0) => writeln!(out, "{{\"files\":[],")?,
            (true, _) => write!(out, "\n],\n")?,
            (false, _) => write!(out, "{{")?,
        }
        let gap = if self.document { "\n" } else { "" };
        self.groups_and_top(out, summary, gap)?;
        write!(out, "\"total\":")?;
        let total = Sum { total: &summary.total, columns: self.listing.columns, group: None };
        write_json(out, &total)?;
        if summary.binary > 0 {
            write!(out, ",{gap}\"skipped_binary\":{}", summary.binary)?;
        }
        write!(out, ",{gap}\"errors\":[")?;
        for (number, (path, failure)) in self.failures.iter().enumerate() {
            write!(out, "{}{gap}", if number == 0 { "" } else { "," })?;
            let (path, failure) = (path.as_path(), &failure);
            write_json(out, &FailedPath { path, failure })?;
        }
        writeln!(out, "],{gap}\"complete\":{}}}", summary.complete)
    }
}

impl Json {
    fn groups_and_top(&self, out: &mut dyn Write, summary: &Summary, gap: &str) -> io::Result<()> {
        let columns = self.listing.columns;
        if let Some(by) = self.listing.by {
            let groups = summary.groups.iter().map(|(group, total)| (group.as_os_str(), total));
            let sum = |(group, total)| Sum { total, columns, group: Some((by, group)) };
            write!(out, "\"groups\":")?;
            array(&mut *out, groups.map(sum), gap)?;
        }
        if self.listing.top {
            write!(out, "\"top\":")?;
            array(&mut *out, summary.top.iter().map(RankedWord), gap)?;
            write!(out, "\"long_words\":{},{gap}", summary.long_words)?;
        }
        Ok(())
    }
}

fn array(
    out: &mut dyn Write,
    items: impl Iterator<Item = impl Serialize>,
    gap: &str,
) -> io::Result<()> {
    write!(out, "[")?;
    for (number, item) in items.enumerate() {
        write!(out, "{}{gap}", if number == 0 { "" } else { "," })?;
        write_json(out, &item)?;
    }
    write!(out, "],{gap}")
}

struct CountedPath<'a> {
    path: &'a Path,
    counts: &'a Counts,
    columns: Columns,
}

impl Serialize for CountedPath<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        text(&mut map, "path", self.path.as_os_str())?;
        columns(&mut map, self.counts, self.columns)?;
        map.end()
    }
}

/// A total, of all files or of a group.
struct Sum<'a> {
    total: &'a Total,
    columns: Columns,
    group: Option<(By, &'a OsStr)>,
}

impl Serialize for Sum<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((by, group)) = self.group {
            text(&mut map, by.name(), group)?;
        }
        map.serialize_entry("files", &self.total.files)?;
        columns(&mut map, &self.total.counts, self.columns)?;
        map.end()
    }
}

struct RankedWord<'a>(&'a Frequency);

impl Serialize for RankedWord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (word, count) = self.0;
        let mut map = serializer.serialize_map(None)?;
        text(&mut map, "word", OsStr::from_bytes(word))?;
        map.serialize_entry("count", count)?;
        map.end()
    }
}

fn columns<M: SerializeMap>(map: &mut M, counts: &Counts, which: Columns) -> Result<(), M::Error> {
    which.iter().try_for_each(|column| map.serialize_entry(column.name(), &counts.get(column)))
}
