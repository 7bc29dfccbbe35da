//! The warnings that were given, for the live page and the metrics.

use std::sync::Mutex;

use super::count::Count;
use crate::data_pipeline::secrets::without_users;

/// Texts of warnings that are kept for the live page.
const SHOWN: usize = 20;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    SourceGaveNothing,
    WindowsHeldOpen,
    ConditionMatchedAllOrNothing,
    FieldMissing,
    LateEvents,
    SinkGotNothing,
    KeysOverflow,
    ValuesBeyondRange,
    DeadLettersNotKept,
    DeadLettersFull,
    HolesSkipped,
    NotLines,
    SinkWaits,
    LinesRefused,
}

/// The cases in their order, as `warnings_total` names them.
const CASES: [&str; 14] = [
    "source_gave_nothing",
    "windows_held_open",
    "condition_matched_all_or_nothing",
    "field_missing",
    "late_events",
    "sink_got_nothing",
    "keys_overflow",
    "values_beyond_range",
    "dead_letters_not_kept",
    "dead_letters_full",
    "holes_skipped",
    "not_lines",
    "sink_waits",
    "lines_refused",
];

/// The warnings given so far: the first texts, and a count by case.
#[derive(Debug, Default)]
pub(crate) struct Told {
    counts: [Count; CASES.len()],
    texts: Mutex<Vec<String>>,
}

impl Told {
    /// How many warnings there were of each case.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        CASES.into_iter().zip(self.counts.iter().map(Count::get)).collect()
    }

    /// The first ones.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts.lock().expect("nobody panics while holding this").clone()
    }

    pub(super) fn add(&self, case: Case, text: &str) {
        self.counts[case as usize].add(1);
        let mut texts = self.texts.lock().expect("nobody panics while holding this");
        if texts.len() < SHOWN {
            texts.push(without_users(text));
        }
    }
}
