//! How far each source is: its position for the checkpoint, its latest time for the watermark.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::checkpoint::{FileId, Position};
use super::chunk::{Origin, ParsedChunk};

/// The sources by their lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    unfinished: BTreeMap<u64, Lane>,
    /// Positions of sources that are done, or that this run does not have.
    settled: BTreeMap<String, Position>,
    /// A source that is silent for so long is left out of the watermark.
    idle: Option<Duration>,
}

#[derive(Debug)]
struct Lane {
    source: String,
    position: Position,
    /// Its position is worth saving.
    replayable: bool,
    /// It comes to its end when it is read.
    finite: bool,
    /// It holds windows open before it has shown a time.
    expected: bool,
    /// When its last chunk came.
    seen: Instant,
}

impl Lanes {
    /// Goes on from the positions of an earlier run.
    pub(crate) fn new(settled: BTreeMap<String, Position>, idle: Option<Duration>) -> Self {
        Self { unfinished: BTreeMap::new(), settled, idle }
    }

    /// The position at which an earlier run left a source.
    pub(crate) fn position(&self, source: &str) -> Option<Position> {
        self.settled.get(source).cloned()
    }

    /// All files that earlier runs have read.
    pub(crate) fn file_ids(&self) -> impl Iterator<Item = FileId> {
        self.settled
            .values()
            .flat_map(|position| position.retired.iter().copied().chain([position.file]))
    }

    /// A source that is there from the start: it holds windows open before it has shown a time.
    pub(crate) fn register(&mut self, lane: u64, origin: &Origin) {
        self.add(lane, origin, true);
    }

    fn add(&mut self, lane: u64, origin: &Origin, expected: bool) {
        let saved = self.settled.remove(&origin.source);
        let (replayable, position) = (saved.is_some(), saved.unwrap_or_default());
        let (source, finite, seen) = (origin.source.clone(), origin.finite, Instant::now());
        let lane_of = Lane { source, position, replayable, finite, expected, seen };
        self.unfinished.insert(lane, lane_of);
    }

    /// The latest time that a source has shown before this chunk.
    pub(crate) fn latest(&self, lane: u64) -> Option<i64> {
        self.unfinished.get(&lane).and_then(|lane| lane.position.latest)
    }

    /// A source has come as far as this chunk.
    pub(crate) fn advance(&mut self, chunk: &ParsedChunk, now: Instant) {
        let (tag, origin) = (&chunk.tag, &chunk.tag.origin);
        if !self.unfinished.contains_key(&tag.lane) {
            self.add(tag.lane, origin, false); // it came while the run went on
        }
        let lane = self.unfinished.get_mut(&tag.lane).expect("it has just been registered");
        if tag.last {
            return self.end(tag.lane);
        }
        lane.seen = now;
        lane.replayable = origin.replayable;
        lane.position = Position {
            generation: origin.generation,
            file: origin.file,
            retired: origin.retired.clone(),
            offset: chunk.parsed.end,
            parts: chunk.parsed.parts,
            latest: lane.position.latest.max(chunk.parsed.rows.latest),
        };
    }

    fn end(&mut self, lane: u64) {
        if let Some(lane) = self.unfinished.remove(&lane)
            && lane.replayable
        {
            self.settled.insert(lane.source, lane.position);
        }
    }

    /// Whether all sources have come to their end.
    pub(crate) fn are_finished(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// The least of the latest times of all unfinished sources; `None` while one has shown none.
    pub(crate) fn latest_of_all(&self, now: Instant) -> Option<i64> {
        let waited_for = |lane: &&Lane| {
            let silent = now.saturating_duration_since(lane.seen);
            let counts = lane.expected || lane.position.latest.is_some();
            counts && self.idle.is_none_or(|idle| silent < idle)
        };
        // `None` is less than any time.
        self.unfinished.values().filter(waited_for).map(|lane| lane.position.latest).min().flatten()
    }

    /// The sources that have come further in time than another one that is sure to catch up.
    pub(crate) fn ahead(&self) -> Vec<u64> {
        let finite = self.unfinished.iter().filter(|(_, lane)| lane.finite);
        // One that has shown no time yet is behind all others: `None` is less than any time.
        let least = finite.clone().map(|(_, lane)| lane.position.latest).min().flatten();
        finite.filter(|(_, lane)| lane.position.latest > least).map(|(id, _)| *id).collect()
    }

    /// The positions to save.
    pub(crate) fn positions(&self) -> BTreeMap<String, Position> {
        let mut positions = self.settled.clone();
        let replayable = self.unfinished.values().filter(|lane| lane.replayable);
        positions.extend(replayable.map(|lane| (lane.source.clone(), lane.position.clone())));
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(source: &str, latest: i64) -> BTreeMap<String, Position> {
        let position = Position { offset: 7, latest: Some(latest), ..Position::default() };
        [(source.to_owned(), position)].into()
    }

    fn origin(source: &str) -> Origin {
        Origin { source: source.to_owned(), ..Origin::default() }
    }

    #[test]
    fn a_resumed_source_that_has_nothing_new_keeps_its_position() {
        let mut lanes = Lanes::new(settled("a", 5), None);
        lanes.register(0, &origin("a"));
        assert_eq!(lanes.positions(), settled("a", 5));
        lanes.end(0);
        assert_eq!(lanes.positions(), settled("a", 5));
        assert!(lanes.are_finished());
    }

    #[test]
    fn a_source_without_a_time_holds_the_watermark_back() {
        let mut lanes = Lanes::new(settled("a", 5), None);
        let now = Instant::now();
        lanes.register(0, &origin("a"));
        assert_eq!(lanes.latest_of_all(now), Some(5));
        lanes.register(1, &origin("b"));
        assert_eq!(lanes.latest_of_all(now), None);
        lanes.end(1);
        assert_eq!(lanes.latest_of_all(now), Some(5));
    }

    #[test]
    fn only_a_source_that_another_is_sure_to_catch_up_with_is_ahead() {
        let mut lanes = Lanes::new(settled("a", 5), None);
        for (lane, name) in [(0, "a"), (1, "b"), (2, "c")] {
            lanes.register(lane, &origin(name));
        }
        assert!(lanes.ahead().is_empty());
        for (lane, latest) in [(0, 5), (1, 7)] {
            let lane = lanes.unfinished.get_mut(&lane).unwrap();
            (lane.finite, lane.position.latest) = (true, Some(latest));
        }
        assert_eq!(lanes.ahead(), [1]);
        lanes.unfinished.get_mut(&2).unwrap().finite = true;
        assert_eq!(lanes.ahead(), [0, 1], "the third has shown no time yet");
        lanes.end(2);
        lanes.end(0);
        assert!(lanes.ahead().is_empty());
    }

    #[test]
    fn an_idle_source_is_left_out() {
        let mut lanes = Lanes::new(settled("a", 5), Some(Duration::from_secs(1)));
        lanes.register(0, &origin("a"));
        lanes.register(1, &origin("b"));
        let later = Instant::now() + Duration::from_secs(2);
        lanes.unfinished.get_mut(&0).unwrap().seen = later;
        assert_eq!(lanes.latest_of_all(later), Some(5));
    }
}
