//! One key in one window: a count, and quantiles in bounded memory.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::Config as Mapping;

use super::total::Running;
use crate::data_pipeline::config::Total;
use crate::data_pipeline::event::value::Number;

/// Most values that are kept unchanged: with so few, quantiles are exact. Most cells have fewer.
const EXACT: usize = 64;

/// The relative error of a bin, for more values: they are counted in bins, and a quantile is the
/// middle of its bin. With the rounding to four digits it is within 1 % of the value.
const ACCURACY: f64 = 0.0095;

/// The smallest absolute value of the bins. A value nearer to 0 counts as 0.
const SMALLEST: f64 = 1e-12;

/// The largest absolute value of the bins. A quantile beyond it is not known.
const LARGEST: f64 = 1e15;

/// Which values share a bin: the mapping of `DDSketch` (Masson, Rim and Lee, 2019).
static MAPPING: LazyLock<Mapping> = LazyLock::new(|| Mapping::new(ACCURACY, u32::MAX, SMALLEST));

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub(crate) struct Cell {
    count: u64,
    values: Values,
    totals: Vec<Running>,
}

#[derive(Clone, Debug)]
enum Values {
    Few(Vec<f64>),
    Many(Bins),
}

impl Default for Values {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// Whether a quantile at this value is known even if there are many values.
pub(crate) fn is_in_range(value: f64) -> bool {
    value.abs() <= LARGEST
}

impl Cell {
    /// Counts an event. One without a value, or with NaN, does not count in the quantiles.
    pub(crate) fn count(&mut self, value: Option<f64>) {
        self.count += 1;
        if let Some(value) = value.filter(|value| !value.is_nan()) {
            self.values.add(value);
        }
    }

    /// Adds an event's values to the totals, one for each column.
    pub(crate) fn add(&mut self, columns: &[Total], values: &[Option<Number>]) {
        if self.totals.len() < columns.len() {
            self.totals.extend(columns[self.totals.len()..].iter().copied().map(Running::new));
        }
        for (total, value) in self.totals.iter_mut().zip(values) {
            if let Some(value) = value {
                total.add(*value);
            }
        }
    }

    /// The totals so far.
    pub(crate) fn totals(&self) -> impl Iterator<Item = Option<Number>> {
        self.totals.iter().map(Running::value)
    }

    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// The value below which this share of all values lies, in billionths (nearest rank); `None` if
    /// there are no values, or if it is beyond the range of the bins.
    pub(crate) fn quantile(&self, share: u64) -> Option<f64> {
        match &self.values {
            Values::Few(values) => {
                let rank = nearest_rank(values.len() as u64, share)?;
                let mut values = values.clone();
                values.sort_unstable_by(f64::total_cmp);
                Some(values[rank as usize])
            }
            Values::Many(bins) => bins.at(nearest_rank(bins.total(), share)?),
        }
    }
}

/// The rank from 0, computed in integers, so that no rounding moves it. `None` if there are no
/// values.
fn nearest_rank(count: u64, share: u64) -> Option<u64> {
    let rank = (u128::from(count) * u128::from(share)).div_ceil(1_000_000_000);
    u64::try_from(rank.max(1)).ok().filter(|rank| *rank <= count).map(|rank| rank - 1)
}

impl Values {
    fn add(&mut self, value: f64) {
        match self {
            Self::Few(values) if values.len() < EXACT => values.push(value),
            _ => self.bins().add(bin(value), 1),
        }
    }

    /// Adds the counts of another cell.
    fn merge(&mut self, other: Self) {
        match other {
            Self::Few(values) => values.into_iter().for_each(|value| self.add(value)),
            Self::Many(bins) => {
                let ours = self.bins();
                bins.0.into_iter().for_each(|(bin, times)| ours.add(bin, times));
            }
        }
    }

    /// From here on values are counted in bins.
    fn bins(&mut self) -> &mut Bins {
        if let Self::Few(values) = self {
            let mut bins = Bins::default();
            for value in values {
                bins.add(bin(*value), 1);
            }
            *self = Self::Many(bins);
        }
        match self {
            Self::Many(bins) => bins,
            Self::Few(_) => unreachable!("they have just been counted in bins"),
        }
    }
}

/// Counts by bin, in the order of the values: a sorted map, because a checkpoint lists the bins and
/// most cells have few; the library's own store cannot be listed.
#[derive(Clone, Debug, Default)]
struct Bins(BTreeMap<i32, u64>);

impl Bins {
    fn add(&mut self, bin: i32, times: u64) {
        let count = self.0.entry(bin).or_default();
        *count = count.saturating_add(times);
    }

    fn total(&self) -> u64 {
        self.0.values().fold(0, |total, times| total.saturating_add(*times))
    }

    /// The value that represents the one with this rank, from 0.
    fn at(&self, rank: u64) -> Option<f64> {
        let mut before = 0_u64;
        let found = self.0.iter().find(|(_, times)| {
            before = before.saturating_add(**times);
            before > rank
        });
        middle(*found?.0)
    }
}

/// The number of the bin: 0 for values near 0, and symmetrical for both signs.
fn bin(value: f64) -> i32 {
    let size = value.abs();
    if size < SMALLEST {
        return 0;
    }
    // One more bin takes everything beyond the range.
    let number = MAPPING.key(size.min(LARGEST)) - MAPPING.key(SMALLEST) + 1;
    let number = number + i32::from(size > LARGEST);
    if value < 0.0 { -number } else { number }
}

/// The value that stands for a bin, to four digits; `None` if it is beyond the range.
fn middle(bin: i32) -> Option<f64> {
    static OUTERMOST: LazyLock<i32> = LazyLock::new(|| self::bin(LARGEST));
    if bin == 0 {
        return Some(0.0);
    }
    if bin.abs() > *OUTERMOST {
        return None;
    }
    let size = MAPPING.value(bin.abs() - 1 + MAPPING.key(SMALLEST));
    let rounded = format!("{:.3e}", size.copysign(f64::from(bin)));
    Some(rounded.parse().expect("it was just written"))
}

/// The form in a checkpoint. A bin is kept as a value in it, which stays right even if the library
/// numbers bins differently.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    count: u64,
    few: Vec<f64>,
    /// A value of each bin, and how many there are.
    many: Option<Vec<(f64, u64)>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    totals: Vec<Running>,
    /// As version 1 kept them: values in thousandths, and their counts, which cannot be converted.
    #[serde(skip_serializing)]
    values: Vec<(u64, u64)>,
}

impl From<Cell> for Saved {
    fn from(cell: Cell) -> Self {
        let saved = Self { count: cell.count, totals: cell.totals, ..Self::default() };
        match cell.values {
            Values::Few(few) => Self { few, ..saved },
            Values::Many(bins) => {
                let value = |bin| middle(bin).unwrap_or(f64::MAX.copysign(f64::from(bin)));
                let many = bins.0.into_iter().map(|(bin, times)| (value(bin), times)).collect();
                Self { many: Some(many), ..saved }
            }
        }
    }
}

impl TryFrom<Saved> for Cell {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        if !saved.values.is_empty() {
            return Err(
                "it holds quantiles in thousandths, as a version before this one kept them",
            );
        }
        let mut values = Values::default();
        saved.few.into_iter().for_each(|value| values.add(value));
        if let Some(many) = saved.many {
            let mut bins = Bins::default();
            for (value, times) in many {
                bins.add(bin(value), times);
            }
            values.merge(Values::Many(bins));
        }
        Ok(Self { count: saved.count, values, totals: saved.totals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Cell {
        fn percentile(&self, percent: u64) -> Option<f64> {
            self.quantile(percent * 10_000_000)
        }
    }

    fn cell(values: impl IntoIterator<Item = f64>) -> Cell {
        let mut cell = Cell::default();
        values.into_iter().for_each(|value| cell.count(Some(value)));
        cell
    }

    /// The value with the nearest rank, by sorting.
    fn exact(values: &[f64], percent: usize) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    }

    #[test]
    fn quantiles_of_few_values_are_the_values_themselves() {
        let tenths = cell([0.1, 0.6, 0.3, 0.2, 0.5].map(|ms| ms / 1000.0));
        assert_eq!((tenths.percentile(50), tenths.percentile(99)), (Some(0.0003), Some(0.0006)));
        let signs = cell([-5.0, 0.0, -0.25, 3.0]);
        assert_eq!((signs.percentile(50), signs.percentile(1)), (Some(-0.25), Some(-5.0)));
        assert_eq!(cell([1e300]).percentile(50), Some(1e300));
        assert_eq!(cell([]).percentile(50), None);
    }

    /// Numbers between 0 and 1 that look random, the same in every run.
    fn random(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::from_fn(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((state >> 11) as f64 / (1_u64 << 53) as f64)
        })
    }

    /// From a number between 0 and 1.
    type Shape = Box<dyn Fn(f64) -> f64>;

    /// Twenty distributions: common shapes and difficult ones.
    fn distributions() -> Vec<(&'static str, Shape)> {
        vec![
            ("uniform", Box::new(|x| x)),
            ("milliseconds", Box::new(|x| 5.0 + 40.0 * x)),
            ("fractions of a millisecond", Box::new(|x| 1e-4 + 5e-4 * x)),
            ("nanoseconds up to 5 s", Box::new(|x| 2e8 + 4.8e9 * x)),
            ("exponential", Box::new(|x| -(1.0 - x).ln())),
            ("log-normal, nearly", Box::new(|x| (3.0 * (x - 0.5)).tan().clamp(-25.0, 25.0).exp())),
            ("Pareto", Box::new(|x| (1.0 - x).powf(-1.5).min(1e15))),
            ("all the same", Box::new(|_| 42.0)),
            ("two values", Box::new(|x| if x < 0.97 { 1.0 } else { 900.0 })),
            ("mostly 0", Box::new(|x| if x < 0.6 { 0.0 } else { x })),
            ("all 0", Box::new(|_| 0.0)),
            ("negative", Box::new(|x| -1.0 - 100.0 * x)),
            ("both signs", Box::new(|x| 2000.0 * (x - 0.5))),
            ("temperatures", Box::new(|x| 60.0 * x - 20.0)),
            ("27 orders of magnitude", Box::new(|x| 10_f64.powf(27.0 * x - 12.0))),
            ("tiny", Box::new(|x| 1e-12 * (1.0 + x))),
            ("large", Box::new(|x| 1e15 * (1.0 - x / 2.0))),
            ("whole numbers", Box::new(|x| (10.0 * x).floor())),
            ("a gap between both signs", Box::new(|x| if x < 0.5 { -1e9 * x } else { 1e-9 * x })),
            ("powers of two", Box::new(|x| 2_f64.powf((40.0 * x).floor()))),
        ]
    }

    /// Every rank is that of the sorted values: the value is within 1 %, whether it was counted in
    /// one cell, in two that were merged, or saved in between.
    #[test]
    fn every_percentile_of_twenty_distributions_has_its_exact_rank() {
        let distributions = distributions();
        assert_eq!(distributions.len(), 20);
        for (seed, (name, shape)) in (1..).zip(distributions) {
            for count in [1, 63, 64, 65, 66, 1000, 5000] {
                let values: Vec<f64> = random(seed).map(&shape).take(count).collect();
                let (left, right) = values.split_at(count / 3);
                let mut merged = cell(left.iter().copied());
                let right = cell(right.iter().copied());
                merged.count += right.count;
                merged.values.merge(right.values);
                let whole = cell(values.iter().copied());
                let saved = serde_json::to_string(&whole).unwrap();
                let restored: Cell = serde_json::from_str(&saved).unwrap();
                for percent in [1, 10, 50, 75, 90, 95, 99, 100] {
                    let exact = exact(&values, percent);
                    for cell in [&whole, &merged, &restored] {
                        let ours = cell.percentile(percent as u64).unwrap();
                        let allowed = if count <= EXACT { 0.0 } else { exact.abs() * 0.01 };
                        assert!(
                            (ours - exact).abs() <= allowed,
                            "p{percent} of {count} of {name}: {ours}, and not {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn values_beyond_the_bins_are_ranked_and_their_quantiles_are_absent() {
        let mut odd = cell([-1e300, f64::NAN]);
        odd.count(None);
        (0..80).for_each(|_| odd.count(Some(1.0)));
        (0..19).for_each(|_| odd.count(Some(2e15)));
        assert_eq!(odd.len(), 102, "all count, with a place in the quantiles or without");
        assert_eq!((odd.percentile(1), odd.percentile(99)), (None, None));
        assert!(odd.percentile(81).is_some_and(|one| (one - 1.0).abs() <= 0.01));
        assert!(!is_in_range(2e15) && is_in_range(-1e15));
        // Nearer to 0 than the smallest bin.
        assert_eq!(cell((0..100).map(|_| 1e-13)).percentile(50), Some(0.0));
    }

    #[test]
    fn a_quantile_between_two_percents_has_its_rank() {
        let cell = cell((1..=1000).map(f64::from));
        let near = |share, value: f64| {
            cell.quantile(share).is_some_and(|ours| (ours - value).abs() <= value * 0.01)
        };
        assert!(near(999_000_000, 999.0) && near(1_000_000_000, 1000.0) && near(0, 1.0));
    }

    #[test]
    fn a_saved_cell_is_the_same_cell() {
        for n in [3, 64, 65, 5000] {
            let cell = cell((0..n).map(|n| f64::from(n) * 1.7 - 50.0).chain([1e200, 0.1 + 0.2]));
            let saved = serde_json::to_string(&cell).unwrap();
            let back: Cell = serde_json::from_str(&saved).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), saved);
        }
    }

    /// The program never writes this, but a file may contain it.
    #[test]
    fn a_saved_cell_with_too_many_exact_values_takes_no_more_memory() {
        let saved = format!(r#"{{"count":2,"few":{:?}}}"#, [1.0; 65]);
        let cell: Cell = serde_json::from_str(&saved).unwrap();
        assert!(matches!(cell.values, Values::Many(_)));
    }

    #[test]
    fn a_cell_of_a_version_before_is_read_if_it_is_right_and_refused_if_it_is_not() {
        let counts = r#"{"count":2,"exact":true,"values":[]}"#;
        assert_eq!(serde_json::from_str::<Cell>(counts).unwrap().len(), 2);
        let rounded = r#"{"count":2,"exact":true,"values":[[0,2]]}"#;
        let refused = serde_json::from_str::<Cell>(rounded).unwrap_err().to_string();
        assert!(refused.contains("quantiles in thousandths"), "{refused}");
    }
}
