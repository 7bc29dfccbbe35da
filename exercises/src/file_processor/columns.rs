/// What can be counted, in the order in which `wc` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Line feeds. A last line without one does not count, as in `wc`.
    Lines,
    /// A longest run of bytes without whitespace; [`Whitespace`](super::Whitespace) says what that
    /// is.
    Words,
    /// Characters: bytes that do not continue a UTF-8 sequence. In valid UTF-8 this is the number
    /// of code points; it is defined for any other bytes too.
    Chars,
    /// Bytes.
    Bytes,
    /// The characters of the longest line, without the line feed or CRLF that ends it.
    LongestLine,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Lines, Self::Words, Self::Chars, Self::Bytes, Self::LongestLine];

    /// The name in headings and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Words => "words",
            Self::Chars => "chars",
            Self::Bytes => "bytes",
            Self::LongestLine => "longest_line",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of columns. The default is that of `wc`: lines, words, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns(u8);

impl Columns {
    /// Whether `column` is asked for.
    pub const fn has(self, column: Column) -> bool {
        self.0 & column.bit() != 0
    }

    /// Whether nothing but `column` is asked for.
    pub const fn is_only(self, column: Column) -> bool {
        self.0 == column.bit()
    }

    /// The columns asked for, in the order of [`Column::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| self.has(*column))
    }
}

impl Default for Columns {
    fn default() -> Self {
        [Column::Lines, Column::Words, Column::Bytes].into_iter().collect()
    }
}

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Self {
        Self(columns.into_iter().fold(0, |bits, column| bits | column.bit()))
    }
}

/// The numbers of a file or of many. A column that was not asked for is 0, except for the bytes,
/// which are always known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Column::ALL.len()]);

impl Counts {
    /// The number in `column`.
    pub const fn get(&self, column: Column) -> u64 {
        self.0[column as usize]
    }

    /// The same counts with another number in `column`.
    #[must_use]
    pub const fn with(mut self, column: Column, number: u64) -> Self {
        self.0[column as usize] = number;
        self
    }

    /// Adds another file's numbers. The longest line is the longer one of both.
    pub fn add(&mut self, other: &Self) {
        for column in Column::ALL {
            let (ours, theirs) = (self.get(column), other.get(column));
            *self = self.with(
                column,
                if column == Column::LongestLine { ours.max(theirs) } else { ours + theirs },
            );
        }
    }
}
