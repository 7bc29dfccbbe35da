//! Numbers for people: two significant digits.

/// `0.31`, `4.9`, `49`, `1200`.
pub(super) fn two_digits(number: f64) -> String {
    if number < 0.005 {
        return "0".to_owned();
    }
    let unit = 10_f64.powi(number.log10().floor() as i32 - 1);
    let rounded = (number / unit).round() * unit;
    let places = (1 - rounded.log10().floor() as i32).max(0) as usize;
    format!("{rounded:.places$}")
}

/// `1 request`, `2 requests`.
pub(super) fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `0`, `950`, `2.1k`, `21M`: k is 1024 bytes.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return bytes.to_string();
    }
    let (mut number, mut unit) = (bytes as f64, "");
    for next in ["k", "M", "G", "T"] {
        if number < 1000.0 {
            break;
        }
        (number, unit) = (number / 1024.0, next);
    }
    format!("{}{unit}", two_digits(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_significant_digits() {
        for (number, shown) in [
            (0.0, "0"),
            (0.314, "0.31"),
            (0.999, "1.0"),
            (4.94, "4.9"),
            (9.96, "10"),
            (49.1, "49"),
            (1234.0, "1200"),
        ] {
            assert_eq!(two_digits(number), shown, "{number}");
        }
        for (bytes, shown) in
            [(0, "0"), (950, "950"), (21_500, "21k"), (1_048_576, "1.0M"), (5 << 40, "5.0T")]
        {
            assert_eq!(size(bytes), shown, "{bytes}");
        }
    }
}
