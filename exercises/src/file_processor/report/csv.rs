use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::format::{Format, Listing};
use crate::file_processor::columns::{Column, Counts};
use crate::file_processor::row::{Summary, Total};
use crate::terminal::plain;

/// `--format csv`: one table, of files, groups, words, or (if none of them is listed) the total.
pub(crate) struct Csv {
    listing: Listing,
    headed: bool,
}

impl Csv {
    pub(crate) const fn new(listing: Listing) -> Self {
        Self { listing, headed: false }
    }

    /// The heading, once.
    fn head(&mut self, out: &mut dyn Write, first: &[&'static str]) -> io::Result<()> {
        if std::mem::replace(&mut self.headed, true) {
            return Ok(());
        }
        let columns = self.listing.columns.iter().map(Column::name);
        let record = first.iter().copied().chain(columns);
        write_record(out, record.map(str::as_bytes))
    }

    /// A path or a word: exact, unless it is printed to a terminal.
    fn text<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.listing.terminal {
            plain(OsStr::from_bytes(text)).to_string().into_bytes().into()
        } else {
            text.into()
        }
    }

    fn numbers(&self, counts: &Counts) -> Vec<String> {
        self.listing.columns.iter().map(|column| counts.get(column).to_string()).collect()
    }

    fn sum(&mut self, out: &mut dyn Write, group: Option<&[u8]>, sum: &Total) -> io::Result<()> {
        let files = sum.files.to_string();
        let numbers = self.numbers(&sum.counts);
        let fields = group.into_iter().chain([files.as_bytes()]);
        write_record(out, fields.chain(numbers.iter().map(String::as_bytes)))
    }
}

impl Format for Csv {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.head(out, &["path"])?;
        let numbers = self.numbers(counts);
        let path = self.text(path.as_os_str().as_bytes());
        write_record(out, [&*path].into_iter().chain(numbers.iter().map(String::as_bytes)))
    }

    fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if self.listing.top {
            write_record(out, [&b"word"[..], b"count"])?;
            for (word, count) in &summary.top {
                write_record(out, [&*self.text(word), count.to_string().as_bytes()])?;
            }
        } else if let Some(by) = self.listing.by {
            self.head(out, &[by.name(), "files"])?;
            for (group, total) in &summary.groups {
                let group = self.text(group.as_bytes()).into_owned();
                self.sum(out, Some(&group), total)?;
            }
        } else if self.listing.files {
            self.head(out, &["path"])?;
        } else {
            self.head(out, &["files"])?;
            self.sum(out, None, &summary.total)?;
        }
        Ok(())
    }
}

/// A line of RFC 4180, ended as on Unix: a field is quoted if it contains a comma, a quote or a
/// line end.
fn write_record<'a>(
    out: &mut dyn Write,
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> io::Result<()> {
    for (nth, field) in fields.into_iter().enumerate() {
        if nth > 0 {
            out.write_all(b",")?;
        }
        if !field.iter().any(|byte| b",\"\r\n".contains(byte)) {
            out.write_all(field)?;
            continue;
        }
        for (nth, part) in field.split(|byte| *byte == b'"').enumerate() {
            out.write_all(if nth > 0 { b"\"\"" } else { b"\"" })?;
            out.write_all(part)?;
        }
        out.write_all(b"\"")?;
    }
    out.write_all(b"\n")
}
