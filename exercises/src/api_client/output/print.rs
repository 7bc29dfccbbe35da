use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{size, two_digits};
use super::{Outcome, Summary};
use crate::policy::{Hold, HostReport, Time};

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Requests that were taken in.
    pub taken: u64,
    /// Whether that is all of them.
    pub complete: bool,
    /// Bytes of bodies that have come in.
    pub received: u64,
}

/// How outcomes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::api_client) enum Format {
    Table,
    Ndjson,
}

/// Prints outcomes as they come, and beside them how far the run is.
pub(in crate::api_client) struct Printer {
    format: Option<Format>,
    bar: Option<ProgressBar>,
    /// How many requests were done, and how many bytes had come in, at the ends of the last ticks.
    past: VecDeque<(Time, u64, u64)>,
}

/// The bar shows the rate over this many ticks, which are two seconds.
const RATE_OVER: usize = 10;

impl Printer {
    /// Begins with the table's head. Fails if the head cannot be written, but not if stdout has no
    /// reader: the first outcome shows that. There is a bar if it is wanted and stderr is a
    /// terminal.
    pub(in crate::api_client) fn new(format: Option<Format>, bar: bool) -> io::Result<Self> {
        let head = b"status  attempts  rejected  waited ms  took ms     bytes  url\n";
        if format == Some(Format::Table)
            && let Err(err) = write_out(head)
            && err.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(err);
        }
        let bar = (bar && io::stderr().is_terminal()).then(progress_bar);
        Ok(Self { format, bar, past: VecDeque::new() })
    }

    /// Prints some outcomes. Fails if stdout has no reader any more.
    pub(in crate::api_client) fn print(&self, outcomes: &[Outcome]) -> io::Result<()> {
        let mut lines = Vec::new();
        for outcome in outcomes {
            match self.format {
                None => {}
                Some(Format::Table) => writeln!(lines, "{}", row(outcome))?,
                Some(Format::Ndjson) => {
                    serde_json::to_writer(&mut lines, outcome)?;
                    lines.push(b'\n');
                }
            }
        }
        self.beside_the_bar(|| if lines.is_empty() { Ok(()) } else { write_out(&lines) })
    }

    /// Prints lines to stderr. If stderr is closed, they are lost.
    pub(in crate::api_client) fn note(&self, lines: &[String]) {
        if !lines.is_empty() {
            drop(self.beside_the_bar(|| {
                let mut stderr = io::stderr().lock();
                lines.iter().try_for_each(|line| writeln!(stderr, "{}", plain(line)))
            }));
        }
    }

    fn beside_the_bar(&self, print: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Whether there is a bar to be kept up to date.
    pub(in crate::api_client) fn has_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// Draws how far the run is, and why the host with the most waiting requests is held.
    pub(in crate::api_client) fn progress(
        &mut self,
        summary: &Summary,
        progress: &Progress,
        hosts: &[HostReport],
        now: Time,
    ) {
        let Some(bar) = &self.bar else { return };
        if self.past.len() == RATE_OVER {
            self.past.pop_front();
        }
        let (done, received) = (summary.requests(), progress.received);
        self.past.push_back((now, done, received));
        let (since, before, bytes) = self.past.front().copied().unwrap_or_default();
        let time = now.saturating_sub(since).as_secs_f64().max(1e-3);
        let rates = [done - before, received - bytes].map(|more| more as f64 / time);
        bar.set_message(line(summary, progress, rates, hosts, now));
    }

    pub(in crate::api_client) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `12/40 done, 3 failed, 45/s, 1.2M at 300k/s`, with the reason before the rates if nothing moves.
fn line(
    summary: &Summary,
    progress: &Progress,
    rates: [f64; 2],
    hosts: &[HostReport],
    now: Time,
) -> String {
    let (done, failed, taken) = (summary.requests(), summary.failed(), progress.taken);
    let more = if progress.complete { "" } else { "+" };
    let mut parts = vec![format!("{done}/{taken}{more} done")];
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    let held = hosts.iter().filter(|host| host.waiting > 0).max_by_key(|host| host.waiting);
    parts.extend(held.and_then(|host| hold(host, now)));
    parts.push(format!("{}/s", two_digits(rates[0])));
    parts.push(format!("{} at {}/s", size(progress.received), size(rates[1] as u64)));
    parts.join(", ")
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
    let left = until.map_or(Time::ZERO, |until| until.saturating_sub(now));
    let paused = match left.as_millis().div_ceil(1000) {
        0 => "waiting for a probe".to_owned(),
        seconds => format!("paused {seconds} s"),
    };
    Some(format!("{}: {paused} ({why}), {} waiting", host.host, host.waiting))
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
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

    fn failed() -> Outcome {
        let request = crate::api_client::Request::get("a.example");
        let error = Some(crate::api_client::ErrorKind::Dns.because("no address"));
        Outcome { error, ..Outcome::of(&request, 1) }
    }

    #[test]
    fn the_bar_says_why_nothing_moves() {
        let mut host = HostReport {
            host: "api.example.com:443".to_owned(),
            accepted: 0,
            rejected: 1,
            pace: 0.0,
            allows: None,
            waiting: 312,
            held: Some((Hold::RetryAfter, Some(Duration::from_secs(50)))),
        };
        let line = hold(&host, Duration::from_secs(2)).expect("it is held");
        assert_eq!(line, "api.example.com:443: paused 48 s (Retry-After), 312 waiting");
        let (mut summary, second) = (Summary::new(), Duration::from_secs(2));
        summary.add(&failed());
        let progress = Progress { taken: 313, complete: false, received: 1_300_000 };
        let shown =
            super::line(&summary, &progress, [45.4, 300.0], std::slice::from_ref(&host), second);
        assert_eq!(shown, format!("1/313+ done, 1 failed, {line}, 45/s, 1.2M at 300/s"));
        host.held = Some((Hold::Ill, Some(Duration::from_millis(2001))));
        let line = super::hold(&host, second).expect("it is held");
        assert!(line.starts_with("api.example.com:443: paused 1 s"), "a probe is not due: {line}");
        let line = super::hold(&host, second * 2).expect("it is held");
        assert!(line.starts_with("api.example.com:443: waiting for a probe"), "{line}");
        host.held = Some((Hold::Pace, None));
        assert_eq!(hold(&host, Duration::ZERO), None, "it moves");
    }
}
