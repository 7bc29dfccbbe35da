//! What a write still has to account for.

use std::collections::VecDeque;

use crate::data_pipeline::state::ledger::Held;

/// The events of the batches of a write, in their order: how many, and what they hold.
#[derive(Debug, Default)]
pub(crate) struct Owed(VecDeque<(u64, Option<Held>)>);

impl Owed {
    /// Those of the next batch.
    pub(crate) fn push(&mut self, events: u64, held: Option<Held>) {
        self.0.push_back((events, held));
    }

    /// Those of the first lines.
    pub(crate) fn take(&mut self, mut lines: u64) -> Self {
        let mut first = Self::default();
        while lines > 0
            && let Some((events, held)) = self.0.front_mut()
        {
            let part = lines.min(*events);
            first.0.push_back((part, held.as_mut().map(|held| held.split(part))));
            *events -= part;
            lines -= part;
            if *events == 0 {
                self.0.pop_front();
            }
        }
        first
    }

    /// They are delivered. Returns how many.
    pub(crate) fn delivered(self) -> u64 {
        let delivered = |(events, held): (u64, Option<Held>)| {
            held.into_iter().for_each(Held::delivered);
            events
        };
        self.0.into_iter().map(delivered).sum()
    }

    /// The other side has refused them: what their dead letters hold.
    pub(crate) fn refused(self) -> Option<Held> {
        self.0.into_iter().filter_map(|(_, held)| held).reduce(Held::join).map(Held::refused)
    }
}
