//! The progress of each source: the files' positions for the checkpoint, the latest times for the
//! watermark.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::chunk::{Origin, ParsedChunk};
use super::file::FileRecord;

/// How long the position of a file that is gone is kept, in seconds: a day.
pub(crate) const KEEP: i64 = 24 * 60 * 60;

/// The sources by their feed.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    unfinished: BTreeMap<u64, FeedState>,
    /// All files that are read or were, by name.
    files: BTreeMap<String, FileRecord>,
    /// The time of silence after which a source is left out of the watermark.
    idle: Option<Duration>,
}

#[derive(Debug)]
struct FeedState {
    /// The latest event time.
    latest: Option<i64>,
    /// Whether reading it comes to an end.
    finite: bool,
    /// Whether it holds windows open before it has shown a time.
    expected: bool,
    /// The name in messages.
    name: String,
    /// When its last chunk came.
    seen: Instant,
    /// When it last showed a newer time.
    moved: Instant,
}

impl Feeds {
    /// Goes on from the files of an earlier run.
    pub(crate) fn new(files: BTreeMap<String, FileRecord>, idle: Option<Duration>) -> Self {
        Self { unfinished: BTreeMap::new(), files, idle }
    }

    /// All files that are read or were, by name.
    pub(crate) fn files(&self) -> &BTreeMap<String, FileRecord> {
        &self.files
    }

    /// A file that an earlier run has read is gone, since `now` in seconds since 1970.
    pub(crate) fn gone(&mut self, name: &str, now: i64) {
        if let Some(file) = self.files.get_mut(name) {
            file.closed = Some(now);
        }
    }

    /// Forgets the files that have been gone for [`KEEP`] seconds.
    pub(crate) fn forget(&mut self, now: i64) {
        self.files.retain(|_, file| file.closed.is_none_or(|since| since > now - KEEP));
    }

    /// A source that is there from the start: it holds windows open before it has shown a time.
    pub(crate) fn register(&mut self, feed: u64, origin: &Origin, now: Instant) {
        self.add(feed, origin, true, now);
    }

    fn add(&mut self, feed: u64, origin: &Origin, expected: bool, now: Instant) {
        let path = origin.file.as_ref().map(|file| &file.path);
        let same_path = self.files.values().filter(|file| Some(&file.path) == path);
        let latest = same_path.filter_map(|file| file.latest).max();
        let name = path.unwrap_or(&origin.name).clone();
        let (finite, seen, moved) = (origin.finite, now, now);
        let state = FeedState { latest, finite, expected, name, seen, moved };
        self.unfinished.insert(feed, state);
    }

    /// The latest time that a source has shown before this chunk.
    pub(crate) fn latest(&self, feed: u64) -> Option<i64> {
        self.unfinished.get(&feed).and_then(|feed| feed.latest)
    }

    /// Records that a source has come as far as this chunk.
    pub(crate) fn advance(&mut self, chunk: &ParsedChunk, now: Instant) {
        let (tag, origin) = (&chunk.tag, &chunk.tag.origin);
        if !self.unfinished.contains_key(&tag.feed) {
            self.add(tag.feed, origin, false, now); // it came while the run went on
        }
        if tag.last {
            self.unfinished.remove(&tag.feed);
            return;
        }
        let feed = self.unfinished.get_mut(&tag.feed).expect("it has just been registered");
        feed.seen = now;
        if chunk.parsed.rows.latest > feed.latest {
            feed.moved = now;
        }
        feed.latest = feed.latest.max(chunk.parsed.rows.latest);
        if let (Some(file), Some(read)) = (&origin.file, &tag.read) {
            let (read, parts, latest) = (read.clone(), chunk.parsed.parts, feed.latest);
            self.files
                .insert(origin.name.clone(), FileRecord { read, parts, latest, ..file.clone() });
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
            let counts = feed.expected || feed.latest.is_some();
            counts && self.idle.is_none_or(|idle| silent < idle)
        })
    }

    /// The least of the latest times of all unfinished sources; `None` while one has shown none.
    pub(crate) fn latest_of_all(&self, now: Instant) -> Option<i64> {
        // `None` is less than any time.
        self.waited_for(now).map(|feed| feed.latest).min().flatten()
    }

    /// The source that the windows wait for, and for how long it has shown nothing newer.
    pub(crate) fn hindmost(&self, now: Instant) -> Option<(&str, Duration)> {
        let feed = self.waited_for(now).min_by_key(|feed| (feed.latest, feed.moved))?;
        Some((&feed.name, now.saturating_duration_since(feed.moved)))
    }

    /// Whether there are sources, and all have been silent for longer than `--idle`.
    pub(crate) fn are_idle(&self, now: Instant) -> bool {
        let Some(idle) = self.idle else { return false };
        let silent = |feed: &FeedState| now.saturating_duration_since(feed.seen) >= idle;
        !self.unfinished.is_empty() && self.unfinished.values().all(silent)
    }

    /// The sources that are ahead in time of another one that is sure to catch up.
    pub(crate) fn ahead(&self) -> Vec<u64> {
        let finite = self.unfinished.iter().filter(|(_, feed)| feed.finite);
        // A source that has shown no time yet is behind all others: `None` is less than any time.
        let least = finite.clone().map(|(_, feed)| feed.latest).min().flatten();
        finite.filter(|(_, feed)| feed.latest > least).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, latest: i64) -> FileRecord {
        FileRecord { path: path.to_owned(), latest: Some(latest), ..FileRecord::default() }
    }

    fn feeds(idle: Option<Duration>) -> Feeds {
        Feeds::new([("a".to_owned(), file("a", 5))].into(), idle)
    }

    fn origin(path: &str) -> Origin {
        Origin { file: Some(file(path, 0)), ..Origin::default() }
    }

    #[test]
    fn a_resumed_source_that_has_nothing_new_keeps_its_position() {
        let mut feeds = feeds(None);
        feeds.register(0, &origin("a"), Instant::now());
        feeds.unfinished.remove(&0);
        assert_eq!(feeds.files(), &[("a".to_owned(), file("a", 5))].into());
        assert!(feeds.are_finished());
    }

    #[test]
    fn a_file_that_is_gone_is_forgotten_after_a_day() {
        let mut feeds = feeds(None);
        feeds.forget(KEEP * 9);
        assert_eq!(feeds.files().len(), 1, "one that is there is never forgotten");
        feeds.gone("a", 100);
        feeds.forget(KEEP + 99);
        assert_eq!(feeds.files()["a"].closed, Some(100));
        feeds.forget(KEEP + 101);
        assert!(feeds.files().is_empty());
    }

    #[test]
    fn a_source_without_a_time_holds_the_watermark_back() {
        let mut feeds = feeds(None);
        let now = Instant::now();
        feeds.register(0, &origin("a"), Instant::now());
        assert_eq!(feeds.latest_of_all(now), Some(5));
        feeds.register(1, &origin("b"), Instant::now());
        assert_eq!(feeds.latest_of_all(now), None);
        feeds.unfinished.remove(&1);
        assert_eq!(feeds.latest_of_all(now), Some(5));
    }

    #[test]
    fn only_a_source_that_another_is_sure_to_catch_up_with_is_ahead() {
        let mut feeds = feeds(None);
        for (feed, name) in [(0, "a"), (1, "b"), (2, "c")] {
            feeds.register(feed, &origin(name), Instant::now());
        }
        assert!(feeds.ahead().is_empty());
        for (feed, latest) in [(0, 5), (1, 7)] {
            let feed = feeds.unfinished.get_mut(&feed).unwrap();
            (feed.finite, feed.latest) = (true, Some(latest));
        }
        assert_eq!(feeds.ahead(), [1]);
        feeds.unfinished.get_mut(&2).unwrap().finite = true;
        assert_eq!(feeds.ahead(), [0, 1], "the third has shown no time yet");
        feeds.unfinished.remove(&2);
        feeds.unfinished.remove(&0);
        assert!(feeds.ahead().is_empty());
    }

    #[test]
    fn an_idle_source_is_left_out() {
        let mut feeds = feeds(Some(Duration::from_secs(1)));
        feeds.register(0, &origin("a"), Instant::now());
        feeds.register(1, &origin("b"), Instant::now());
        let later = Instant::now() + Duration::from_secs(2);
        feeds.unfinished.get_mut(&0).unwrap().seen = later;
        assert_eq!(feeds.latest_of_all(later), Some(5));
    }

    #[test]
    fn the_source_that_windows_wait_for_is_named_with_how_long_it_has_shown_nothing_newer() {
        let mut feeds = feeds(None);
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(feeds.hindmost(start), None);
        feeds.register(0, &origin("a"), start);
        assert_eq!(feeds.hindmost(start + 10 * second), Some(("a", 10 * second)));
        feeds.register(1, &origin("b"), start + second);
        assert_eq!(feeds.hindmost(start + 4 * second), Some(("b", 3 * second)), "it has no time");
        feeds.unfinished.get_mut(&1).unwrap().latest = Some(9);
        assert_eq!(feeds.hindmost(start + 4 * second), Some(("a", 4 * second)));
    }
}
