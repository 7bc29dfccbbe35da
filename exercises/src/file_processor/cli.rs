//! The command line.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use common::RecordFlags;
use crossbeam_channel::Receiver;

use super::columns::{Column, Columns};
use super::count::{Counter, Whitespace};
use super::report::{Bar, FormatName, Listing, Printer};
use super::row::{By, Outcome, Row, Summary};
use super::run::{CHUNK, Options, process};
use super::terminal::plain;
use super::walk::Inputs;
use super::walk::filter::{Filter, FilterArgs};

/// Interrupted: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Descriptors that are not for files: the standard ones, the walk's directories, signals.
const OTHER_DESCRIPTORS: u64 = 24;

/// Counts lines, words and bytes of many files, in parallel.
///
/// Directories are walked; what .gitignore leaves out and hidden files do not count. `-` is stdin.
/// Exit status: 0 if all was read, 1 if something failed (the rest is counted), 2 for a usage
/// error, 130 if interrupted.
#[derive(Debug, Parser)]
#[command(name = "file-processor", version)]
struct Cli {
    /// Files and directories [default: the current directory]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    columns: ColumnFlags,

    /// What parts words: ASCII whitespace, or Unicode's
    #[arg(long = "words", value_enum, default_value_t)]
    whitespace: Whitespace,

    /// List the N most frequent words of all files
    #[arg(long, value_name = "N")]
    top: Option<NonZeroUsize>,

    /// List totals by extension or by directory
    #[arg(long, value_enum)]
    by: Option<By>,

    /// Leave out the rows of the files
    #[arg(short, long)]
    summary: bool,

    #[command(flatten)]
    filter: FilterArgs,

    /// Read the paths from FILE (`-`: stdin), each with a NUL behind it
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    files0_from: Option<PathBuf>,

    /// Threads that count at the same time [default: one for each CPU]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Threads that read: more than jobs, such as 32, for a disk that is not cached
    /// [default, and least: as many as jobs]
    #[arg(long, value_name = "N")]
    io_threads: Option<NonZeroUsize>,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,

    /// Also write the errors to FILE, a JSON object a line
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,

    /// No progress bar and no notes
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    record: RecordFlags,

    /// Panic in the N-th piece of work
    #[arg(long, value_name = "N", hide = true)]
    panic_at: Option<u64>,
}

/// The letters of `wc`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags are bools")]
struct ColumnFlags {
    /// Count lines
    #[arg(short)]
    lines: bool,

    /// Count words
    #[arg(short)]
    words: bool,

    /// Count bytes; -l, -w and -c are the default
    #[arg(short = 'c')]
    bytes: bool,

    /// Count characters
    #[arg(short = 'm')]
    chars: bool,

    /// Find the length of the longest line, in characters
    #[arg(short = 'L')]
    longest_line: bool,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let mut cli: Cli = crate::installed::parse();
    let filter = cli.filter.build().unwrap_or_else(|err| usage(&err.to_string()));
    let errors = cli.errors.as_ref().map(|path| {
        File::create(path).unwrap_or_else(|err| usage(&format!("{}: {err}", plain(path))))
    });
    if cli.format == FormatName::Csv && cli.top.is_some() && cli.by.is_some() {
        usage("a CSV is one table: use --top or --by, or another format");
    }
    let inputs = cli.files0_from.take().map(Inputs::Listed);
    let inputs = inputs.unwrap_or_else(|| Inputs::Paths(std::mem::take(&mut cli.paths)));
    let interrupted = common::interrupted_channel();
    let run = || cli.run(&inputs, filter, errors, &interrupted);
    match cli.record.of(run).and_then(|summary| Ok(summary?)) {
        Ok(summary) if !summary.complete => ExitCode::from(INTERRUPTED),
        Ok(summary) if summary.failed > 0 => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(err) => {
            say(format_args!("error: {err}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(
        &self,
        inputs: &Inputs,
        filter: Filter,
        errors: Option<File>,
        interrupted: &Receiver<Infallible>,
    ) -> io::Result<Summary> {
        let bar = Bar::new(!self.quiet);
        let options = self.options(filter);
        let mut printer =
            Printer::new(bar.clearing(common::stdout()), self.format, self.listing(), errors);
        let each = |row: Row| {
            match &row.outcome {
                Outcome::Note(note) if !self.quiet => {
                    bar.suspend(|| say(format_args!("note: {}: {note}", plain(&row.path))));
                }
                _ => {}
            }
            printer.row(&row);
        };
        let summary = process(inputs, &options, bar.progress(), interrupted, each);
        bar.clear();
        let summary = summary?;
        printer.end(&summary)?;
        Ok(summary)
    }

    fn options(&self, filter: Filter) -> Options {
        let cpus = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let most = self.most_threads();
        let jobs = self.jobs.unwrap_or(cpus).min(most);
        Options {
            counter: Counter { columns: self.columns.chosen(), whitespace: self.whitespace },
            top: self.top,
            by: self.by,
            jobs,
            io_threads: self.io_threads.unwrap_or(jobs).min(most),
            chunk: CHUNK,
            filter,
            panic_at: self.panic_at,
        }
    }

    /// Each thread has a file open, and one more may wait for it in the queue for help.
    fn most_threads(&self) -> NonZeroUsize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = (limit.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS) / 2).max(1);
        let asked = self.jobs.max(self.io_threads).map_or(0, |threads| threads.get() as u64);
        if asked > most && !self.quiet {
            say(format_args!("note: {most} threads, because of the limit of open files"));
        }
        NonZeroUsize::new(most as usize).unwrap_or(NonZeroUsize::MIN)
    }

    /// People and tables get the rows of the files, or what these add up to.
    fn listing(&self) -> Listing {
        let json = matches!(self.format, FormatName::Json | FormatName::Ndjson);
        let instead = !json && (self.top.is_some() || self.by.is_some());
        Listing {
            columns: self.columns.chosen(),
            by: self.by,
            top: self.top.is_some(),
            files: !self.summary && !instead,
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
            (self.longest_line, Column::LongestLine),
        ];
        if flags.iter().all(|(asked, _)| !asked) {
            return Columns::default();
        }
        flags.into_iter().filter_map(|(asked, column)| asked.then_some(column)).collect()
    }
}

fn usage(message: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, message).exit()
}

fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}"); // nobody is left to tell if that is closed
}
