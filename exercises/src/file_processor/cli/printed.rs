use std::fmt::Arguments;
use std::io::{self, Write};

use crate::file_processor::report::{Bar, ErrorLog, Printer};
use crate::file_processor::row::{Row, Status};
use crate::file_processor::run::Rows;
use crate::terminal::plain;

/// Prints what a run finds.
pub(super) struct Printed<'a, W> {
    pub(super) printer: Printer<W>,
    pub(super) log: Option<ErrorLog>,
    pub(super) errors_to_stderr: bool,
    pub(super) bar: &'a Bar,
    pub(super) notes: bool,
    /// What is to be sorted before it is printed.
    pub(super) held: Option<Vec<Row>>,
    /// Whether each row is flushed at once, because a reader may be waiting for it.
    pub(super) at_once: bool,
}

impl<W: Write> Rows for &mut Printed<'_, W> {
    fn row(&mut self, row: Row) {
        match &row.outcome {
            Status::Failed(failure) => {
                if let Some(log) = &mut self.log {
                    log.push(&row.path, failure);
                }
                if self.errors_to_stderr {
                    let (path, failure) = (plain(&row.path), failure.to_string());
                    self.say(format_args!("file-processor: {path}: {}", plain(&failure)));
                }
            }
            Status::Note(note) if self.notes => {
                self.say(format_args!("note: {}: {}", plain(&row.path), plain(note)));
            }
            Status::Counted(_) | Status::Binary | Status::Note(_) => {}
        }
        match &mut self.held {
            Some(held) => held.push(row),
            None => self.printer.row(&row),
        }
    }

    fn idle(&mut self) {
        if self.at_once {
            self.printer.flush();
        }
    }
}

impl<W> Printed<'_, W> {
    fn say(&self, line: Arguments<'_>) {
        self.bar.suspend(|| say(line));
    }
}

/// A line on stderr.
pub(super) fn say(line: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}"); // nobody is left to tell if that is closed
}
