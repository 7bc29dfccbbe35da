//! The command line.

mod flags;
mod printed;

use std::convert::Infallible;
use std::ffi::OsString;
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

use super::columns::Counts;
use super::count::{Counter, Whitespace};
use super::report::{Bar, ErrorLog, FormatName, Listing, Printer, TotalWhen, long_words};
use super::row::{Row, Status, Summary};
use super::run::{CHUNK, Options, process};
use super::walk::Inputs;
use super::walk::filter::{Filter, FilterArgs, type_list};
use crate::closed;
use crate::installed;
use crate::terminal::plain;
use flags::{Binary, ColumnFlags, ReportFlags, SortBy, at_least_1};
use printed::{Printed, say};

/// The exit status when interrupted: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: u8 = 130;

/// Descriptors kept free for the standard streams, the walk's directories and signals.
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
/// Directories are walked, without hidden files and what .gitignore leaves out. `-` is stdin.
/// Without a path it counts stdin if that is a pipe or a file, and else the current directory.
#[derive(Debug, Parser)]
#[command(name = "file-processor", version, after_help = AFTER_HELP, args_override_self = true)]
struct Cli {
    /// Files and directories; `-` is stdin [default: stdin if it is a pipe or a file, else `.`]
    #[arg(value_name = "PATH", value_parser = any_path())]
    paths: Vec<PathBuf>,

    /// Read the paths from FILE (`-`: stdin), each followed by a NUL
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

    /// Threads; for files that are not cached use more than CPUs, such as 32 [default: one for each
    /// CPU]
    #[arg(short, long, value_name = "N", help_heading = "How to run", value_parser = at_least_1)]
    jobs: Option<NonZeroUsize>,

    #[command(flatten, next_help_heading = "How to run")]
    record: RecordFlags,

    /// Panic in the N-th piece of work
    #[arg(long, value_name = "N", hide = true)]
    panic_at: Option<u64>,
}

/// A path may be empty: then it is an error, and the others are counted.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli: Cli = parse(&std::env::args_os().collect::<Vec<_>>());
    if cli.type_list {
        return print_types();
    }
    let filter = cli.filter.build().unwrap_or_else(|err| usage(&err.to_string()));
    cli.report.check().unwrap_or_else(|message| usage(message));
    if closed::stdout() {
        usage("stdout is closed: there is nowhere to print to");
    }
    if let Some(errors) = cli.report.errors.as_deref().filter(|errors| cli.reads(errors)) {
        usage(&format!("--errors {}: that file is to be counted", errors.display()));
    }
    // This is the first file created: all flags are known to be right by now.
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

/// Parses the command line. For a flag of an earlier version it names the new one.
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

    /// Prints notes on what the totals do not include.
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

    /// Whether `--errors` names an input: creating it would empty the input.
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
        let as_wc = self.report.format == FormatName::Wc;
        let of_format = if as_wc { Whitespace::Wc } else { Whitespace::Ascii };
        let whitespace = self.columns.word_rule.unwrap_or(of_format);
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

    /// Each thread holds one open file, and the queue of shared files may hold one more per thread.
    fn most_threads(&self) -> NonZeroUsize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = (limit.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS) / 2).max(1);
        let asked = self.jobs.map_or(0, |threads| threads.get() as u64);
        if asked > most && !self.report.quiet {
            say(format_args!("note: {most} threads, because of the limit of open files"));
        }
        NonZeroUsize::new(most as usize).unwrap_or(NonZeroUsize::MIN)
    }

    /// What to list: the rows of the files, or what they add up to.
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

/// Whether stdin was redirected to something that has an end.
fn stdin_has_input() -> bool {
    let kind = fstat(io::stdin().as_fd()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::RegularFile | FileType::Socket))
}

fn counts(row: &Row) -> Counts {
    match row.outcome {
        Status::Counted(counts) => counts,
        _ => Counts::default(),
    }
}

fn usage(message: &str) -> ! {
    installed::usage_error::<Cli>(message)
}
