use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Format;
use super::shows_progress;
use crate::api_client::Outcome;

/// Prints outcomes as they come.
pub(super) struct Printer {
    format: Format,
    bar: Option<ProgressBar>,
}

impl Printer {
    pub(super) fn new(format: Format) -> Self {
        if format == Format::Table {
            common::say!("status  attempts  rejected  waited ms  took ms     bytes  url");
        }
        Self { format, bar: shows_progress().then(progress_bar) }
    }

    /// Prints some outcomes, of which `so_far` have come in all.
    pub(super) fn print(&mut self, outcomes: &[Outcome], so_far: u64) {
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

    pub(super) fn finish(&self) {
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

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} done, {per_sec}, {elapsed}");
    let bar = ProgressBar::no_length();
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
