use super::kernel::{is_space, lines_and_words};

/// What separates words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Whitespace {
    /// Space, `\t`, `\n`, `\v`, `\f` and `\r`: what `wc` does in the C locale.
    #[default]
    Ascii,
    /// All 25 characters with Unicode's property `White_Space`, the no-break spaces among them.
    Unicode,
    /// What GNU `wc` takes for it in a UTF-8 locale, with glibc: every space, the no-break spaces and
    /// the word joiner among them, but no line break beyond ASCII.
    #[value(skip)]
    Wc,
}

/// Where words start in a stretch of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WordStarts {
    /// The words, whole and cut ones alike.
    pub(crate) words: u64,
    /// Whether the first byte belongs to a word.
    pub(crate) first: bool,
    /// Whether the last byte does.
    pub(crate) last: bool,
}

/// Text without a byte that may begin a space beyond ASCII is counted in blocks of this size by the
/// fast path.
const BLOCK: usize = 512;

impl Whitespace {
    /// The length of the whitespace character that `text` starts with, or 0.
    ///
    /// A sequence is looked for byte by byte: UTF-8 is self-synchronising, so these bytes mean
    /// whitespace wherever they stand, even next to bytes that are not UTF-8.
    #[inline]
    pub(crate) fn len_at(self, text: &[u8]) -> usize {
        match text {
            [b' ' | b'\t'..=b'\r', ..] => 1,
            [0..=0x7F, ..] | [] => 0,
            _ if self == Self::Ascii => 0,
            [0xC2, 0xA0, ..] => 2,
            [0xE1, 0x9A, 0x80, ..]
            | [0xE2, 0x80, 0x80..=0x8A | 0xAF, ..]
            | [0xE2, 0x81, 0x9F, ..]
            | [0xE3, 0x80, 0x80, ..] => 3,
            [0xC2, 0x85, ..] if self == Self::Unicode => 2,
            [0xE2, 0x80, 0xA8 | 0xA9, ..] if self == Self::Unicode => 3,
            [0xE2, 0x81, 0xA0, ..] if self == Self::Wc => 3,
            _ => 0,
        }
    }

    /// Counts the words of `text` by the bytes at which they start.
    pub(crate) fn word_starts(self, text: &[u8]) -> WordStarts {
        if text.is_empty() {
            return WordStarts::default();
        }
        if self.is_plain(text) { ascii_word_starts(text) } else { self.wide_word_starts(text) }
    }

    /// Whether all whitespace in `text` is ASCII: no byte begins other whitespace.
    pub(crate) fn is_plain(self, text: &[u8]) -> bool {
        // Without branches, as in the kernel; for ASCII the standard library is several times faster.
        let begins = |found, byte: &u8| found | matches!(byte, 0xC2 | 0xE1..=0xE3);
        self == Self::Ascii || text.is_ascii() || !text.iter().fold(false, begins)
    }

    fn wide_word_starts(self, text: &[u8]) -> WordStarts {
        let mut starts = WordStarts { first: self.len_at(text) == 0, ..WordStarts::default() };
        let mut at = 0;
        while at < text.len() {
            let block = &text[at..text.len().min(at + BLOCK)];
            if self.is_plain(block) {
                starts.join(ascii_word_starts(block));
                at += block.len();
            } else {
                at = self.scan(text, at, &mut starts);
            }
        }
        starts
    }

    /// Goes on byte by byte to the end of the block, and beyond it to the end of the whitespace that
    /// it cuts.
    fn scan(self, text: &[u8], mut at: usize, starts: &mut WordStarts) -> usize {
        let end = text.len().min(at + BLOCK);
        while at < end {
            let space = self.len_at(&text[at..]);
            starts.words += u64::from(space == 0 && !starts.last);
            starts.last = space == 0;
            at += space.max(1);
        }
        at
    }
}

impl WordStarts {
    /// A count with flags set from the first and last byte of `text`, by ASCII whitespace.
    pub(crate) fn at_edges(text: &[u8], words: u64) -> Self {
        let in_word = |byte: Option<&u8>| byte.is_some_and(|byte| !is_space(*byte));
        Self { words, first: in_word(text.first()), last: in_word(text.last()) }
    }

    /// Appends the words of a stretch that follows; neither may be empty.
    pub(crate) fn join(&mut self, next: Self) {
        self.words += next.words - u64::from(self.last && next.first);
        self.last = next.last;
    }
}

fn ascii_word_starts(text: &[u8]) -> WordStarts {
    WordStarts::at_edges(text, lines_and_words(text).1)
}
