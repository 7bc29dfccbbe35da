//! What the windows get from the events.

use super::value::Number;

/// The key of events that have none.
pub(crate) const NO_KEY: &str = "null";

/// What a chunk contributes: its accepted events in order, with each key stored once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<Box<str>>,
    pub(crate) list: Vec<Row>,
    /// The values of the totals: for each row one per column.
    pub(crate) totals: Vec<Option<Number>>,
    /// Whether any event had the fields of --by, of --p, and of the totals, in this order.
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
