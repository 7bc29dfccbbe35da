use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;

/// How outcomes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::api_client) enum Format {
    Table,
    Ndjson,
}

/// Prints outcomes as they come.
pub(in crate::api_client) struct Printer {
    format: Format,
    bar: Option<ProgressBar>,
}

impl Printer {
    pub(in crate::api_client) fn new(format: Format) -> Self {
        if format == Format::Table {
            common::say!("status  attempts  rejected  waited ms  took ms     bytes  url");
        }
        Self { format, bar: shows_progress().then(progress_bar) }
    }

    /// Prints some outcomes, of which `so_far` have come in all.
    pub(in crate::api_client) fn print(&mut self, outcomes: &[Outcome], so_far: u64) {
        let mut stdout = common::stdout(); // its writes never fail, they end the program
        for outcome in outcomes {
            let _ = match self.format {
                Format::Table => writeln!(stdout, "{}", row(outcome)),
                Format::Ndjson => {
                    serde_json::to_writer(&mut stdout, outcome).expect("an outcome is plain data");
                    stdout.write_all(b"\n")
                }
            };
        }
        drop(stdout);
        if let Some(bar) = &self.bar {
            bar.set_position(so_far);
        }
    }

    pub(in crate::api_client) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn row(outcome: &Outcome) -> String {
    use std::fmt::Write; // writing to a string cannot fail

    let Outcome { attempts, rejected, waited_ms, took_ms, bytes, url, .. } = outcome;
    let status = outcome.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let mut row = format!(
        "{status:6}  {attempts:8}  {rejected:8}  {waited_ms:9}  {took_ms:7}  {bytes:8}  {url}"
    );
    if let Some(file) = &outcome.file {
        let _ = write!(row, " -> {}", file.display());
    }
    if let Some(error) = &outcome.error {
        let _ = write!(row, " ({error})");
    }
    row
}

/// Whether a progress bar would be seen, and would not run into the outcomes.
fn shows_progress() -> bool {
    io::stderr().is_terminal() && !io::stdout().is_terminal()
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} done, {per_sec}, {elapsed}");
    let bar = ProgressBar::no_length();
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
