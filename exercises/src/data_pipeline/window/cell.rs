//! One key in one window: a count, and quantiles in bounded memory.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// So many values are kept as they are; quantiles are exact up to here. Most cells stay below.
const EXACT: usize = 64;

/// Then a histogram takes over, exact to 1 % (2 significant digits).
const DIGITS: u8 = 2;

/// Values are kept in thousandths, so that seconds and ratios keep their decimals.
const SCALE: f64 = 1000.0;

/// The largest value that the histogram tells apart: 2^40 thousandths, about 10^9.
const LARGEST: u64 = 1 << 40;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(crate) struct Cell {
    count: u64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Few(Vec<u64>),
    Many(Histogram<u32>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Cell {
    /// Counts an event. A value that is negative or missing has no place in the quantiles.
    pub(crate) fn count(&mut self, value: Option<f64>) {
        self.count += 1;
        if let Some(value) = value.filter(|value| *value >= 0.0) {
            self.values.record((value * SCALE).round() as u64, 1);
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// The value at a quantile (nearest rank) as JSON, `null` if there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> String {
        let thousandths = match &self.values {
            Values::Few(values) if values.is_empty() => return "null".to_owned(),
            Values::Few(values) => {
                let mut values = values.clone();
                values.sort_unstable();
                values[(values.len() as f64 * quantile).ceil() as usize - 1]
            }
            Values::Many(histogram) => {
                let bucket = histogram.value_at_quantile(quantile);
                histogram.median_equivalent(bucket)
            }
        };
        (thousandths as f64 / SCALE).to_string()
    }
}

impl Values {
    fn record(&mut self, value: u64, times: u32) {
        match self {
            Self::Few(values) if values.len() + times as usize <= EXACT => {
                values.extend(std::iter::repeat_n(value, times as usize));
            }
            Self::Few(values) => {
                let values = std::mem::take(values);
                // Auto-resizing: it takes memory for the range of values that it has seen.
                let histogram = Histogram::new(DIGITS).expect("2 digits are allowed");
                *self = Self::Many(histogram);
                for value in values {
                    self.record(value, 1);
                }
                self.record(value, times);
            }
            Self::Many(histogram) => histogram
                .record_n(value.min(LARGEST), times)
                .expect("an auto-resizing histogram takes every value up to the largest"),
        }
    }
}

/// As a checkpoint keeps it: pairs of a value and how often it came.
#[derive(Serialize, Deserialize)]
struct Saved {
    count: u64,
    exact: bool,
    values: Vec<(u64, u32)>,
}

impl From<Cell> for Saved {
    fn from(cell: Cell) -> Self {
        let (exact, values) = match cell.values {
            Values::Few(values) => (true, values.into_iter().map(|value| (value, 1)).collect()),
            Values::Many(histogram) => {
                let recorded = histogram.iter_recorded();
                (false, recorded.map(|at| (at.value_iterated_to(), at.count_at_value())).collect())
            }
        };
        Self { count: cell.count, exact, values }
    }
}

impl From<Saved> for Cell {
    fn from(saved: Saved) -> Self {
        let mut values = if saved.exact {
            Values::default()
        } else {
            Values::Many(Histogram::new(DIGITS).expect("2 digits are allowed"))
        };
        for (value, times) in saved.values {
            values.record(value, times);
        }
        Self { count: saved.count, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: impl IntoIterator<Item = f64>) -> Cell {
        let mut cell = Cell::default();
        values.into_iter().for_each(|value| cell.count(Some(value)));
        cell
    }

    #[test]
    fn quantiles_of_few_values_are_exact() {
        let few = cell([12.7, 0.003, 5.0]);
        assert_eq!((few.quantile(0.5), few.quantile(0.99)), ("5".into(), "12.7".into()));
        assert_eq!(cell([]).quantile(0.5), "null");
    }

    #[test]
    fn quantiles_of_many_values_are_within_one_percent() {
        let many = cell((1..=100_000).rev().map(f64::from));
        for (quantile, exact) in [(0.5, 50_000.0), (0.99, 99_000.0)] {
            let value: f64 = many.quantile(quantile).parse().unwrap();
            assert!((value / exact - 1.0).abs() < 0.01, "{quantile} gives {value}");
        }
    }

    #[test]
    fn values_that_cannot_be_ranked_count_all_the_same() {
        let mut odd = cell([-1.0, f64::NAN, 1e300]);
        odd.count(None);
        assert_eq!(odd.len(), 4);
        (0..100).for_each(|_| odd.count(Some(1e300)));
        assert!(odd.quantile(0.5).parse::<f64>().unwrap() > 1e9);
    }

    /// Nothing here writes it, but a file may say so.
    #[test]
    fn a_saved_cell_with_more_values_than_are_kept_as_they_are_takes_no_more_memory() {
        let saved = r#"{"count":2,"exact":true,"values":[[0,3],[2000,4000000000]]}"#;
        let cell: Cell = serde_json::from_str(saved).unwrap();
        assert!(matches!(cell.values, Values::Many(_)));
        assert_eq!(cell.quantile(0.5), "2.004"); // to 1 %
    }

    #[test]
    fn a_saved_cell_is_the_same_cell() {
        for n in [3, 64, 65, 5000] {
            let cell = cell((0..n).map(|n| f64::from(n) * 1.7));
            let saved = serde_json::to_string(&cell).unwrap();
            let mut back: Cell = serde_json::from_str(&saved).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), saved);
            back.count(Some(1.0));
            assert_eq!(back.len(), cell.len() + 1);
            assert_eq!(back.quantile(0.99), {
                let mut c = cell;
                c.count(Some(1.0));
                c.quantile(0.99)
            });
        }
    }
}
