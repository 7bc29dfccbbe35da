use super::buffer::LOOK_BEHIND;
use super::frequency::{Fragments, Frequencies};
use super::kernel::lines_and_words;
use super::lines::{LineLengths, LineWidths};
use super::whitespace::{Whitespace, WordStarts};
use crate::file_processor::columns::{Column, Columns, Counts};

/// How to count: the same for every file of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What to count.
    pub columns: Columns,
    /// What a word is.
    pub whitespace: Whitespace,
    /// Whether characters and the longest line are those of `wc` in a UTF-8 locale: only valid
    /// characters count, and the length of a line is its width on a terminal.
    pub as_wc: bool,
}

/// What is known of a stretch of a file: its counts, and enough of its edges to join it exactly
/// with the stretch that follows, even if another worker counted that one.
///
/// Joining is associative, and the default (of no bytes) changes nothing: parts may be counted in
/// any order and joined with their neighbours in any order. A cut may be inside a word, a line or a
/// CRLF, but not inside a character (see [`incomplete`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    lines: u64,
    chars: u64,
    bytes: u64,
    words: WordStarts,
    lengths: LineLengths,
    widths: LineWidths,
    /// The words at the edges, if words are collected.
    pub(crate) fragments: Fragments,
}

impl Counter {
    /// Counts a stretch of text.
    pub(crate) fn partial(self, text: &[u8]) -> Partial {
        let has = |column| self.columns.has(column);
        let mut partial = Partial { bytes: text.len() as u64, ..Partial::default() };
        match (has(Column::Lines), has(Column::Words)) {
            (true, true) if self.whitespace.is_plain(text) => {
                let (lines, words) = lines_and_words(text);
                partial.lines = lines;
                partial.words = WordStarts::at_edges(text, words);
            }
            (lines, words) => {
                if lines {
                    partial.lines = bytecount::count(text, b'\n') as u64;
                }
                if words {
                    partial.words = self.whitespace.word_starts(text);
                }
            }
        }
        if has(Column::Chars) {
            partial.chars = if self.as_wc { valid_chars(text) } else { chars(text) };
        }
        match (has(Column::LongestLine), self.as_wc) {
            (true, true) => partial.widths = LineWidths::of(text),
            (true, false) => partial.lengths = LineLengths::of(text),
            (false, _) => {}
        }
        partial
    }
}

fn chars(text: &[u8]) -> u64 {
    bytecount::num_chars(text) as u64
}

fn valid_chars(text: &[u8]) -> u64 {
    text.utf8_chunks().map(|chunk| chars(chunk.valid().as_bytes())).sum()
}

impl Partial {
    /// For when only the number of bytes is wanted.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// How many bytes were counted.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends the part that follows. A word that this completes goes into `frequencies`.
    pub(crate) fn join(&mut self, next: Self, frequencies: Option<&mut Frequencies>) {
        if next.bytes == 0 {
            return;
        }
        if self.bytes == 0 {
            *self = next;
            return;
        }
        self.lines += next.lines;
        self.chars += next.chars;
        self.bytes += next.bytes;
        self.words.join(next.words);
        self.lengths = self.lengths.join(next.lengths);
        self.widths = self.widths.join(next.widths);
        if let Some(frequencies) = frequencies {
            self.fragments.join(next.fragments, frequencies);
        }
    }

    /// The counts of a file that is all of this.
    pub(crate) fn counts(&self, columns: Columns) -> Counts {
        let bytes = Counts::default().with(Column::Bytes, self.bytes);
        columns.iter().fold(bytes, |counts, column| {
            let number = match column {
                Column::Lines => self.lines,
                Column::Words => self.words.words,
                Column::Chars => self.chars,
                Column::Bytes => self.bytes,
                // One of the two was counted.
                Column::LongestLine => self.lengths.longest().max(self.widths.longest()),
            };
            counts.with(column, number)
        })
    }
}

/// How many bytes at the end of `text` are the start of a character that goes on after it. Every
/// reader ends its part in front of them, so that no cut is inside a character.
pub(crate) fn incomplete(text: &[u8]) -> usize {
    let last = text.iter().rev().take(LOOK_BEHIND).zip(1..);
    let start = last.into_iter().find(|(byte, _)| **byte >= 0xC0);
    start.map_or(0, |(byte, there)| {
        let needed = match byte {
            0xF0.. => 4,
            0xE0.. => 3,
            _ => 2,
        };
        if needed > there { there } else { 0 }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scalar;
    use super::*;

    const WHITESPACES: [Whitespace; 3] = [Whitespace::Ascii, Whitespace::Unicode, Whitespace::Wc];

    fn all(whitespace: Whitespace) -> Counter {
        Counter { columns: Column::ALL.into_iter().collect(), whitespace, as_wc: false }
    }

    fn counters() -> impl Iterator<Item = Counter> {
        let counter = |(whitespace, as_wc)| Counter { as_wc, ..all(whitespace) };
        WHITESPACES.into_iter().flat_map(|rule| [(rule, false), (rule, true)]).map(counter)
    }

    /// Counts `text` in parts that end at `cuts`, as the readers do: a character that a cut may
    /// split belongs to the part before it.
    fn parts(counter: Counter, text: &[u8], cuts: &[usize]) -> Vec<Partial> {
        let start = |cut: usize| cut - incomplete(&text[..cut]);
        let mut bounds: Vec<_> = cuts.iter().map(|cut| start(*cut)).collect();
        bounds.extend([0, text.len()]);
        bounds.sort_unstable();
        bounds.windows(2).map(|pair| counter.partial(&text[pair[0]..pair[1]])).collect()
    }

    fn join(parts: impl IntoIterator<Item = Partial>) -> Partial {
        parts.into_iter().fold(Partial::default(), |mut joined, partial| {
            joined.join(partial, None);
            joined
        })
    }

    /// Random text in which all special cases are frequent.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let character = prop_oneof![
            4 => prop::sample::select(b"ab \t\n\r\x0c".to_vec()).prop_map(|byte| vec![byte]),
            2 => prop::sample::select("é\u{a0}\u{85}\u{2003}\u{2028}\u{2060}\u{3000}\u{1680}💚漢\u{301}\u{200b}".chars().collect::<Vec<_>>())
                .prop_map(|character| character.to_string().into_bytes()),
            1 => Just(b"\r\n".to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => prop::sample::select(vec![0xC2, 0xE1, 0xE2, 0xE3, 0xF0, 0x80, 0x9A, 0xA0]).prop_map(|byte| vec![byte]),
        ];
        prop::collection::vec(character, 0..200).prop_map(|characters| characters.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn partial_counts_are_what_plain_code_counts(
            text in text(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            for counter in counters() {
                let counts = join(parts(counter, &text, &cuts)).counts(counter.columns);
                prop_assert_eq!(counts, scalar::count(&text, counter));
            }
        }
    }

    proptest! {
        #[test]
        fn joining_is_associative(text in text(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let cuts = [a.index(text.len() + 1), b.index(text.len() + 1)];
            for counter in counters() {
                let parts = parts(counter, &text, &cuts);
                let right = join(parts[1..].iter().cloned());
                prop_assert_eq!(join([parts[0].clone(), right]), join(parts));
            }
        }
    }

    #[test]
    fn a_cut_may_be_anywhere() {
        let text = "\r\nword\u{2003}\u{85}é\r\r\n\n  \u{3000}💚\u{a0}last\r".as_bytes();
        for counter in counters() {
            let expected = scalar::count(text, counter);
            for a in 0..=text.len() {
                for b in a..=text.len() {
                    let counts = join(parts(counter, text, &[a, b])).counts(counter.columns);
                    assert_eq!(counts, expected, "{counter:?}, cut at {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn every_choice_of_columns_counts_the_same() {
        let text = "a few words\r\nand é lines\n\nlonger than many others".repeat(900).into_bytes();
        for bits in 0..1 << Column::ALL.len() {
            let chosen = |column: &Column| bits & (1 << *column as usize) != 0;
            let columns: Columns = Column::ALL.into_iter().filter(chosen).collect();
            for counter in counters().map(|counter| Counter { columns, ..counter }) {
                let counts = counter.partial(&text).counts(columns);
                assert_eq!(counts, scalar::count(&text, counter), "{columns:?}");
            }
        }
    }

    #[test]
    fn a_character_at_the_end_of_a_buffer_is_kept_back() {
        assert_eq!(incomplete(b"word\xE2\x80"), 2);
        assert_eq!(incomplete(b"word\xE2"), 1);
        assert_eq!(incomplete("word\u{2003}".as_bytes()), 0);
        assert_eq!(incomplete(&"word💚".as_bytes()[..7]), 3);
        assert_eq!(incomplete("word💚".as_bytes()), 0);
        assert_eq!(incomplete(b"\x80"), 0);
        assert_eq!(incomplete(b""), 0);
    }
}
