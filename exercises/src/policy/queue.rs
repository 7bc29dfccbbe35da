use std::collections::{BTreeMap, VecDeque};

use super::Time;

/// The waiting requests of one host: retries first, when they are due, then new ones in the order
/// in which they came.
#[derive(Debug)]
pub(super) struct Queue<J> {
    fresh: VecDeque<J>,
    /// Retries, by when they are due and then by arrival.
    again: BTreeMap<(Time, u64), J>,
    numbers: u64,
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        Self { fresh: VecDeque::new(), again: BTreeMap::new(), numbers: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.again.len()
    }

    pub(super) fn push(&mut self, job: J) {
        self.fresh.push_back(job);
    }

    pub(super) fn push_again(&mut self, job: J, due: Time) {
        self.numbers += 1;
        self.again.insert((due, self.numbers), job);
    }

    /// When the first of them is due; `None` if none waits.
    pub(super) fn due(&self) -> Option<Time> {
        let first = self.again.first_key_value().map(|((due, _), _)| *due);
        if self.fresh.is_empty() { first } else { Some(Time::ZERO) }
    }

    /// The one whose turn it is at `now`.
    pub(super) fn pop(&mut self, now: Time) -> Option<J> {
        let due = self.again.first_key_value().is_some_and(|((due, _), _)| *due <= now);
        if due { self.pop_any() } else { self.fresh.pop_front() }
    }

    /// The first one, even if it is not due.
    pub(super) fn pop_any(&mut self) -> Option<J> {
        let first = self.again.pop_first().map(|(_, job)| job);
        first.or_else(|| self.fresh.pop_front())
    }
}
