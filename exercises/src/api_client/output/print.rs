use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::api_client::policy::{Hold, HostReport, Time};

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
        Ok(Self { format, bar: io::stderr().is_terminal().then(progress_bar) })
    }

    /// Prints some outcomes. Fails if nobody reads them any more.
    pub(in crate::api_client) fn print(&self, outcomes: &[Outcome]) -> io::Result<()> {
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
        match &self.bar {
            Some(bar) => bar.suspend(|| write_out(&lines)),
            None => write_out(&lines),
        }
    }

    /// Whether there is a bar to be kept up to date.
    pub(in crate::api_client) fn has_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// How far the run is, and what holds the host for which most requests wait.
    pub(in crate::api_client) fn progress(
        &self,
        done: u64,
        failed: u64,
        hosts: &[HostReport],
        now: Time,
    ) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(done);
        let mut message = if failed > 0 { format!("{failed} failed") } else { String::new() };
        let held = hosts.iter().filter(|host| host.waiting > 0).max_by_key(|host| host.waiting);
        if let Some(line) = held.and_then(|host| hold(host, now)) {
            let gap = if message.is_empty() { "" } else { ", " };
            message = format!("{message}{gap}{line}");
        }
        bar.set_message(message);
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

/// `api.example.com:443: paused 48 s (Retry-After), 312 waiting`.
fn hold(host: &HostReport, now: Time) -> Option<String> {
    let (why, until) = host.held?;
    let why = match why {
        Hold::Nothing | Hold::Pace | Hold::Ramp | Hold::Backoff => return None,
        Hold::Quota => "announced quota",
        Hold::RetryAfter => "Retry-After",
        Hold::Rejecting => "it rejects everything",
        Hold::Ill => "it does not answer as it should",
    };
    let paused = match until.map(|until| until.saturating_sub(now).as_secs()) {
        Some(seconds) => format!("paused {seconds} s"),
        None => "waiting for a probe".to_owned(),
    };
    Some(format!("{}: {paused} ({why}), {} waiting", host.host, host.waiting))
}

fn progress_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {pos} done, {per_sec}, {elapsed} {wide_msg}");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_bar_says_why_nothing_moves() {
        let mut host = HostReport {
            host: "api.example.com:443".to_owned(),
            accepted: 0,
            rejected: 1,
            allows: None,
            waiting: 312,
            held: Some((Hold::RetryAfter, Some(Duration::from_secs(50)))),
        };
        let line = hold(&host, Duration::from_secs(2)).expect("it is held");
        assert_eq!(line, "api.example.com:443: paused 48 s (Retry-After), 312 waiting");
        host.held = Some((Hold::Pace, None));
        assert_eq!(hold(&host, Duration::ZERO), None, "it moves");
    }
}
