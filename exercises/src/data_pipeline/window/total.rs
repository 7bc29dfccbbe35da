//! The sum, the least and the largest of a key's values in a window.

use serde::{Deserialize, Serialize};

use crate::data_pipeline::config::Total;
use crate::data_pipeline::event::value::Number;

/// One of them so far; empty before the first value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Running {
    Sum(Sum),
    Min(Option<Number>),
    Max(Option<Number>),
}

impl Running {
    pub(crate) fn new(total: Total) -> Self {
        match total {
            Total::Sum => Self::Sum(Sum::default()),
            Total::Min => Self::Min(None),
            Total::Max => Self::Max(None),
        }
    }

    pub(crate) fn add(&mut self, value: Number) {
        match self {
            Self::Sum(sum) => sum.add(value),
            Self::Min(least) if least.is_none_or(|least| value < least) => *least = Some(value),
            Self::Max(most) if most.is_none_or(|most| value > most) => *most = Some(value),
            Self::Min(_) | Self::Max(_) => {}
        }
    }

    pub(crate) fn value(&self) -> Option<Number> {
        match self {
            Self::Sum(sum) => sum.value(),
            Self::Min(value) | Self::Max(value) => *value,
        }
    }
}

/// A sum that does not depend on the order of its values, because sources are read side by side.
/// Whole numbers are added exactly, and others without rounding, as parts that do not overlap
/// (Shewchuk, 1997). The sum is rounded once, at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    whole: Option<i128>,
    parts: Vec<f64>,
    /// Whether it has left the range of its numbers.
    #[serde(default)]
    is_lost: bool,
}

impl Sum {
    fn add(&mut self, value: Number) {
        match value {
            Number::Integer(value) => match self.whole.unwrap_or_default().checked_add(value) {
                Some(whole) => self.whole = Some(whole),
                None => self.is_lost = true,
            },
            Number::Float(value) => self.is_lost |= !grow(&mut self.parts, value),
        }
    }

    fn value(&self) -> Option<Number> {
        if self.is_lost {
            return None;
        }
        if self.parts.is_empty() {
            return self.whole.map(Number::Integer);
        }
        let mut parts = self.parts.clone();
        // In pieces of 50 bits, each of which a float holds exactly.
        let mut rest = self.whole.unwrap_or_default();
        for bits in [100, 50, 0] {
            let piece = rest >> bits << bits;
            rest -= piece;
            if piece != 0 && !grow(&mut parts, piece as f64) {
                return None;
            }
        }
        Some(rounded(&parts).into())
    }
}

/// Adds to parts that do not overlap, the smallest first. Returns whether the sum is still in
/// range.
fn grow(parts: &mut Vec<f64>, mut value: f64) -> bool {
    let mut kept = 0;
    for at in 0..parts.len() {
        let (mut large, mut small) = (value, parts[at]);
        if large.abs() < small.abs() {
            std::mem::swap(&mut large, &mut small);
        }
        value = large + small;
        let rest = small - (value - large);
        if rest != 0.0 {
            parts[kept] = rest;
            kept += 1;
        }
    }
    parts.truncate(kept);
    parts.push(value);
    value.is_finite()
}

/// The float that is nearest to the sum of all parts, half to even.
#[expect(clippy::float_cmp, reason = "whether it is exactly half is the question")]
fn rounded(parts: &[f64]) -> f64 {
    let mut parts = parts.iter().rev().copied();
    let (mut sum, mut rest) = (parts.next().unwrap_or_default(), 0.0);
    for part in parts.by_ref() {
        let before = sum;
        sum = before + part;
        rest = part - (sum - before);
        if rest != 0.0 {
            break;
        }
    }
    // It is not a tie if another part has the same sign as the rest.
    if parts.next().is_some_and(|next| (next < 0.0) == (rest < 0.0)) {
        let twice = rest * 2.0;
        let next = sum + twice;
        if twice == next - sum {
            return next;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add_all(running: &mut Running, values: &[Number]) {
        for value in values {
            running.add(*value);
        }
    }

    fn sum(values: &[Number]) -> Option<Number> {
        let mut sum = Running::new(Total::Sum);
        add_all(&mut sum, values);
        sum.value()
    }

    fn floats(values: &[f64]) -> Option<f64> {
        let values: Vec<_> = values.iter().map(|value| Number::Float(*value)).collect();
        sum(&values).map(Number::as_f64)
    }

    #[test]
    fn whole_numbers_are_added_exactly_beyond_what_a_float_holds() {
        let large = Number::Integer((1 << 53) + 1);
        assert_eq!(sum(&[large, Number::Integer(0)]), Some(large));
        assert_eq!(sum(&[]), None);
        assert_eq!(sum(&[Number::Integer(i128::MAX), Number::Integer(1)]), None, "not a wrong one");
        let mixed = [Number::Float(0.5), Number::Integer(1 << 60), Number::Integer(-(1 << 60))];
        assert_eq!(sum(&mixed), Some(Number::Float(0.5)));
    }

    /// The results of Python's `math.fsum`.
    #[test]
    fn a_sum_of_floats_is_rounded_once() {
        assert_eq!(floats(&[0.1; 10]), Some(1.0));
        assert_eq!(floats(&[1e100, 1.5, -1e100]), Some(1.5));
        assert_eq!(floats(&[1e16, 1.0, 1e-16]), Some(10_000_000_000_000_002.0));
        assert_eq!(
            floats(&[1e16 - 2.0, 1.0 - 2f64.powi(-53), -(1e16 - 2.0), -(1.0 - 2f64.powi(-53))]),
            Some(0.0)
        );
        assert_eq!(floats(&[1e308, 1e308, -1e308]), None, "it was beyond the range on its way");
    }

    #[test]
    fn the_least_and_the_largest_value_are_unchanged() {
        let values = [3, -7, 9_007_199_254_740_993].map(Number::Integer);
        for (total, wanted) in [(Total::Min, values[1]), (Total::Max, values[2])] {
            let mut running = Running::new(total);
            assert_eq!(running.value(), None);
            add_all(&mut running, &values);
            assert_eq!(running.value(), Some(wanted));
        }
    }

    proptest! {
        #[test]
        fn a_sum_is_the_same_in_every_order_and_when_it_was_saved_in_between(
            values in proptest::collection::vec((-1e9..1e9_f64, -300..300_i32), 1..40),
            at in 0..40_usize,
        ) {
            let values: Vec<Number> =
                values.iter().map(|(value, exponent)| Number::from(value * 2f64.powi(*exponent))).collect();
            let mut sorted = values.clone();
            sorted.sort_by(|left, right| left.as_f64().total_cmp(&right.as_f64()));
            prop_assert_eq!(sum(&values), sum(&sorted));
            let mut running = Running::new(Total::Sum);
            let (first, second) = values.split_at(at.min(values.len()));
            add_all(&mut running, first);
            let saved = serde_json::to_string(&running).unwrap();
            let mut running: Running = serde_json::from_str(&saved).unwrap();
            add_all(&mut running, second);
            prop_assert_eq!(running.value(), sum(&values));
        }
    }
}
