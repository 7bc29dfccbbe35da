//! Reads a number whose form has been checked.

use super::value::Number;

/// `None` if it is out of range.
pub(super) fn parse(text: &str, is_whole: bool) -> Option<Number> {
    let whole = || {
        let signed = text.parse::<i64>().map(i128::from);
        signed.or_else(|_| text.parse::<u64>().map(i128::from)).ok()
    };
    let any = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Number::from);
    let long = || is_whole.then(whole).flatten().map(Number::Integer).or_else(any);
    short(text.as_bytes()).or_else(long)
}

/// A number of few digits and without an exponent. A division of two whole numbers that `f64` holds
/// exactly is rounded like the number itself.
fn short(text: &[u8]) -> Option<Number> {
    const POWERS: [f64; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
    let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    if text.len() > 15 {
        return None;
    }
    let (mut digits, mut point) = (0_i64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + i64::from(byte - b'0'),
            b'.' => point = Some(at + 1),
            _ => return None,
        }
    }
    let digits = if is_negative { -digits } else { digits };
    match point {
        None => Some(Number::Integer(digits.into())),
        Some(point) => Some(Number::from(digits as f64 / POWERS.get(text.len() - point)?)),
    }
}
