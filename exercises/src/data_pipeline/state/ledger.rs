//! Where every event is: `read = filtered + dead + accepted + in flight`, and for each sink
//! `accepted = delivered + dropped + refused + queued`.
//!
//! Nothing here is derived from the rest. Chunks count themselves while they are in flight or
//! queued: each holds a [`Held`] from its reading until it is accounted for. If a chunk gets lost,
//! its count is lost too, and from then on the two sides differ.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;

use crate::data_pipeline::secrets::without_users;

/// The counts in events, all taken at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Taken from the sources.
    pub read: u64,
    /// Kept back by `--where`, and blank lines.
    pub filtered: u64,
    /// Could not be parsed.
    pub dead: u64,
    /// Passed on to the sinks.
    pub accepted: u64,
    /// In chunks between the sources and the sinks' queues.
    pub in_flight: u64,
    /// Accepted, but too late for their window. Not a part of the sum.
    pub late: u64,
    /// One entry for each `--out`.
    pub sinks: Vec<SinkCounts>,
}

/// The accepted events at one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkCounts {
    /// As given to `--out`.
    pub name: String,
    /// Passed on to this sink.
    pub accepted: u64,
    /// Written, or acknowledged by the other side where there is one.
    pub delivered: u64,
    /// Left out by the policy `drop`, or refused while the dead letters had no room.
    pub dropped: u64,
    /// Refused for good by the other side, and written to the dead letters.
    pub refused: u64,
    /// In the sink's queue, or being written.
    pub queued: u64,
}

impl Counts {
    /// By how many events the two sides differ, over all equations; 0 unless events got lost.
    pub fn imbalance(&self) -> u64 {
        let right = self.filtered + self.dead + self.accepted + self.in_flight;
        let sinks = self.sinks.iter().map(|sink| {
            let right = sink.delivered + sink.dropped + sink.refused + sink.queued;
            sink.accepted.abs_diff(right) + sink.accepted.abs_diff(self.accepted)
        });
        self.read.abs_diff(right) + sinks.sum::<u64>()
    }
}

/// Both equations, as text of several lines.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, filtered, dead, accepted, in_flight, late, sinks } = self;
        writeln!(
            f,
            "read {read} = filtered {filtered} + dead {dead} + accepted {accepted} + in flight \
             {in_flight}"
        )?;
        for SinkCounts { name, accepted, delivered, dropped, refused, queued } in sinks {
            write!(f, "{name}: accepted {accepted} = delivered {delivered} + dropped {dropped}")?;
            if *refused > 0 {
                write!(f, " + refused {refused}")?; // most sinks cannot refuse
            }
            writeln!(f, " + queued {queued}")?;
        }
        write!(f, "late {late}, imbalance {}", self.imbalance())
    }
}

/// The counts of a run, shared by all its stages. Taken once per chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Counts>>);

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    InFlight,
    Sink(usize),
    /// The sink's other side has refused them, and they are not written to the dead letters yet.
    Refused(usize),
}

/// The events of one chunk at one place. They count there until this is accounted for. If it is
/// dropped before, the chunk is lost.
#[derive(Debug)]
pub(crate) struct Held {
    ledger: Ledger,
    place: Place,
    events: u64,
}

impl Ledger {
    pub(crate) fn new(sinks: impl IntoIterator<Item = String>) -> Self {
        let sinks = sinks.into_iter().map(|name| without_users(&name));
        let sinks = sinks.map(|name| SinkCounts { name, ..SinkCounts::default() });
        Self(Arc::new(Mutex::new(Counts { sinks: sinks.collect(), ..Counts::default() })))
    }

    /// All counts, taken at one moment.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// A chunk of `events` events has been read.
    pub(crate) fn read(&self, events: u64) -> Held {
        let mut counts = self.lock();
        counts.read += events;
        self.hold(&mut counts, Place::InFlight, events)
    }

    fn hold(&self, counts: &mut Counts, place: Place, events: u64) -> Held {
        *at(counts, place) += events;
        Held { ledger: self.clone(), place, events }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("nobody panics while holding the ledger")
    }
}

impl Held {
    /// A chunk leaves the parsing stages: its events are filtered, dead or accepted; `late` of the
    /// accepted ones came too late for their window. Returns what each sink now holds.
    pub(crate) fn account(self, filtered: u64, dead: u64, accepted: u64, late: u64) -> Vec<Held> {
        let ledger = self.ledger.clone();
        let mut counts = ledger.lock();
        self.release(&mut counts);
        counts.filtered += filtered;
        counts.dead += dead;
        counts.accepted += accepted;
        counts.late += late;
        (0..counts.sinks.len())
            .map(|sink| {
                counts.sinks[sink].accepted += accepted;
                ledger.hold(&mut counts, Place::Sink(sink), accepted)
            })
            .collect()
    }

    /// The first `events` of them.
    pub(crate) fn split(&mut self, events: u64) -> Self {
        let events = events.min(self.events);
        self.events -= events;
        Self { ledger: self.ledger.clone(), place: self.place, events }
    }

    /// Both, which are at the same place.
    pub(crate) fn join(mut self, mut other: Self) -> Self {
        self.events += std::mem::take(&mut other.events);
        self
    }

    /// The other side of the sink has refused them: from here on they are on their way to the dead
    /// letters.
    pub(crate) fn refused(mut self) -> Self {
        if let Place::Sink(sink) = self.place {
            self.place = Place::Refused(sink);
        }
        self
    }

    /// They are written, or acknowledged by the other side where there is one.
    pub(crate) fn delivered(self) {
        let is_refused = matches!(self.place, Place::Refused(_));
        self.leave(|sink, events| {
            *(if is_refused { &mut sink.refused } else { &mut sink.delivered }) += events;
        });
    }

    /// There is no room for them.
    pub(crate) fn dropped(self) {
        self.leave(|sink, events| sink.dropped += events);
    }

    fn leave(self, count: impl FnOnce(&mut SinkCounts, u64)) {
        let (ledger, events) = (self.ledger.clone(), self.events);
        let mut counts = ledger.lock();
        if let Place::Sink(sink) | Place::Refused(sink) = self.place {
            count(&mut counts.sinks[sink], events);
        }
        self.release(&mut counts);
    }

    /// Gives the count back under the lock that the caller holds, so that no snapshot comes between
    /// the two steps.
    fn release(mut self, counts: &mut Counts) {
        *at(counts, self.place) -= std::mem::take(&mut self.events);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.events > 0 {
            *at(&mut self.ledger.lock(), self.place) -= self.events;
        }
    }
}

fn at(counts: &mut Counts, place: Place) -> &mut u64 {
    match place {
        Place::InFlight => &mut counts.in_flight,
        Place::Sink(sink) | Place::Refused(sink) => &mut counts.sinks[sink].queued,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_equations_hold_at_every_step() {
        let ledger = Ledger::new(["a".to_owned(), "b".to_owned()]);
        let balanced = || assert_eq!(ledger.counts().imbalance(), 0, "{:?}", ledger.counts());
        let chunk = ledger.read(10);
        balanced();
        let mut queued = chunk.account(6, 1, 3, 2);
        balanced();
        queued.pop().unwrap().dropped();
        balanced();
        let mut last = queued.pop().unwrap();
        let refused = last.split(1).refused();
        last.delivered();
        balanced();
        assert_eq!((ledger.counts().sinks[0].refused, ledger.counts().sinks[0].queued), (0, 1));
        refused.delivered();
        balanced();
        let counts = ledger.counts();
        assert_eq!((counts.read, counts.filtered, counts.dead, counts.late), (10, 6, 1, 2));
        let sink = &counts.sinks[0];
        assert_eq!((sink.delivered, sink.refused, counts.sinks[1].dropped), (2, 1, 3));
        assert_eq!((counts.in_flight, counts.sinks[0].queued), (0, 0));
    }

    #[test]
    fn a_lost_chunk_unbalances_the_ledger() {
        let ledger = Ledger::new(["a".to_owned()]);
        drop(ledger.read(10));
        assert_eq!(ledger.counts().imbalance(), 10);
    }

    #[test]
    fn a_chunk_lost_in_a_sink_unbalances_the_ledger() {
        let ledger = Ledger::new(["a".to_owned()]);
        drop(ledger.read(5).account(0, 0, 5, 0));
        assert_eq!(ledger.counts().imbalance(), 5);
    }
}
