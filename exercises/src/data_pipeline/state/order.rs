//! Restores the order of each source after the workers, which finish in any order.

use std::collections::{BTreeMap, HashMap};

/// Items that came early, by source, until those before them are there. It holds at most what is in
/// flight, which the sources' budget bounds: unparsed, as it was read.
#[derive(Debug)]
pub(crate) struct Order<T> {
    /// The number of the next item, and what came early.
    feeds: HashMap<u64, (u64, BTreeMap<u64, T>)>,
}

impl<T> Order<T> {
    pub(crate) fn new() -> Self {
        Self { feeds: HashMap::new() }
    }

    /// Takes the item `sequence` (from 0) of a feed and returns all that is now in order.
    pub(crate) fn push(&mut self, feed: u64, sequence: u64, item: T) -> Vec<T> {
        let (next, early) = self.feeds.entry(feed).or_default();
        early.insert(sequence, item);
        let mut ready = Vec::new();
        while let Some(item) = early.remove(next) {
            ready.push(item);
            *next += 1;
        }
        ready
    }

    /// Forgets a feed that has ended.
    pub(crate) fn remove(&mut self, feed: u64) {
        self.feeds.remove(&feed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_lane_comes_out_in_order_whatever_the_order_in(
            items in Just((0..2_u64).flat_map(|feed| (0..20).map(move |n| (feed, n)))
                .collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut order = Order::new();
            let mut out = [Vec::new(), Vec::new()];
            for (feed, n) in items {
                out[feed as usize].extend(order.push(feed, n, n));
            }
            let sorted: Vec<u64> = (0..20).collect();
            prop_assert_eq!(&out[0], &sorted);
            prop_assert_eq!(&out[1], &sorted);
        }
    }
}
