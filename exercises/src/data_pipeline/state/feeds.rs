//! How far each source is: its position for the checkpoint, its latest time for the watermark.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::checkpoint::{FileId, Position};
use super::chunk::{Origin, ParsedChunk};

/// The sources by their feed.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    unfinished: BTreeMap<u64, FeedState>,
    /// Positions of sources that are done, or that this run does not have.
    inactive: BTreeMap<String, Position>,
    /// A source that is silent for so long is left out of the watermark.
    idle: Option<Duration>,
}

#[derive(Debug)]
struct FeedState {
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
    /// When it last showed a newer time.
    moved: Instant,
}

impl Feeds {
    /// Goes on from the positions of an earlier run.
    pub(crate) fn new(inactive: BTreeMap<String, Position>, idle: Option<Duration>) -> Self {
        Self { unfinished: BTreeMap::new(), inactive, idle }
    }

    /// The position at which an earlier run left a source.
    pub(crate) fn position(&self, source: &str) -> Option<Position> {
        self.inactive.get(source).cloned()
    }

    /// All files that earlier runs have read.
    pub(crate) fn file_ids(&self) -> impl Iterator<Item = FileId> {
        self.inactive
            .values()
            .flat_map(|position| position.retired.iter().copied().chain([position.file]))
    }

    /// A source that is there from the start: it holds windows open before it has shown a time.
    pub(crate) fn register(&mut self, feed: u64, origin: &Origin, now: Instant) {
        self.add(feed, origin, true, now);
    }

    fn add(&mut self, feed: u64, origin: &Origin, expected: bool, now: Instant) {
        let saved = self.inactive.remove(&origin.source);
        let (replayable, position) = (saved.is_some(), saved.unwrap_or_default());
        let (source, finite) = (origin.source.clone(), origin.finite);
        let (seen, moved) = (now, now);
        let state = FeedState { source, position, replayable, finite, expected, seen, moved };
        self.unfinished.insert(feed, state);
    }

    /// The latest time that a source has shown before this chunk.
    pub(crate) fn latest(&self, feed: u64) -> Option<i64> {
        self.unfinished.get(&feed).and_then(|feed| feed.position.latest)
    }

    /// A source has come as far as this chunk.
    pub(crate) fn advance(&mut self, chunk: &ParsedChunk, now: Instant) {
        let (tag, origin) = (&chunk.tag, &chunk.tag.origin);
        if !self.unfinished.contains_key(&tag.feed) {
            self.add(tag.feed, origin, false, now); // it came while the run went on
        }
        let feed = self.unfinished.get_mut(&tag.feed).expect("it has just been registered");
        if tag.last {
            return self.end(tag.feed);
        }
        feed.seen = now;
        if chunk.parsed.rows.latest > feed.position.latest {
            feed.moved = now;
        }
        feed.replayable = origin.replayable;
        feed.position = Position {
            generation: origin.generation,
            file: origin.file,
            retired: origin.retired.clone(),
            offset: chunk.parsed.end,
            parts: chunk.parsed.parts,
            latest: feed.position.latest.max(chunk.parsed.rows.latest),
        };
    }

    fn end(&mut self, feed: u64) {
        if let Some(feed) = self.unfinished.remove(&feed)
            && feed.replayable
        {
            self.inactive.insert(feed.source, feed.position);
        }
    }

    /// Whether all sources have come to their end.
    pub(crate) fn are_finished(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// The sources that hold windows open.
    fn waited_for(&self, now: Instant) -> impl Iterator<Item = &FeedState> {
        self.unfinished.values().filter(move |feed| {
            let silent = now.saturating_duration_since(feed.seen);
            let counts = feed.expected || feed.position.latest.is_some();
            counts && self.idle.is_none_or(|idle| silent < idle)
        })
    }

    /// The least of the latest times of all unfinished sources; `None` while one has shown none.
    pub(crate) fn latest_of_all(&self, now: Instant) -> Option<i64> {
        // `None` is less than any time.
        self.waited_for(now).map(|feed| feed.position.latest).min().flatten()
    }

    /// The source that the windows wait for, and for how long it has shown nothing newer.
    pub(crate) fn hindmost(&self, now: Instant) -> Option<(&str, Duration)> {
        let feed = self.waited_for(now).min_by_key(|feed| (feed.position.latest, feed.moved))?;
        Some((&feed.source, now.saturating_duration_since(feed.moved)))
    }

    /// Whether there are sources, and all are silent for longer than any is waited for.
    pub(crate) fn are_idle(&self, now: Instant) -> bool {
        let Some(idle) = self.idle else { return false };
        let silent = |feed: &FeedState| now.saturating_duration_since(feed.seen) >= idle;
        !self.unfinished.is_empty() && self.unfinished.values().all(silent)
    }

    /// The sources that have come further in time than another one that is sure to catch up.
    pub(crate) fn ahead(&self) -> Vec<u64> {
        let finite = self.unfinished.iter().filter(|(_, feed)| feed.finite);
        // One that has shown no time yet is behind all others: `None` is less than any time.
        let least = finite.clone().map(|(_, feed)| feed.position.latest).min().flatten();
        finite.filter(|(_, feed)| feed.position.latest > least).map(|(id, _)| *id).collect()
    }

    /// The positions to save.
    pub(crate) fn positions(&self) -> BTreeMap<String, Position> {
        let mut positions = self.inactive.clone();
        let replayable = self.unfinished.values().filter(|feed| feed.replayable);
        positions.extend(replayable.map(|feed| (feed.source.clone(), feed.position.clone())));
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inactive(source: &str, latest: i64) -> BTreeMap<String, Position> {
        let position = Position { offset: 7, latest: Some(latest), ..Position::default() };
        [(source.to_owned(), position)].into()
    }

    fn origin(source: &str) -> Origin {
        Origin { source: source.to_owned(), ..Origin::default() }
    }

    #[test]
    fn a_resumed_source_that_has_nothing_new_keeps_its_position() {
        let mut feeds = Feeds::new(inactive("a", 5), None);
        feeds.register(0, &origin("a"), Instant::now());
        assert_eq!(feeds.positions(), inactive("a", 5));
        feeds.end(0);
        assert_eq!(feeds.positions(), inactive("a", 5));
        assert!(feeds.are_finished());
    }

    #[test]
    fn a_source_without_a_time_holds_the_watermark_back() {
        let mut feeds = Feeds::new(inactive("a", 5), None);
        let now = Instant::now();
        feeds.register(0, &origin("a"), Instant::now());
        assert_eq!(feeds.latest_of_all(now), Some(5));
        feeds.register(1, &origin("b"), Instant::now());
        assert_eq!(feeds.latest_of_all(now), None);
        feeds.end(1);
        assert_eq!(feeds.latest_of_all(now), Some(5));
    }

    #[test]
    fn only_a_source_that_another_is_sure_to_catch_up_with_is_ahead() {
        let mut feeds = Feeds::new(inactive("a", 5), None);
        for (feed, name) in [(0, "a"), (1, "b"), (2, "c")] {
            feeds.register(feed, &origin(name), Instant::now());
        }
        assert!(feeds.ahead().is_empty());
        for (feed, latest) in [(0, 5), (1, 7)] {
            let feed = feeds.unfinished.get_mut(&feed).unwrap();
            (feed.finite, feed.position.latest) = (true, Some(latest));
        }
        assert_eq!(feeds.ahead(), [1]);
        feeds.unfinished.get_mut(&2).unwrap().finite = true;
        assert_eq!(feeds.ahead(), [0, 1], "the third has shown no time yet");
        feeds.end(2);
        feeds.end(0);
        assert!(feeds.ahead().is_empty());
    }

    #[test]
    fn an_idle_source_is_left_out() {
        let mut feeds = Feeds::new(inactive("a", 5), Some(Duration::from_secs(1)));
        feeds.register(0, &origin("a"), Instant::now());
        feeds.register(1, &origin("b"), Instant::now());
        let later = Instant::now() + Duration::from_secs(2);
        assert!(feeds.are_idle(later), "then nothing holds windows open");
        feeds.unfinished.get_mut(&0).unwrap().seen = later;
        assert_eq!(feeds.latest_of_all(later), Some(5));
        assert!(!feeds.are_idle(later));
    }

    #[test]
    fn the_source_that_windows_wait_for_is_named_with_how_long_it_has_shown_nothing_newer() {
        let mut feeds = Feeds::new(inactive("a", 5), None);
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(feeds.hindmost(start), None);
        feeds.register(0, &origin("a"), start);
        assert_eq!(feeds.hindmost(start + 10 * second), Some(("a", 10 * second)));
        feeds.register(1, &origin("b"), start + second);
        assert_eq!(feeds.hindmost(start + 4 * second), Some(("b", 3 * second)), "it has no time");
        feeds.unfinished.get_mut(&1).unwrap().position.latest = Some(9);
        assert_eq!(feeds.hindmost(start + 4 * second), Some(("a", 4 * second)));
    }
}
