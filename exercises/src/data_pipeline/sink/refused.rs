//! Lines that a sink's other side has refused, as dead letters.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use crate::data_pipeline::event::expr::json;
use crate::data_pipeline::event::output::letter;
use crate::data_pipeline::state::ledger::Held;

/// The way of refused lines from all sinks to the core, which puts them among the dead letters at
/// once. The next checkpoint must have those that its lengths do not have yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    letters: Mutex<Kept>,
    added: Notify,
}

/// What no checkpoint has begun with.
#[derive(Debug, Default)]
struct Kept {
    letters: Vec<Letters>,
    /// How many of them the core has taken.
    taken: usize,
}

/// The dead letters of lines that were refused together.
#[derive(Debug)]
pub(crate) struct Letters {
    /// The sink's id.
    sink: String,
    /// One line of JSON each.
    pub(crate) text: Bytes,
    pub(crate) lines: u64,
    pub(crate) reason: String,
    /// They count as refused when they are written.
    pub(crate) held: Option<Held>,
}

impl Refused {
    pub(crate) fn add(&self, letters: Letters) {
        self.kept().letters.push(letters);
        self.0.added.notify_one();
    }

    /// Waits for more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn added(&self) {
        self.0.added.notified().await;
    }

    /// All that was added since the last call. It is kept for the checkpoint under way if there is
    /// one; otherwise whoever takes it has it in the next one.
    pub(crate) fn take(&self, is_kept: bool) -> Vec<Letters> {
        let mut kept = self.kept();
        let from = kept.taken;
        if !is_kept {
            kept.taken = 0;
            return std::mem::take(&mut kept.letters).split_off(from);
        }
        kept.taken = kept.letters.len();
        kept.letters[from..].iter_mut().map(Letters::take).collect()
    }

    /// What a sink has added since the checkpoint under way has begun.
    pub(crate) fn of(&self, sink: &str) -> Vec<Bytes> {
        let kept = self.kept();
        let of_sink = kept.letters.iter().filter(|letters| letters.sink == sink);
        of_sink.map(|letters| letters.text.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.letters.lock().expect("nobody panics while holding this")
    }
}

impl Letters {
    /// The dead letters of `lines`, each with the source and offset of its id; without one it is
    /// from the sink itself.
    pub(crate) fn of(
        lines: &[u8],
        reason: String,
        (sink, field): (&str, &str),
        held: Option<Held>,
    ) -> Self {
        let (mut text, mut count) = (String::new(), 0);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event = serde_json::from_slice::<Value>(line).unwrap_or_default();
            let id = event.get(field).and_then(Value::as_str).unwrap_or_default();
            let place =
                id.rsplit_once(':').and_then(|(source, at)| Some((source, at.parse().ok()?)));
            let (source, offset) = place.unwrap_or((sink, 0));
            let source = json(source);
            let source = &source[1..source.len() - 1]; // without its quotes
            text += &letter(source, offset, &reason, line);
            count += 1;
        }
        Self { sink: sink.to_owned(), text: text.into(), lines: count, reason, held }
    }

    /// For the core: only the text stays behind.
    fn take(&mut self) -> Self {
        let (sink, reason) = (String::new(), std::mem::take(&mut self.reason));
        Self { sink, text: self.text.clone(), lines: self.lines, reason, held: self.held.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(letters: &[Bytes]) -> Vec<&str> {
        letters.iter().map(|text| std::str::from_utf8(text).unwrap()).collect()
    }

    /// A checkpoint's lengths have what was taken before it, and it has the rest: no letter is in
    /// both, and none in neither.
    #[test]
    fn a_checkpoint_gets_what_each_sink_has_refused_since_it_began() {
        let refused = Refused::default();
        let add = |sink: &str, text: &'static str| {
            let (sink, text, reason) = (sink.to_owned(), text.into(), String::new());
            refused.add(Letters { sink, text, lines: 1, reason, held: None });
        };
        let take = |is_kept| {
            let taken: Vec<_> = refused.take(is_kept).into_iter().map(|taken| taken.text).collect();
            texts(&taken).concat()
        };
        add("a", "1");
        assert_eq!(take(true), "1", "it is written at once");
        add("b", "2");
        assert_eq!(take(false), "2", "a checkpoint begins: it has the length with both");
        assert!(refused.of("a").is_empty() && refused.of("b").is_empty());
        add("a", "3");
        assert_eq!(take(true), "3");
        add("a", "4");
        add("b", "5");
        assert_eq!(texts(&refused.of("a")), ["3", "4"], "not in the length");
        assert_eq!(take(true), "45", "each is written once");
        assert_eq!(texts(&refused.of("b")), ["5"]);
        assert_eq!(take(false), "");
        assert!(refused.of("a").is_empty());
    }
}
