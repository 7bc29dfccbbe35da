//! Lines that a sink's other side has refused, as dead letters.

use serde_json::Value;

use crate::data_pipeline::event::expr::json;
use crate::data_pipeline::event::output::{letter, tally};

/// Refused lines: they are written and saved with the next checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// One line of JSON each.
    pub(crate) letters: String,
    /// The reasons, and how many lines each has.
    pub(crate) reasons: Vec<(String, u64)>,
}

impl Refused {
    /// Adds lines of one batch, each with the source and offset of its id; without one it is from
    /// the sink itself. Returns how many bytes they take.
    pub(crate) fn add(&mut self, lines: &[u8], reason: &str, (sink, field): (&str, &str)) -> usize {
        let before = self.letters.len();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event = serde_json::from_slice::<Value>(line).unwrap_or_default();
            let id = event.get(field).and_then(Value::as_str).unwrap_or_default();
            let place =
                id.rsplit_once(':').and_then(|(source, at)| Some((source, at.parse().ok()?)));
            let (source, offset) = place.unwrap_or((sink, 0));
            let source = json(source);
            let source = &source[1..source.len() - 1]; // without its quotes
            self.letters += &letter(source, offset, reason, line);
            tally(&mut self.reasons, reason, 1);
        }
        self.letters.len() - before
    }

    pub(crate) fn append(&mut self, more: Self) {
        self.letters += &more.letters;
        for (reason, letters) in more.reasons {
            tally(&mut self.reasons, &reason, letters);
        }
    }
}
