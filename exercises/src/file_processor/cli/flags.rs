use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::file_processor::columns::{Column, Columns, Counts};
use crate::file_processor::count::Whitespace;
use crate::file_processor::report::{FormatName, TotalWhen};
use crate::file_processor::row::By;

/// The flags of `wc`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags are bools")]
#[command(next_help_heading = "What to count")]
pub(super) struct ColumnFlags {
    /// Count lines
    #[arg(short, long)]
    lines: bool,

    /// Count words
    #[arg(short, long)]
    words: bool,

    /// Count bytes; -l, -w and -c are the default
    #[arg(short = 'c', long)]
    bytes: bool,

    /// Count characters
    #[arg(short = 'm', long)]
    chars: bool,

    /// Find the length of the longest line, in characters; with --format wc, in columns
    #[arg(short = 'L', long)]
    max_line_length: bool,

    /// What separates words: ASCII whitespace, or Unicode's [default: ascii; with --format wc, the
    /// spaces of wc]
    #[arg(long, value_enum)]
    pub(super) word_rule: Option<Whitespace>,
}

/// What is printed, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to print")]
pub(super) struct ReportFlags {
    /// List the N most frequent words of all files, of up to 256 bytes each
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(super) top: Option<NonZeroUsize>,

    /// List totals by `ext`, by `dir`, or of subtrees N levels deep: `dir=N`
    #[arg(long, value_name = "ext|dir|dir=N")]
    pub(super) by: Option<By>,

    /// Sort files and groups: the largest number first, paths by name; all rows are kept in memory
    #[arg(long, value_enum, value_name = "BY")]
    pub(super) sort: Option<SortBy>,

    /// Reverse the order of --sort
    #[arg(long, requires = "sort")]
    pub(super) reverse: bool,

    /// Leave out the rows of the files, as --total=only does
    #[arg(short, long, conflicts_with = "total")]
    summary: bool,

    /// When to print the total; `auto` is for more than one file
    #[arg(long, value_enum, value_name = "WHEN")]
    total: Option<TotalWhen>,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: FormatName,

    /// Also write the errors to FILE (`-`: stderr), a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(super) errors: Option<PathBuf>,

    /// No progress bar and no notes
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl ReportFlags {
    /// Refuses flags that the format cannot show.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (groups, words) = (self.by.is_some(), self.top.is_some());
        match self.format {
            FormatName::Wc if words || groups => {
                Err("wc has no words and no groups: use --top and --by with another --format")
            }
            FormatName::Csv if words && groups => {
                Err("a CSV is one table: use --top or --by, or another --format")
            }
            FormatName::Csv if self.total == Some(TotalWhen::Always) => {
                Err("a CSV is one table: use --total=only, or another --format")
            }
            FormatName::Json | FormatName::Ndjson if self.total == Some(TotalWhen::Never) => {
                Err("JSON always has its total: use another --format")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn total(&self) -> TotalWhen {
        if self.summary { TotalWhen::Only } else { self.total.unwrap_or_default() }
    }
}

impl ColumnFlags {
    pub(super) fn chosen(&self) -> Columns {
        let flags = [
            (self.lines, Column::Lines),
            (self.words, Column::Words),
            (self.chars, Column::Chars),
            (self.bytes, Column::Bytes),
            (self.max_line_length, Column::LongestLine),
        ];
        if flags.iter().all(|(asked, _)| !asked) {
            return Columns::default();
        }
        flags.into_iter().filter_map(|(asked, column)| asked.then_some(column)).collect()
    }
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SortBy {
    Lines,
    Words,
    Bytes,
    Path,
}

impl SortBy {
    pub(super) const fn column(self) -> Option<Column> {
        match self {
            Self::Lines => Some(Column::Lines),
            Self::Words => Some(Column::Words),
            Self::Bytes => Some(Column::Bytes),
            Self::Path => None,
        }
    }

    /// Sorts by the number in the column, the largest first, and equal ones by name.
    pub(super) fn sort<T>(
        self,
        items: &mut [T],
        reverse: bool,
        key: impl Fn(&T) -> (Counts, &OsStr),
    ) {
        items.sort_by(|a, b| {
            let ((a, a_name), (b, b_name)) = (key(a), key(b));
            let number = |counts: &Counts| self.column().map(|column| counts.get(column));
            let order = number(&b).cmp(&number(&a)).then_with(|| a_name.cmp(b_name));
            if reverse { order.reverse() } else { order }
        });
    }
}

/// What to do with a file that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Binary {
    /// Count it.
    Count,
    /// Leave it out, with a note.
    Skip,
}

/// How many of something, of which there is at least one.
pub(super) fn at_least_1(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number of at least 1".into())
}
