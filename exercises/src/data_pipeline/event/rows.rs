//! What the windows are given of the events.

use super::value::Number;

/// The key of events that have none.
pub(crate) const NO_KEY: &str = "null";

/// What a chunk contributes: its accepted events in order, with keys that are spelled once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<Box<str>>,
    pub(crate) list: Vec<Row>,
    /// What is added up or compared, for each row as many as there are columns for it.
    pub(crate) totals: Vec<Option<Number>>,
    /// Whether some event had the fields of --by, of --p, and of the totals, in this order.
    pub(crate) had: Vec<bool>,
    /// The latest time among all events of the chunk, filtered ones too.
    pub(crate) latest: Option<i64>,
}

/// One accepted event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// In milliseconds since 1970.
    pub(crate) time: i64,
    /// The latest time in the chunk up to this event.
    pub(crate) latest: i64,
    /// An index into the keys.
    pub(crate) key: u32,
    pub(crate) value: Option<f64>,
}
