use super::frequency::{Fragments, Frequencies};
use super::kernel::lines_and_words;
use super::whitespace::{Whitespace, WordStarts};
use crate::file_processor::columns::{Column, Columns, Counts};

/// How to count: the same for every file of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What to count.
    pub columns: Columns,
    /// What a word is.
    pub whitespace: Whitespace,
}

/// What is known of a stretch of a file: its counts, and enough of its edges to put it together
/// exactly with the stretch that follows, whoever counted that one.
///
/// Joining is associative, and the default (of no bytes) changes nothing: parts may be counted in
/// any order and joined with their neighbours in any order. A cut may be anywhere, also inside a
/// word, a line or a CRLF; inside a UTF-8 sequence only if words are parted by ASCII whitespace
/// (see [`continuation`] and [`incomplete`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    lines: u64,
    chars: u64,
    bytes: u64,
    words: WordStarts,
    lengths: LineLengths,
    /// The words at the edges, if words are collected.
    pub(crate) fragments: Fragments,
}

/// The longest of the complete lines inside, and the lines that the edges cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LineLengths {
    /// Whether a line feed is inside. If not, `head` and `tail` are the same.
    broken: bool,
    head: u64,
    longest: u64,
    tail: u64,
    starts_with_lf: bool,
    ends_with_cr: bool,
}

impl Counter {
    /// Counts a stretch of text.
    pub(crate) fn partial(self, text: &[u8]) -> Partial {
        let has = |column| self.columns.has(column);
        let mut partial = Partial { bytes: text.len() as u64, ..Partial::default() };
        match (has(Column::Lines), has(Column::Words), self.whitespace) {
            (true, true, Whitespace::Ascii) => {
                let (lines, words) = lines_and_words(text);
                partial.lines = lines;
                partial.words = WordStarts::at_edges(text, words);
            }
            (lines, words, whitespace) => {
                if lines {
                    partial.lines = bytecount::count(text, b'\n') as u64;
                }
                if words {
                    partial.words = whitespace.word_starts(text);
                }
            }
        }
        if has(Column::Chars) {
            partial.chars = bytecount::num_chars(text) as u64;
        }
        if has(Column::LongestLine) {
            partial.lengths = LineLengths::of(text);
        }
        partial
    }
}

impl Partial {
    /// Appends the part that follows. A word that is complete by that goes into `frequencies`.
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
                Column::LongestLine => self.lengths.longest(),
            };
            counts.with(column, number)
        })
    }
}

impl LineLengths {
    fn of(text: &[u8]) -> Self {
        let mut lengths = Self {
            starts_with_lf: text.starts_with(b"\n"),
            ends_with_cr: text.ends_with(b"\r"),
            ..Self::default()
        };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            let line = &text[start..end];
            let length = chars(line.strip_suffix(b"\r").unwrap_or(line));
            if lengths.broken {
                lengths.longest = lengths.longest.max(length);
            } else {
                lengths.head = length;
                lengths.broken = true;
            }
            start = end + 1;
        }
        lengths.tail = chars(&text[start..]);
        if !lengths.broken {
            lengths.head = lengths.tail;
        }
        lengths
    }

    fn join(self, next: Self) -> Self {
        let crlf = self.ends_with_cr && next.starts_with_lf;
        let seam = self.tail + next.head - u64::from(crlf);
        let inside = if self.broken && next.broken { seam } else { 0 };
        Self {
            broken: self.broken || next.broken,
            head: if self.broken { self.head } else { seam },
            longest: self.longest.max(next.longest).max(inside),
            tail: if next.broken { next.tail } else { seam },
            starts_with_lf: self.starts_with_lf,
            ends_with_cr: next.ends_with_cr,
        }
    }

    fn longest(self) -> u64 {
        self.longest.max(self.head).max(self.tail)
    }
}

fn chars(line: &[u8]) -> u64 {
    bytecount::num_chars(line) as u64
}

/// How many bytes at the start of `text` may belong to a whitespace character that started before
/// it. Such a character has at most two continuation bytes.
pub(crate) fn continuation(text: &[u8]) -> usize {
    text.iter().take(2).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}

/// How many bytes at the end of `text` may be the start of a whitespace character that goes on
/// after it.
pub(crate) fn incomplete(text: &[u8]) -> usize {
    let starts = |back: &usize| text.len() >= *back && text[text.len() - back] >= 0xC0;
    (1..=2).find(starts).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scalar;
    use super::*;

    const WHITESPACES: [Whitespace; 2] = [Whitespace::Ascii, Whitespace::Unicode];

    fn all(whitespace: Whitespace) -> Counter {
        Counter { columns: Column::ALL.into_iter().collect(), whitespace }
    }

    /// Counts `text` in parts that end at `cuts`, as the readers do: a character that a cut may
    /// split belongs to the part before it.
    fn parts(counter: Counter, text: &[u8], cuts: &[usize]) -> Vec<Partial> {
        let start = |cut: usize| cut + continuation(&text[cut..]);
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

    /// Text in which everything that matters is common.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let character = prop_oneof![
            4 => prop::sample::select(b"ab \t\n\r".to_vec()).prop_map(|byte| vec![byte]),
            2 => prop::sample::select("é\u{a0}\u{85}\u{2003}\u{3000}\u{1680}💚".chars().collect::<Vec<_>>())
                .prop_map(|character| character.to_string().into_bytes()),
            1 => Just(b"\r\n".to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => prop::sample::select(vec![0xC2, 0xE1, 0xE2, 0xE3, 0x80, 0x9A, 0xA0]).prop_map(|byte| vec![byte]),
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
            for whitespace in WHITESPACES {
                let counter = all(whitespace);
                let counts = join(parts(counter, &text, &cuts)).counts(counter.columns);
                prop_assert_eq!(counts, scalar::count(&text, counter.columns, whitespace));
            }
        }
    }

    proptest! {
        #[test]
        fn joining_is_associative(text in text(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let cuts = [a.index(text.len() + 1), b.index(text.len() + 1)];
            for whitespace in WHITESPACES {
                let parts = parts(all(whitespace), &text, &cuts);
                let right = join(parts[1..].iter().cloned());
                prop_assert_eq!(join([parts[0].clone(), right]), join(parts));
            }
        }
    }

    #[test]
    fn a_cut_may_be_anywhere() {
        let text = "\r\nword\u{2003}\u{85}é\r\r\n\n  \u{3000}💚\u{a0}last\r".as_bytes();
        for whitespace in WHITESPACES {
            let counter = all(whitespace);
            let expected = scalar::count(text, counter.columns, whitespace);
            for a in 0..=text.len() {
                for b in a..=text.len() {
                    let counts = join(parts(counter, text, &[a, b])).counts(counter.columns);
                    assert_eq!(counts, expected, "{whitespace:?}, cut at {a} and {b}");
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
            for whitespace in WHITESPACES {
                let counts = Counter { columns, whitespace }.partial(&text).counts(columns);
                assert_eq!(counts, scalar::count(&text, columns, whitespace), "{columns:?}");
            }
        }
    }

    #[test]
    fn a_character_at_the_end_of_a_buffer_is_kept_back() {
        assert_eq!(incomplete(b"word\xE2\x80"), 2);
        assert_eq!(incomplete(b"word\xE2"), 1);
        assert_eq!(incomplete("word\u{2003}".as_bytes()), 0);
        assert_eq!(incomplete(b"\x80"), 0);
        assert_eq!(incomplete(b""), 0);
    }
}
