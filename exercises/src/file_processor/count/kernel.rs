//! The two loops that take most of the time. They are plain code in a shape that the compiler turns
//! into vector instructions; `dispatch` compiles them once for each level of the CPU and picks at
//! run time.

#![allow(clippy::inline_always, reason = "only inlined code is compiled for newer CPUs")]

use fearless_simd::{Level, dispatch};

/// How many bytes are looked at side by side: four AVX2 registers. With fewer, LLVM unrolls the
/// inner loop before it learns that AVX2 may be used, and the gain is lost.
const LANES: usize = 128;

/// How many bytes a lane counts before its own counter, a byte, could overflow.
const ROUNDS: usize = 255;

/// The line feeds of `text` and the words that start in it; its first byte starts one if it is
/// not whitespace.
pub(crate) fn lines_and_words(text: &[u8]) -> (u64, u64) {
    let Some(&first) = text.first() else { return (0, 0) };
    let (bytes, before) = (&text[1..], &text[..text.len() - 1]);
    let (lines, words) = dispatch!(Level::new(), _ => line_feeds_and_rises(bytes, before));
    (lines + u64::from(first == b'\n'), words + u64::from(!is_space(first)))
}

/// Counts the positions at which `bytes` has a line feed, and those at which it has a word's byte
/// while `before`, the same text one byte earlier, has whitespace.
#[inline(always)]
fn line_feeds_and_rises(bytes: &[u8], before: &[u8]) -> (u64, u64) {
    let (mut lines, mut words) = (0, 0);
    for (bytes, before) in bytes.chunks(LANES * ROUNDS).zip(before.chunks(LANES * ROUNDS)) {
        let (groups, rest) = bytes.as_chunks::<LANES>();
        let (groups_before, rest_before) = before.as_chunks::<LANES>();
        let mut lane_lines = [0_u8; LANES];
        let mut lane_words = [0_u8; LANES];
        for (bytes, before) in groups.iter().zip(groups_before) {
            for lane in 0..LANES {
                lane_lines[lane] += u8::from(bytes[lane] == b'\n');
                lane_words[lane] += u8::from(rises(before[lane], bytes[lane]));
            }
        }
        lines += sum(&lane_lines);
        words += sum(&lane_words);
        for (byte, before) in rest.iter().zip(rest_before) {
            lines += u64::from(*byte == b'\n');
            words += u64::from(rises(*before, *byte));
        }
    }
    (lines, words)
}

/// Whether the byte is one of the six whitespace characters of ASCII.
#[inline(always)]
pub(crate) const fn is_space(byte: u8) -> bool {
    // Without branches, so that the compiler can do it for many bytes at once.
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

#[inline(always)]
const fn rises(before: u8, byte: u8) -> bool {
    is_space(before) & !is_space(byte)
}

#[inline(always)]
fn sum(lanes: &[u8; LANES]) -> u64 {
    lanes.iter().map(|count| u64::from(*count)).sum()
}
