//! What every count means, in plain code: the oracle that the fast code is tested against.

#![allow(clippy::naive_bytecount, reason = "plain code is the point")]

use unicode_width::UnicodeWidthChar;

use super::partial::Counter;
use super::whitespace::Whitespace;
use crate::file_processor::columns::{Column, Counts};

/// Counts `text` one byte or one character at a time.
pub fn count(text: &[u8], counter: Counter) -> Counts {
    let Counter { columns, whitespace, as_wc } = counter;
    let bytes = Counts::default().with(Column::Bytes, text.len() as u64);
    columns.iter().fold(bytes, |counts, column| {
        let number = match column {
            Column::Lines => text.iter().filter(|byte| **byte == b'\n').count(),
            Column::Words => words(text, whitespace).len(),
            Column::Chars if as_wc => valid(text).count(),
            Column::Chars => chars(text),
            Column::Bytes => text.len(),
            Column::LongestLine if as_wc => widest_line(text),
            Column::LongestLine => longest_line(text),
        };
        counts.with(column, number as u64)
    })
}

/// The words of `text`. What is not UTF-8 in it is part of a word.
pub fn words(text: &[u8], whitespace: Whitespace) -> Vec<Vec<u8>> {
    let mut words = vec![Vec::new()];
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_space(character, whitespace) {
                words.push(Vec::new());
            } else {
                let mut bytes = [0; 4];
                append(&mut words, character.encode_utf8(&mut bytes).as_bytes());
            }
        }
        append(&mut words, chunk.invalid());
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_space(character: char, whitespace: Whitespace) -> bool {
    match whitespace {
        Whitespace::Ascii => " \t\n\x0b\x0c\r".contains(character),
        Whitespace::Unicode => character.is_whitespace(),
        Whitespace::Wc => match character {
            '\u{85}' | '\u{2028}' | '\u{2029}' => false,
            '\u{2060}' => true,
            _ => character.is_whitespace(),
        },
    }
}

fn append(words: &mut [Vec<u8>], bytes: &[u8]) {
    words.last_mut().expect("there is always a word that grows").extend_from_slice(bytes);
}

fn chars(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

fn valid(text: &[u8]) -> impl Iterator<Item = char> {
    text.utf8_chunks().flat_map(|chunk| chunk.valid().chars())
}

fn widest_line(text: &[u8]) -> usize {
    let (mut column, mut widest) = (0, 0);
    for character in valid(text) {
        column = match character {
            '\n' | '\r' | '\x0c' => 0,
            '\t' => (column / 8 + 1) * 8,
            '\u{2028}' | '\u{2029}' => column,
            _ => column + character.width().unwrap_or(0),
        };
        widest = widest.max(column);
    }
    widest
}

fn longest_line(text: &[u8]) -> usize {
    let line = |line: &[u8]| match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] | line => chars(line),
    };
    text.split_inclusive(|byte| *byte == b'\n').map(line).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_words_are_those_of_the_standard_library() {
        let text = "two\u{a0}words, \u{3000}three\u{2003}and\u{85}more\u{10ffff}";
        let words = words(text.as_bytes(), Whitespace::Unicode);
        let expected: Vec<_> =
            text.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn a_line_ending_is_not_part_of_the_line() {
        assert_eq!(longest_line(b"abc\r\nde\n"), 3);
        assert_eq!(longest_line(b"abc\rd\nde\r"), 5);
        assert_eq!(longest_line("é\n".as_bytes()), 1);
        assert_eq!(longest_line(b""), 0);
    }

    #[test]
    fn a_line_is_as_wide_as_wc_says() {
        assert_eq!(widest_line("a\tb\n".as_bytes()), 9);
        assert_eq!(widest_line("12345678\t\n\t\t漢\r1".as_bytes()), 18);
        assert_eq!(widest_line(b"e\xCC\x81\x0b\x01\xFF\x0c12"), 2);
        assert_eq!(widest_line("a\u{2028}b\u{2029}".as_bytes()), 2);
    }
}
