//! Counts and quantiles per window of event time and key. A pure state machine without a clock: the
//! same events in the same order per source give the same windows in every run.
//!
//! A source's watermark is the latest time it has shown, less the allowed lateness. An event is
//! late if its window had ended by its *own* source's watermark, so that no source makes another's
//! events late. A window closes when the watermarks of all unfinished sources have passed it.

mod cell;
mod total;

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::data_pipeline::config::{Config, Total};
use crate::data_pipeline::event::expr::json;
use crate::data_pipeline::event::rows::Rows;
use crate::data_pipeline::event::time::rfc3339;
use crate::data_pipeline::event::value::Number;
use cell::Cell;

/// The key of the cell for events whose key would open one cell too many. It is not JSON, so that
/// no event can have it, not even one whose key is really `other`.
const OVERFLOW: &str = "";

/// The columns of a window beside the count.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// The quantiles, each with its share in billionths.
    quantiles: Vec<(String, u64)>,
    totals: Vec<Total>,
    /// The names of the totals, as JSON.
    names: Vec<String>,
}

impl Columns {
    pub(crate) fn of(config: &Config) -> Self {
        let quantiles = config.quantiles();
        let names = config.columns()[quantiles.len()..].iter().map(json).collect();
        Self { quantiles, totals: config.totals().map(|(total, _)| total).collect(), names }
    }
}

type Cells = HashMap<Box<str>, Cell, FixedState>;

#[derive(Debug)]
pub(crate) struct Windows {
    length: i64,
    lateness: i64,
    max_keys: usize,
    columns: Columns,
    open: BTreeMap<i64, Cells>,
    cells: usize,
    /// The end of the last window that has closed.
    horizon: i64,
    /// When each window began that has just closed, and how many events it had.
    closed: Vec<(i64, u64)>,
    /// How many events went to `other`.
    overflow: u64,
    /// How many values lay outside the range in which quantiles of many values are known.
    beyond: u64,
}

type SavedCells = Vec<(Box<str>, Cell)>;

/// What a checkpoint keeps of the windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    horizon: i64,
    open: Vec<(i64, SavedCells)>,
}

impl Windows {
    /// Lengths in milliseconds; at most `max_keys` cells, each a key in a window, are open.
    pub(crate) fn new(length: i64, lateness: i64, max_keys: usize) -> Self {
        let (open, columns) = (BTreeMap::new(), Columns::of(&Config::default()));
        let (cells, horizon, overflow, beyond) = (0, i64::MIN, 0, 0);
        let closed = Vec::new();
        Self { length, lateness, max_keys, columns, open, cells, horizon, closed, overflow, beyond }
    }

    /// The same windows with other columns.
    pub(crate) fn with(self, columns: Columns) -> Self {
        Self { columns, ..self }
    }

    /// Takes a chunk of a source whose latest time so far is `latest`. Returns the number of late
    /// events.
    pub(crate) fn observe(&mut self, latest: Option<i64>, rows: &Rows) -> u64 {
        let latest = latest.unwrap_or(i64::MIN);
        let mut late = 0;
        let width = self.columns.totals.len();
        for (at, row) in rows.list.iter().enumerate() {
            let start = row.time - row.time.rem_euclid(self.length);
            let end = start + self.length;
            let watermark = self.watermark(latest.max(row.latest));
            if end <= watermark || end <= self.horizon {
                late += 1;
                continue;
            }
            let totals = &rows.totals[at * width..(at + 1) * width];
            self.count(start, &rows.keys[row.key as usize], row.value, totals);
        }
        late
    }

    fn count(&mut self, start: i64, key: &str, value: Option<f64>, totals: &[Option<Number>]) {
        self.beyond += u64::from(value.is_some_and(|value| !cell::is_in_range(value)));
        let window = self.open.entry(start).or_default();
        if let Some(cell) = window.get_mut(key) {
            cell.add(&self.columns.totals, totals);
            return cell.count(value);
        }
        let key = if self.cells < self.max_keys {
            key
        } else {
            self.overflow += 1;
            OVERFLOW
        };
        let before = window.len();
        let cell = window.entry(key.into()).or_default();
        cell.add(&self.columns.totals, totals);
        cell.count(value);
        self.cells += window.len() - before;
    }

    /// The watermark of a source that has shown the time `latest`.
    pub(crate) fn watermark(&self, latest: i64) -> i64 {
        latest.saturating_sub(self.lateness)
    }

    /// Closes the windows that end at or before `watermark`, the least of all unfinished sources.
    /// Gives one line of JSON for each key, by window and key, and the number of lines.
    pub(crate) fn close(&mut self, watermark: i64) -> (String, u64) {
        let (mut lines, before) = (String::new(), self.cells);
        while let Some(window) = self.open.first_entry()
            && window.key() + self.length <= watermark
        {
            let (start, cells) = window.remove_entry();
            self.cells -= cells.len();
            self.closed.push((start, cells.values().map(Cell::len).sum()));
            self.horizon = self.horizon.max(start + self.length);
            print(start, cells, &self.columns, &mut lines);
        }
        (lines, (before - self.cells) as u64)
    }

    /// The windows that have closed since the last call: when each began, and its events.
    pub(crate) fn take_closed(&mut self) -> Vec<(i64, u64)> {
        std::mem::take(&mut self.closed)
    }

    /// Whether the events in flight could use up the cells.
    pub(crate) fn are_many(&self) -> bool {
        self.cells > self.max_keys / 8
    }

    /// How many windows and cells are open, and how many events have gone to `other`.
    pub(crate) fn sizes(&self) -> (usize, usize, u64) {
        (self.open.len(), self.cells, self.overflow)
    }

    /// How many values lay outside the range in which quantiles of many values are known.
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond
    }

    pub(crate) fn save(&self) -> Saved {
        let open = self.open.iter().map(|(start, cells)| {
            (*start, cells.iter().map(|(key, cell)| (key.clone(), cell.clone())).collect())
        });
        Saved { horizon: self.horizon, open: open.collect() }
    }

    pub(crate) fn restore(&mut self, saved: Saved) {
        self.horizon = saved.horizon;
        let open = saved.open.into_iter();
        self.open = open.map(|(start, cells)| (start, cells.into_iter().collect())).collect();
        self.cells = self.open.values().map(HashMap::len).sum();
    }
}

fn print(start: i64, cells: Cells, columns: &Columns, lines: &mut String) {
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let start = rfc3339(start);
    for (key, cell) in cells {
        let count = cell.len();
        let (key, mark) = match &*key {
            OVERFLOW => (r#""other""#, r#","overflow":true"#),
            key => (key, ""),
        };
        let head = format!(r#"{{"window_start":"{start}","key":{key},"count":{count}"#);
        lines.push_str(&head);
        for (name, share) in &columns.quantiles {
            let value = number(cell.quantile(*share));
            lines.extend([",\"", name, "\":", &value]);
        }
        let totals = cell.totals().chain(std::iter::repeat(None));
        for (name, value) in columns.names.iter().zip(totals) {
            let value = match value {
                Some(Number::Integer(value)) => value.to_string(),
                value => number(value.map(Number::as_f64)),
            };
            lines.extend([",", name, ":", &value]);
        }
        lines.extend([mark, "}\n"]);
    }
}

/// As JSON; what is not known is `null`.
fn number(value: Option<f64>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::event::rows::Row;

    /// Rows in order, all with the key `"k"`, the value being the time.
    fn rows(times: &[i64]) -> Rows {
        let mut rows = Rows { keys: vec!["\"k\"".into()], ..Rows::default() };
        for &time in times {
            let latest = rows.latest.map_or(time, |latest| latest.max(time));
            rows.latest = Some(latest);
            rows.list.push(Row { time, latest, key: 0, value: Some(time as f64) });
        }
        rows
    }

    fn line(start: &str, count: u64, p50: i64, p99: i64) -> String {
        format!(
            "{{\"window_start\":\"1970-01-01T00:00:{start}Z\",\"key\":\"k\",\
             \"count\":{count},\"p50\":{p50},\"p99\":{p99}}}\n"
        )
    }

    #[test]
    fn a_window_closes_once_and_when_the_watermark_has_passed_it() {
        let mut windows = Windows::new(1000, 0, 100);
        assert_eq!(windows.observe(None, &rows(&[0, 10, 999, 1000])), 0);
        assert_eq!(windows.close(999).0, "");
        assert_eq!(windows.close(1000).0, line("00", 3, 10, 999));
        assert_eq!(windows.close(1000).0, "");
        assert_eq!(windows.close(i64::MAX).0, line("01", 1, 1000, 1000));
    }

    #[test]
    fn an_event_is_late_by_its_own_sources_watermark_only() {
        let mut windows = Windows::new(1000, 500, 100);
        assert_eq!(windows.observe(None, &rows(&[9000])), 0, "one source is far ahead");
        assert_eq!(windows.observe(None, &rows(&[100, 1400, 200])), 0, "within the lateness");
        assert_eq!(windows.observe(Some(1400), &rows(&[1500, 300])), 1, "its window has ended");
        // Earlier events of the source count, even if they were in another chunk.
        assert_eq!(windows.observe(Some(9000), &rows(&[300])), 1);
    }

    #[test]
    fn an_event_for_a_closed_window_is_late() {
        let mut windows = Windows::new(1000, 0, 100);
        windows.observe(None, &rows(&[5000]));
        windows.close(i64::MAX);
        assert_eq!(windows.observe(None, &rows(&[5500, 6000])), 1);
    }

    #[test]
    fn keys_beyond_the_limit_go_to_other() {
        let mut windows = Windows::new(1000, 0, 2);
        let keys = ["1", "2", "3", "4"];
        let mut all = Rows { keys: keys.map(Into::into).into(), ..Rows::default() };
        for key in [0, 1, 2, 3, 0] {
            all.list.push(Row { time: 0, latest: 0, key, value: None });
        }
        windows.observe(None, &all);
        let (lines, count) = windows.close(i64::MAX);
        assert_eq!((lines.lines().count(), count), (3, 3), "{lines}");
        let other = r#""key":"other","count":2,"p50":null,"p99":null,"overflow":true}"#;
        assert!(lines.contains(other), "{lines}");
        assert!(lines.contains(r#""key":1,"count":2"#), "{lines}");
        assert_eq!(windows.sizes(), (0, 0, 2));
    }

    #[test]
    fn a_key_that_is_really_other_is_not_mixed_up_with_the_overflow() {
        let mut windows = Windows::new(1000, 0, 1);
        let keys = [r#""other""#, r#""more""#];
        let mut all = Rows { keys: keys.map(Into::into).into(), ..Rows::default() };
        for key in [0, 1, 1] {
            all.list.push(Row { time: 0, latest: 0, key, value: None });
        }
        windows.observe(None, &all);
        let (lines, _) = windows.close(i64::MAX);
        assert!(lines.contains(r#""key":"other","count":1,"p50":null,"p99":null}"#), "{lines}");
        assert!(lines.contains(r#""count":2,"p50":null,"p99":null,"overflow":true}"#), "{lines}");
    }

    #[test]
    fn windows_before_1970_start_at_or_before_their_events() {
        let mut windows = Windows::new(1000, 0, 100);
        windows.observe(None, &rows(&[-1]));
        assert!(windows.close(0).0.contains("1969-12-31T23:59:59Z"));
    }

    #[test]
    fn saved_windows_go_on_where_they_stopped() {
        let (mut whole, mut first) = (Windows::new(1000, 0, 100), Windows::new(1000, 0, 100));
        for chunk in [rows(&[0, 1, 2]), rows(&(0..500).collect::<Vec<_>>())] {
            whole.observe(None, &chunk);
            first.observe(None, &chunk);
        }
        let saved = serde_json::to_string(&first.save()).unwrap();
        let mut second = Windows::new(1000, 0, 100);
        second.restore(serde_json::from_str(&saved).unwrap());
        for windows in [&mut whole, &mut second] {
            windows.observe(Some(2), &rows(&[3, 1000]));
        }
        assert_eq!(whole.close(i64::MAX), second.close(i64::MAX));
    }
}
