use std::io::{self, Write};

use anstyle::Style;

use crate::file_processor::columns::{Column, Columns, Counts};

/// Rows that are kept until the widths of the columns are known.
const HELD_ROWS: usize = 1000;

/// The width of a column in a listing that is longer than that.
const WIDE: usize = 12;

/// What stands between two columns.
const GAP: &str = "  ";

/// The spaces that one write may need: those of the widest column. A number has at most 20 digits
/// and 6 separators, and a heading is shorter.
const SPACES: [u8; 26] = [b' '; 26];

/// How a grid looks; a terminal gets a different look from a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Whether digits are grouped by thousands.
    pub(crate) grouped: bool,
    /// Whether headings and sums stand out.
    pub(crate) colors: bool,
}

/// Right-aligned numbers with a name behind them. A short listing is aligned exactly; a longer one
/// gets roomy columns and is written as it comes, so that its length costs no memory.
pub(crate) struct Grid {
    headings: Vec<&'static str>,
    widths: Vec<usize>,
    look: Look,
    held: Vec<(Vec<u64>, Vec<u8>)>,
    fixed: bool,
}

impl Grid {
    /// For people: a heading over each column, which is at least as wide, and over the names.
    pub(crate) fn new(headings: Vec<&'static str>, look: Look) -> Self {
        let widths = headings.iter().rev().skip(1).rev().map(|heading| heading.len()).collect();
        Self { headings, widths, look, held: Vec::new(), fixed: false }
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
            *width = (*width).max(self.look.width(*number));
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
        let bold = self.look.bold();
        if let [columns @ .., name] = &self.headings[..] {
            for (heading, width) in columns.iter().zip(&self.widths) {
                write!(out, "{bold}{heading:>width$}{bold:#}{GAP}")?;
            }
            writeln!(out, "{bold}{name}{bold:#}")?;
        }
        for (numbers, name) in std::mem::take(&mut self.held) {
            self.write(out, &numbers, &name)?;
        }
        Ok(())
    }

    /// Writes a row that stands out.
    pub(crate) fn sum(
        &mut self,
        out: &mut dyn Write,
        numbers: &[u64],
        name: &str,
    ) -> io::Result<()> {
        self.fit(numbers);
        self.fix_widths(out)?;
        let bold = self.look.bold();
        write!(out, "{bold}")?;
        self.cells(out, numbers, name.as_bytes())?;
        writeln!(out, "{bold:#}")
    }

    fn write(&self, out: &mut dyn Write, numbers: &[u64], name: &[u8]) -> io::Result<()> {
        self.cells(out, numbers, name)?;
        out.write_all(b"\n")
    }

    fn cells(&self, out: &mut dyn Write, numbers: &[u64], name: &[u8]) -> io::Result<()> {
        for (number, width) in numbers.iter().zip(&self.widths) {
            // `{number:>width$}` writes each space by itself.
            out.write_all(&SPACES[..width.saturating_sub(self.look.width(*number))])?;
            self.look.write(out, *number)?;
            out.write_all(GAP.as_bytes())?;
        }
        out.write_all(name)
    }
}

impl Look {
    fn bold(self) -> Style {
        if self.colors { Style::new().bold() } else { Style::new() }
    }

    /// How wide a number is.
    const fn width(self, number: u64) -> usize {
        let digits = match number.checked_ilog10() {
            Some(digits) => digits as usize + 1,
            None => 1,
        };
        digits + if self.grouped { (digits - 1) / 3 } else { 0 }
    }

    fn write(self, out: &mut dyn Write, number: u64) -> io::Result<()> {
        if !self.grouped || number < 1000 {
            return write!(out, "{number}");
        }
        self.write(out, number / 1000)?;
        write!(out, ",{:03}", number % 1000)
    }
}

/// The numbers of these columns, in their order.
pub(crate) fn numbers(columns: Columns, counts: &Counts) -> Vec<u64> {
    columns.iter().map(|column| counts.get(column)).collect()
}

/// The headings of these columns.
pub(crate) fn headings(columns: Columns) -> impl Iterator<Item = &'static str> {
    columns.iter().map(Column::name)
}
