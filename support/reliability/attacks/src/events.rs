use std::fmt::Write;
use std::ops::Range;

/// Events with a time (100 a second), a key and a value.
pub fn lines(numbers: Range<u64>) -> String {
    let mut text = String::new();
    for n in numbers {
        let (ts, key) = (1_772_323_200_000 + n * 10, n % 7);
        let _ = writeln!(text, "{{\"ts\":{ts},\"k\":\"key-{key}\",\"v\":{n}}}"); // a string takes all
    }
    text
}

/// How many lines of `wanted` are missing in `got`, and how many of `got` are too many. The order
/// does not count.
pub fn differs(got: &str, wanted: &str) -> (usize, usize) {
    let (mut got, mut wanted): (Vec<_>, Vec<_>) = (got.lines().collect(), wanted.lines().collect());
    got.sort_unstable();
    wanted.sort_unstable();
    let (mut got, mut wanted) = (got.into_iter().peekable(), wanted.into_iter().peekable());
    let (mut missing, mut extra) = (0, 0);
    loop {
        match (got.peek(), wanted.peek()) {
            (None, None) => return (missing, extra),
            (Some(ours), Some(theirs)) if ours == theirs => {
                got.next();
                wanted.next();
            }
            (Some(ours), theirs) if theirs.is_none_or(|theirs| ours < theirs) => {
                extra += 1;
                got.next();
            }
            _ => {
                missing += 1;
                wanted.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_surplus_lines_are_counted_apart() {
        assert_eq!(differs("b\na\n", "a\nb\n"), (0, 0));
        assert_eq!(differs("a\na\nc\n", "a\nb\n"), (1, 2));
        assert_eq!(differs("", "a\n"), (1, 0));
        assert_eq!(differs("z\n", ""), (0, 1));
    }
}
