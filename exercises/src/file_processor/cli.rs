//! The command line.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::RecordFlags;
use crossbeam_channel::Receiver;
use rustix::fs::{FileType, fstat};

use super::closed;
use super::columns::{Column, Columns, Counts};
use super::count::{Counter, Whitespace};
use super::report::{Bar, ErrorLog, FormatName, Listing, Printer, TotalWhen, long_words};
use super::row::{By, Outcome, Row, Summary};
use super::run::{CHUNK, Options, Rows, process};
use super::walk::Inputs;
use super::walk::filter::{Filter, FilterArgs, type_list};
use crate::installed;
use crate::terminal::plain;

/// Interrupted: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Descriptors that are not for files: the standard ones, the walk's directories, signals.
const OTHER_DESCRIPTORS: u64 = 24;

/// What `--help` says at its end, and the man page in sections of their own.
const AFTER_HELP: &str = "\
Exit status:
  0    all was read
  1    something failed; the rest is counted
  2    the command line is wrong
  130  interrupted by Ctrl-C or SIGTERM; what was read by then is printed

Examples:
  file-processor                            the current directory
  file-processor -l --type rust src tests   lines of Rust files in two directories
  file-processor --by ext --sort lines      totals by extension, the most lines first
  file-processor --top 10 docs              the ten most frequent words
  zcat log.gz | file-processor -l           stdin
  find . -print0 | file-processor --files0-from - --format json";

/// Counts lines, words and bytes of many files, in parallel.
///
/// Directories are walked; what .gitignore leaves out and hidden files do not count. `-` is stdin.
/// Without a path it counts stdin if that is a pipe or a file, and else the current directory.
#[derive(Debug, Parser)]
#[command(name = "file-processor", version, after_help = AFTER_HELP, args_override_self = true)]
struct Cli {
    /// Files and directories; `-` is stdin [default: stdin if it is a pipe or a file, else `.`]
    #[arg(value_name = "PATH", value_parser = any_path())]
    paths: Vec<PathBuf>,

    /// Read the paths from FILE (`-`: stdin), each with a NUL behind it
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    files0_from: Option<PathBuf>,

    #[command(flatten)]
    columns: ColumnFlags,

    #[command(flatten)]
    report: ReportFlags,

    #[command(flatten)]
    filter: FilterArgs,

    /// Print the types that --type knows, with their globs
    #[arg(long, help_heading = "Which files of a directory")]
    type_list: bool,

    /// Binary files, with a NUL in the first 8 KiB [default: count, with --top skip]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Which files of a directory")]
    binary: Option<Binary>,

    /// Threads; more than CPUs, such as 32, for a disk that is not cached
    /// [default: one for each CPU]
    #[arg(short, long, value_name = "N", help_heading = "How to run", value_parser = at_least_1)]
    jobs: Option<NonZeroUsize>,

    #[command(flatten, next_help_heading = "How to run")]
    record: RecordFlags,

    /// Panic in the N-th piece of work
    #[arg(long, value_name = "N", hide = true)]
    panic_at: Option<u64>,
}

/// The flags of `wc`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags are bools")]
#[command(next_help_heading = "What to count")]
struct ColumnFlags {
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

    /// What parts words: ASCII whitespace, or Unicode's
    #[arg(long, value_enum, default_value_t)]
    word_rule: Whitespace,
}

/// What is printed, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to print")]
struct ReportFlags {
    /// List the N most frequent words of all files, of up to 256 bytes each
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    top: Option<NonZeroUsize>,

    /// List totals by `ext`, by `dir`, or of subtrees N levels deep: `dir=N`
    #[arg(long, value_name = "ext|dir|dir=N")]
    by: Option<By>,

    /// Sort files and groups: the largest number first, paths by name; all rows are kept in memory
    #[arg(long, value_enum, value_name = "BY")]
    sort: Option<SortBy>,

    /// Turn the order of --sort around
    #[arg(long, requires = "sort")]
    reverse: bool,

    /// Leave out the rows of the files, as --total=only does
    #[arg(short, long, conflicts_with = "total")]
    summary: bool,

    /// When to print the total; `auto` is for more than one file
    #[arg(long, value_enum, value_name = "WHEN")]
    total: Option<TotalWhen>,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,

    /// Also write the errors to FILE (`-`: stderr), a JSON object a line
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,

    /// No progress bar and no notes
    #[arg(short, long)]
    quiet: bool,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SortBy {
    Lines,
    Words,
    Bytes,
    Path,
}

impl SortBy {
    const fn column(self) -> Option<Column> {
        match self {
            Self::Lines => Some(Column::Lines),
            Self::Words => Some(Column::Words),
            Self::Bytes => Some(Column::Bytes),
            Self::Path => None,
        }
    }

    /// Sorts by the number in the column, the largest first, and where these are equal by name.
    fn sort<T>(self, items: &mut [T], reverse: bool, key: impl Fn(&T) -> (Counts, &OsStr)) {
        items.sort_by(|a, b| {
            let ((a, a_name), (b, b_name)) = (key(a), key(b));
            let number = |counts: &Counts| self.column().map(|column| counts.get(column));
            let order = number(&b).cmp(&number(&a)).then_with(|| a_name.cmp(b_name));
            if reverse { order.reverse() } else { order }
        });
    }
}

fn counts(row: &Row) -> Counts {
    match row.outcome {
        Outcome::Counted(counts) => counts,
        _ => Counts::default(),
    }
}

/// What to do with a file that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Binary {
    /// Count it.
    Count,
    /// Leave it out, with a note.
    Skip,
}

/// A path may be empty: then it is an error, and the others are counted.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

fn at_least_1(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number of at least 1".into())
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli: Cli = parse(&std::env::args_os().collect::<Vec<_>>());
    if cli.type_list {
        return print_types();
    }
    let filter = cli.filter.build().unwrap_or_else(|err| usage(&err.to_string()));
    cli.report.check();
    if closed::stdout() {
        usage("stdout is closed: there is nowhere to print to");
    }
    if let Some(errors) = cli.report.errors.as_deref().filter(|errors| cli.reads(errors)) {
        usage(&format!("--errors {}: that file is to be counted", errors.display()));
    }
    // The first thing that is created, when all flags are known to be right.
    let log = cli.report.errors.as_deref().map(open_log);
    let interrupted = common::interrupted_channel();
    match cli.record.of(|| cli.run(filter, log, &interrupted)).and_then(|summary| Ok(summary?)) {
        Ok(summary) if !summary.complete => ExitCode::from(INTERRUPTED),
        Ok(summary) if summary.failed > 0 => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(err) => {
            say(format_args!("error: {}", plain(&err.to_string())));
            ExitCode::FAILURE
        }
    }
}

/// Parses the command line; says where a flag went that was here before.
fn parse(args: &[OsString]) -> Cli {
    let moved = |pair: &[OsString]| {
        pair[0] == "--words" && pair.get(1).is_some_and(|rule| rule == "unicode" || rule == "ascii")
            || pair[0].to_str().is_some_and(|arg| arg.starts_with("--words="))
    };
    let flags = args.iter().take_while(|arg| *arg != "--").count();
    if (0..flags).any(|at| moved(&args[at..args.len().min(at + 2)])) {
        usage("--words counts words; what parts them is --word-rule ascii or --word-rule unicode");
    }
    installed::parse()
}

fn open_log(path: &Path) -> ErrorLog {
    ErrorLog::create(path)
        .unwrap_or_else(|err| usage(&format!("--errors {}: {err}", path.display())))
}

fn print_types() -> ExitCode {
    let mut out = common::stdout();
    for (name, globs) in type_list() {
        // Stdout ends the program itself if it takes nothing more.
        let _ = writeln!(out, "{name}: {}", globs.join(", "));
    }
    ExitCode::SUCCESS
}

impl ReportFlags {
    /// Refuses what a format cannot show.
    fn check(&self) {
        match self.format {
            FormatName::Wc if self.top.is_some() || self.by.is_some() => {
                usage("wc has no words and no groups: use --top and --by with another --format");
            }
            FormatName::Csv if self.top.is_some() && self.by.is_some() => {
                usage("a CSV is one table: use --top or --by, or another --format");
            }
            FormatName::Csv if self.total == Some(TotalWhen::Always) => {
                usage("a CSV is one table: use --total=only, or another --format");
            }
            FormatName::Json | FormatName::Ndjson if self.total == Some(TotalWhen::Never) => {
                usage("JSON always has its total: use another --format");
            }
            _ => {}
        }
    }

    fn total(&self) -> TotalWhen {
        if self.summary { TotalWhen::Only } else { self.total.unwrap_or_default() }
    }
}

impl Cli {
    fn run(
        &self,
        filter: Filter,
        log: Option<ErrorLog>,
        interrupted: &Receiver<Infallible>,
    ) -> io::Result<Summary> {
        let inputs = self.inputs();
        let bar = Bar::new(!self.report.quiet);
        let options = self.options(filter);
        let report = &self.report;
        let format = report.format;
        let out = bar.clearing(common::stdout());
        let mut rows = Printed {
            printer: Printer::new(out, format, self.listing(), &inputs),
            errors_to_stderr: log.is_none() && !format.lists_failures(),
            log,
            bar: &bar,
            notes: !self.report.quiet,
            held: report.sort.map(|_| Vec::new()),
            at_once: matches!(inputs, Inputs::Listed(_)) || io::stdout().is_terminal(),
        };
        let summary = process(&inputs, &options, bar.progress(), interrupted, &mut rows);
        bar.clear();
        let mut summary = summary?;
        if let (Some(by), Some(mut held)) = (report.sort, rows.held.take()) {
            by.sort(&mut held, report.reverse, |row| (counts(row), row.path.as_os_str()));
            for row in &held {
                rows.printer.row(row);
            }
            by.sort(&mut summary.groups, report.reverse, |it| (it.1.counts, it.0.as_os_str()));
        }
        let printed = rows.printer.end(&summary);
        if !self.report.quiet {
            self.notes(&summary, &options.filter);
        }
        let logged = rows.log.map_or(Ok(()), ErrorLog::end);
        printed.and(logged)?;
        Ok(summary)
    }

    /// Says what a total may lack.
    fn notes(&self, summary: &Summary, filter: &Filter) {
        if summary.complete {
            let flags = filter.unmatched();
            flags.for_each(|flag| say(format_args!("note: no file matches {}", plain(flag))));
        }
        match summary.binary {
            0 => {}
            1 => say(format_args!("note: 1 binary file left out; --binary count counts it")),
            n => say(format_args!("note: {n} binary files left out; --binary count counts them")),
        }
        if let (FormatName::Csv, Some(note)) = (self.report.format, long_words(summary)) {
            say(format_args!("note: {note}"));
        }
    }

    /// Whether a file is one of those that are named, which creating it would empty.
    fn reads(&self, file: &Path) -> bool {
        let identity = |path: &Path| {
            path.metadata().ok().filter(Metadata::is_file).map(|it| (it.dev(), it.ino()))
        };
        let Some(file) = identity(file) else { return false };
        self.paths.iter().chain(&self.files0_from).any(|path| identity(path) == Some(file))
    }

    fn inputs(&self) -> Inputs {
        match &self.files0_from {
            Some(list) => Inputs::Listed(list.clone()),
            None if self.paths.is_empty() && stdin_has_input() => Inputs::Stdin,
            None => Inputs::Paths(self.paths.clone()),
        }
    }

    fn options(&self, filter: Filter) -> Options {
        let cpus = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let whitespace = self.columns.word_rule;
        let as_wc = self.report.format == FormatName::Wc;
        let sorted_by = self.report.sort.and_then(SortBy::column);
        let columns = self.columns.chosen().iter().chain(sorted_by).collect();
        let binary = self.binary.unwrap_or(match self.report.top {
            Some(_) => Binary::Skip,
            None => Binary::Count,
        });
        Options {
            counter: Counter { columns, whitespace, as_wc },
            top: self.report.top,
            by: self.report.by,
            jobs: self.jobs.unwrap_or(cpus).min(self.most_threads()),
            chunk: CHUNK,
            filter,
            skip_binary: binary == Binary::Skip,
            panic_at: self.panic_at,
        }
    }

    /// Each thread has a file open, and one more may wait for it in the queue of shared files.
    fn most_threads(&self) -> NonZeroUsize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = (limit.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS) / 2).max(1);
        let asked = self.jobs.map_or(0, |threads| threads.get() as u64);
        if asked > most && !self.report.quiet {
            say(format_args!("note: {most} threads, because of the limit of open files"));
        }
        NonZeroUsize::new(most as usize).unwrap_or(NonZeroUsize::MIN)
    }

    /// People and tables get the rows of the files, or what these add up to.
    fn listing(&self) -> Listing {
        let report = &self.report;
        let json = matches!(report.format, FormatName::Json | FormatName::Ndjson);
        let instead = !json && (report.top.is_some() || report.by.is_some());
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Listing {
            columns: self.columns.chosen(),
            by: report.by,
            top: report.top.is_some(),
            files: report.total() != TotalWhen::Only && !instead,
            total: report.total(),
            terminal,
            colors: terminal && !no_color,
        }
    }
}

impl ColumnFlags {
    fn chosen(&self) -> Columns {
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

/// Whether stdin was redirected to something that has an end.
fn stdin_has_input() -> bool {
    let kind = fstat(io::stdin().as_fd()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::RegularFile | FileType::Socket))
}

/// Prints what a run finds.
struct Printed<'a, W> {
    printer: Printer<W>,
    log: Option<ErrorLog>,
    errors_to_stderr: bool,
    bar: &'a Bar,
    notes: bool,
    /// What is to be sorted before it is printed.
    held: Option<Vec<Row>>,
    /// Whether somebody waits for each row.
    at_once: bool,
}

impl<W: Write> Rows for &mut Printed<'_, W> {
    fn row(&mut self, row: Row) {
        match &row.outcome {
            Outcome::Failed(failure) => {
                if let Some(log) = &mut self.log {
                    log.push(&row.path, failure);
                }
                if self.errors_to_stderr {
                    let (path, failure) = (plain(&row.path), failure.to_string());
                    self.say(format_args!("file-processor: {path}: {}", plain(&failure)));
                }
            }
            Outcome::Note(note) if self.notes => {
                self.say(format_args!("note: {}: {}", plain(&row.path), plain(note)));
            }
            Outcome::Counted(_) | Outcome::Binary | Outcome::Note(_) => {}
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
    fn say(&self, line: std::fmt::Arguments<'_>) {
        self.bar.suspend(|| say(line));
    }
}

fn usage(message: &str) -> ! {
    installed::usage_error::<Cli>(message)
}

fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}"); // nobody is left to tell if that is closed
}
