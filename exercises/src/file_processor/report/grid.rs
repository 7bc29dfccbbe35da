use std::io::{self, Write};

use crate::file_processor::columns::{Column, Columns, Counts};

/// Rows that are kept until the widths of the columns are known.
const HELD_ROWS: usize = 1000;

/// The width of a column in a listing that is longer than that.
const WIDE: usize = 12;

/// As many as the widest column: a number has 20 digits at most, and a heading fewer letters.
const SPACES: [u8; 20] = [b' '; 20];

/// Right-aligned numbers with a name behind them. A short listing is aligned exactly; a longer one
/// gets roomy columns and is written as it comes, so that its length costs no memory.
pub(crate) struct Grid {
    headings: Vec<&'static str>,
    widths: Vec<usize>,
    gap: &'static str,
    held: Vec<(Vec<u64>, Vec<u8>)>,
    fixed: bool,
}

impl Grid {
    /// For people: a heading over each column, which is at least as wide, and over the names.
    pub(crate) fn with_headings(headings: Vec<&'static str>) -> Self {
        let widths = headings.iter().rev().skip(1).rev().map(|heading| heading.len()).collect();
        Self { headings, widths, gap: "  ", held: Vec::new(), fixed: false }
    }

    /// As `wc` does it: no heading, and columns of one width.
    pub(crate) fn plain(columns: usize) -> Self {
        Self {
            headings: Vec::new(),
            widths: vec![1; columns],
            gap: " ",
            held: Vec::new(),
            fixed: false,
        }
    }

    pub(crate) fn row(
        &mut self,
        out: &mut dyn Write,
        numbers: Vec<u64>,
        name: Vec<u8>,
    ) -> io::Result<()> {
        if self.fixed {
            return self.write(out, &numbers, &name);
        }
        self.fit(&numbers);
        self.held.push((numbers, name));
        if self.held.len() < HELD_ROWS {
            return Ok(());
        }
        self.widen(WIDE);
        self.fix_widths(out)
    }

    /// Makes each column wide enough for these numbers.
    pub(crate) fn fit(&mut self, numbers: &[u64]) {
        for (width, number) in self.widths.iter_mut().zip(numbers) {
            *width = (*width).max(digits(*number));
        }
    }

    /// Makes all columns at least this wide.
    pub(crate) fn widen(&mut self, least: usize) {
        if !self.fixed {
            self.widths.iter_mut().for_each(|width| *width = (*width).max(least));
        }
    }

    /// Writes what has been held; from now on rows are written as they come.
    pub(crate) fn fix_widths(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.fixed, true) {
            return Ok(());
        }
        if let [columns @ .., name] = &self.headings[..] {
            for (heading, width) in columns.iter().zip(&self.widths) {
                write!(out, "{heading:>width$}{}", self.gap)?;
            }
            writeln!(out, "{name}")?;
        }
        for (numbers, name) in std::mem::take(&mut self.held) {
            self.write(out, &numbers, &name)?;
        }
        Ok(())
    }

    fn write(&self, out: &mut dyn Write, numbers: &[u64], name: &[u8]) -> io::Result<()> {
        for (at, (number, width)) in numbers.iter().zip(&self.widths).enumerate() {
            if at > 0 {
                out.write_all(self.gap.as_bytes())?;
            }
            // `{number:>width$}` writes each space by itself.
            out.write_all(&SPACES[..width.saturating_sub(digits(*number))])?;
            write!(out, "{number}")?;
        }
        out.write_all(self.gap.as_bytes())?;
        out.write_all(name)?;
        out.write_all(b"\n")
    }
}

/// The numbers of these columns, in their order.
pub(crate) fn numbers(columns: Columns, counts: &Counts) -> Vec<u64> {
    columns.iter().map(|column| counts.get(column)).collect()
}

/// How many digits a number has.
pub(crate) const fn digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(digits) => digits as usize + 1,
        None => 1,
    }
}

/// The headings of these columns.
pub(crate) fn headings(columns: Columns) -> impl Iterator<Item = &'static str> {
    columns.iter().map(Column::name)
}
