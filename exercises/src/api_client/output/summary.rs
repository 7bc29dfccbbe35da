use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Outcome;
use super::numbers::{counted, size, two_digits};
use crate::api_client::transport::ErrorKind;
use crate::policy::HostReport;

/// The longest latency that the histogram can hold, in microseconds; longer ones count as this.
const LONGEST: u64 = 3_600_000_000;

/// Most hosts in the text, the slowest first; `{:#}` shows all.
const MOST_HOSTS: usize = 10;

/// A run in numbers. It grows with the kinds of errors, not with the requests.
#[derive(Debug)]
pub struct Summary {
    fetched: u64,
    known: u64,
    failed: BTreeMap<ErrorKind, u64>,
    attempts: u64,
    rejected: u64,
    bytes: u64,
    latency: Histogram<u64>,
}

/// A summary as programs read it. Times are in milliseconds, rates in requests per second.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Requests with an outcome.
    pub requests: u64,
    /// Those that were fetched in this run.
    pub fetched: u64,
    /// Those that an earlier run had fetched.
    pub resumed: u64,
    /// Those that were not fetched.
    pub failed: u64,
    /// Why they were not fetched, by kind.
    pub errors: BTreeMap<String, u64>,
    /// How often anything was sent.
    pub attempts: u64,
    /// How many of these the host rejected as too fast.
    pub rejected: u64,
    /// The length of all bodies.
    pub bytes: u64,
    /// The time of the run.
    pub elapsed_ms: u64,
    /// Fetched requests per second.
    pub rate: f64,
    /// The latency of the last attempt of each fetched request.
    pub latency_ms: Latency,
    /// The counts of each host.
    pub hosts: Vec<HostReport>,
}

/// Percentiles.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // the names say it all
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Summary {
    /// An empty summary.
    pub fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3);
        Self {
            fetched: 0,
            known: 0,
            failed: BTreeMap::new(),
            attempts: 0,
            rejected: 0,
            bytes: 0,
            latency: latency.expect("an hour in microseconds with three digits is in bounds"),
        }
    }

    /// Adds an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        if outcome.known {
            self.known += 1;
            return;
        }
        self.attempts += u64::from(outcome.attempts);
        self.rejected += u64::from(outcome.rejected);
        self.bytes += outcome.bytes;
        if let Some(error) = &outcome.error {
            *self.failed.entry(error.kind).or_default() += 1;
            return;
        }
        self.fetched += 1;
        let micros = u64::try_from(outcome.latency.as_micros()).unwrap_or(LONGEST);
        self.latency.saturating_record(micros.max(1));
    }

    /// How many outcomes were counted.
    pub fn requests(&self) -> u64 {
        self.fetched + self.known + self.failed()
    }

    /// How many were not fetched.
    pub fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Whether a request failed with this kind of error.
    pub fn any(&self, kind: ErrorKind) -> bool {
        self.failed.contains_key(&kind)
    }

    /// The summary after `elapsed`.
    pub fn report(&self, elapsed: Duration, hosts: Vec<HostReport>) -> Report {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        Report {
            requests: self.requests(),
            fetched: self.fetched,
            resumed: self.known,
            failed: self.failed(),
            errors: self.failed.iter().map(|(kind, n)| (kind.to_string(), *n)).collect(),
            attempts: self.attempts,
            rejected: self.rejected,
            bytes: self.bytes,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            rate: self.fetched as f64 / elapsed.as_secs_f64().max(1e-6),
            latency_ms: Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) },
            hosts,
        }
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fetched, resumed, failed, rejected, bytes, .. } = self;
        let (requests, attempts) =
            (counted(self.requests, "request"), counted(self.attempts, "attempt"));
        let seconds = self.elapsed_ms as f64 / 1000.0;
        writeln!(f, "{requests}: {fetched} fetched, {failed} failed, {resumed} resumed")?;
        for (kind, count) in &self.errors {
            writeln!(f, "  {kind}: {count}")?;
        }
        let (rate, bytes) = (two_digits(self.rate), size(*bytes));
        writeln!(f, "{attempts}, {rejected} rejected, {bytes} bytes")?;
        writeln!(f, "{seconds:.2} s, {rate} requests/s")?;
        let Latency { p50, p90, p99, max } = self.latency_ms;
        write!(f, "latency ms: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, max {max:.1}")?;
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.sort_by(|a, b| a.pace.total_cmp(&b.pace));
        let shown = if f.alternate() { hosts.len() } else { MOST_HOSTS };
        for host in hosts.iter().take(shown) {
            write!(f, "\n{}: {} accepted, {} rejected", host.host, host.accepted, host.rejected)?;
            if let Some(rate) = host.allows {
                write!(f, ", allows about {}/s", two_digits(rate))?;
            }
        }
        if hosts.len() > shown {
            write!(f, "\n… and {} faster hosts: --summary full", hosts.len() - shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_shows_the_ten_slowest_hosts_unless_it_is_to_show_all() {
        let host = |n: u32| HostReport {
            host: format!("host-{n}"),
            accepted: 1,
            rejected: 0,
            pace: f64::from(n * 7 % 12),
            allows: Some(49.06),
            waiting: 0,
            held: None,
        };
        let report = Summary::new().report(Duration::from_secs(1), (0..12).map(host).collect());
        let shown = |text: String| {
            let hosts = text.lines().filter_map(|line| line.split_once(": 1 accepted"));
            hosts.map(|(host, _)| host.to_owned()).collect::<Vec<_>>()
        };
        let order = [0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5].map(|n| format!("host-{n}"));
        assert_eq!(shown(report.to_string()), order[..10]);
        assert_eq!(shown(format!("{report:#}")), order);
        assert!(
            report.to_string().ends_with("allows about 49/s\n… and 2 faster hosts: --summary full")
        );
    }
}
