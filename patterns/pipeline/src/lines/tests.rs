//! Numbers from a reader, however its bytes are cut.

use std::io::{self, BufReader, Read};

use proptest::prelude::*;

use super::Lines;

/// A reader that gives a few bytes at a time, and breaks at the end if told so.
struct Slow<'a> {
    bytes: &'a [u8],
    step: usize,
    breaks: bool,
}

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.breaks {
            return Err(io::Error::other("the cable was pulled"));
        }
        let length = self.step.min(self.bytes.len()).min(into.len());
        let (now, later) = self.bytes.split_at(length);
        into[..length].copy_from_slice(now);
        self.bytes = later;
        Ok(length)
    }
}

fn read(bytes: &[u8], step: usize, breaks: bool) -> Vec<Result<i64, String>> {
    let lines = Lines::new(BufReader::new(Slow { bytes, step, breaks }));
    lines.map(|item| item.map_err(|err| err.to_string())).collect()
}

fn not_a_number(line: u64, text: &str) -> Result<i64, String> {
    Err(format!("line {line}: `{text}` is not a 64-bit integer"))
}

#[test]
fn the_last_line_needs_no_newline_and_windows_lines_are_lines() {
    for step in 1..8 {
        assert_eq!(read(b"1\r\n -2 \n+3", step, false), [Ok(1), Ok(-2), Ok(3)]);
        assert_eq!(read(b"1\n", step, false), [Ok(1)]);
        assert_eq!(read(b"", step, false), []);
    }
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_nothing_else_is_lost() {
    let items = read(b"1\n9223372036854775808\n\xff\xfe\n\n5\n", 3, false);
    let expected = [
        Ok(1),
        not_a_number(2, "9223372036854775808"),
        not_a_number(3, "\u{fffd}\u{fffd}"),
        not_a_number(4, ""),
        Ok(5),
    ];
    assert_eq!(items, expected);
}

#[test]
fn an_endless_line_is_cut_short_in_the_message_and_in_memory() {
    let mut input = vec![b'7'; 1_000_000];
    input.extend(b"\n8\n");
    let items = read(&input, 1000, false);
    assert_eq!(items, [not_a_number(1, &"7".repeat(64)), Ok(8)]);
}

#[test]
fn an_input_that_breaks_off_is_an_error_after_what_was_read() {
    let items = read(b"1\n2\n3", 1, true);
    let broken = Err("line 3: cannot read: the cable was pulled".to_owned());
    assert_eq!(items, [Ok(1), Ok(2), broken]);
}

#[test]
fn an_interrupted_read_is_made_again() {
    /// Every second read is interrupted by a signal.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(into) }
        }
    }

    let lines = Lines::new(BufReader::with_capacity(3, Interrupted(b"1\n2\n3", false)));
    assert_eq!(lines.map(Result::ok).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_number_followed_by_an_endless_line_is_not_a_number() {
    let spaces = " ".repeat(100);
    let items = read(format!("5{spaces}x\n5{spaces}\n6\n").as_bytes(), 7, false);
    assert_eq!(items, [not_a_number(1, "5"), not_a_number(2, "5"), Ok(6)]);
}

proptest! {
    #[test]
    fn the_cuts_between_reads_do_not_matter(
        text in "([0-9]{1,20}|[a-z]{0,3}|-[0-9]{1,3})(\r?\n([0-9]{1,70}|x)){0,20}\n?",
        step in 1..30_usize,
    ) {
        let expected: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(at, line)| {
                let start: String = line.chars().take(64).collect();
                line.parse().map_err(|_| not_a_number(at as u64 + 1, &start).unwrap_err())
            })
            .collect();
        prop_assert_eq!(read(text.as_bytes(), step, false), expected);
    }
}
