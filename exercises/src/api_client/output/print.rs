use std::borrow::Cow;
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
    /// Begins with the table's head. Fails if that cannot be written, but not if nobody reads it: that
    /// shows when there is something to read.
    pub(in crate::api_client) fn new(format: Format) -> io::Result<Self> {
        let head = b"status  attempts  rejected  waited ms  took ms     bytes  url\n";
        if format == Format::Table
            && let Err(err) = write_out(head)
            && err.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(err);
        }
        Ok(Self { format, bar: shows_progress().then(progress_bar) })
    }

    /// Prints some outcomes, of which `so_far` have come in all. Fails if nobody reads them any more.
    pub(in crate::api_client) fn print(
        &mut self,
        outcomes: &[Outcome],
        so_far: u64,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        for outcome in outcomes {
            match self.format {
                Format::Table => writeln!(lines, "{}", row(outcome))?,
                Format::Ndjson => {
                    serde_json::to_writer(&mut lines, outcome)?;
                    lines.push(b'\n');
                }
            }
        }
        write_out(&lines)?;
        if let Some(bar) = &self.bar {
            bar.set_position(so_far);
        }
        Ok(())
    }

    pub(in crate::api_client) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
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
    plain(&row).into_owned()
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

/// `text` with its control characters escaped, and those that turn the direction of writing: what
/// comes from an input or a server must not move the cursor of a terminal.
pub(in crate::api_client) fn plain(text: &str) -> Cow<'_, str> {
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if bad(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}
