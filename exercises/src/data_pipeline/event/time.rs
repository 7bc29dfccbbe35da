//! Event time in milliseconds since 1970, from RFC 3339 or from a number.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::value::{Number, Value};

/// A number of at least this is in milliseconds, a smaller one in seconds: in seconds it would be
/// the year 5138, in milliseconds it is 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// Beyond ±8,000 years around 1970 there is no calendar that could print a window.
const LIMIT: i64 = 250_000_000_000_000;

/// The event time that a field holds; `None` if it holds none.
pub(crate) fn millis(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Text(text) => fast(text.as_bytes())
            .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)),
        Value::Number(number) => from_number(*number),
        Value::Missing | Value::Null | Value::Opaque | Value::Bool(_) | Value::Many(_) => None,
    }
    .filter(|millis| millis.abs() <= LIMIT)
}

/// Characters of a text that a message shows.
const SHOWN: usize = 80;

/// Why there is no event time in a field with this value, for which [`millis`] gives none.
pub(crate) fn problem(field: &str, value: &Value<'_>) -> String {
    let there = match value {
        Value::Missing => return format!("no time: there is no field {field}"),
        Value::Null => "null".to_owned(),
        Value::Opaque | Value::Many(_) => "an array or an object".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(Number::Integer(number)) => number.to_string(),
        Value::Number(Number::Float(number)) => number.to_string(),
        Value::Text(text) => format!("{:?}", text.chars().take(SHOWN).collect::<String>()),
    };
    format!(
        "no time: the field {field} holds {there}, which is neither RFC 3339 nor seconds or \
         milliseconds since 1970"
    )
}

fn from_number(number: Number) -> Option<i64> {
    let number = number.as_f64();
    let millis = if number.abs() >= MILLISECONDS_FROM { number } else { number * 1000.0 };
    (millis.abs() <= LIMIT as f64).then_some(millis.floor() as i64)
}

/// `2026-03-01T12:30:00.250Z`, the form that nearly all logs have, several times faster than the
/// full parser, which gets everything else.
fn fast(text: &[u8]) -> Option<i64> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(at, sign)| seconds[*at] != *sign) {
        return None;
    }
    let two = |at: usize| digits(&seconds[at..at + 2]).map(|number| number as i8);
    let year = digits(&seconds[..4])? as i16;
    let time = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
    let millis = match rest {
        b"Z" => 0,
        [b'.', millis @ .., b'Z'] if millis.len() == 3 => digits(millis)?,
        _ => return None,
    };
    Some(Offset::UTC.to_timestamp(time).ok()?.as_millisecond() + millis)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// `millis` as RFC 3339, with as many digits as it needs.
pub(crate) fn rfc3339(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis);
    time.map_or_else(|_| millis.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<i64> {
        millis(&Value::Text(text.into()))
    }

    #[test]
    fn times_are_read_from_rfc_3339_and_from_epoch_numbers() {
        let noon = Some(1_772_366_400_000);
        assert_eq!(of("2026-03-01T12:00:00Z"), noon);
        assert_eq!(of("2026-03-01T13:00:00+01:00"), noon);
        assert_eq!(of("2026-03-01T12:00:00.000000Z"), noon);
        let number = |number| millis(&Value::Number(number));
        assert_eq!(number(Number::Integer(1_772_366_400)), noon);
        assert_eq!(number(Number::Integer(1_772_366_400_000)), noon);
        assert_eq!(number(Number::Float(1_772_366_400.25)), noon.map(|noon| noon + 250));
        assert_eq!(rfc3339(1_772_366_400_000), "2026-03-01T12:00:00Z");
        assert_eq!(rfc3339(1_772_366_400_250), "2026-03-01T12:00:00.25Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-03-01"]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(millis(&Value::Missing), None);
        assert_eq!(millis(&Value::Number(Number::Float(1e300))), None);
    }

    #[test]
    fn a_time_that_cannot_be_read_is_told_apart_from_a_missing_one() {
        let problem = |value| problem("at", &value);
        assert_eq!(problem(Value::Missing), "no time: there is no field at");
        let text = problem(Value::Text("yesterday".into()));
        assert!(text.starts_with(r#"no time: the field at holds "yesterday", which"#), "{text}");
        assert!(problem(Value::Number(Number::Float(1e300))).contains(" holds 1000"));
        assert!(problem(Value::Opaque).contains("holds an array or an object"));
        assert!(problem(Value::Text("x".repeat(1000).into())).len() < 200);
    }

    proptest! {
        #[test]
        fn the_fast_form_is_read_as_the_full_parser_reads_it(
            millis in -62_000_000_000_000_i64..200_000_000_000_000,
        ) {
            let time = Timestamp::from_millisecond(millis).unwrap();
            let text = format!("{time:.3}");
            prop_assert_eq!(of(&text), Some(millis));
            if let Some(fast) = fast(text.as_bytes()) {
                prop_assert_eq!(fast, millis);
            }
        }
    }
}
