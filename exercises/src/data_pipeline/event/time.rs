//! Event time in milliseconds since 1970, from the forms that logs have.

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime, temporal};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use super::expr::{key, parse_number};
use super::value::{Number, Value};

/// From this number on a time is in milliseconds, not seconds: as seconds it would be in the year
/// 5138, as milliseconds it is in 1973. From 1,000 times this it is microseconds, from 1,000,000
/// times nanoseconds.
const MILLISECONDS_FROM: f64 = 1e11;

/// The largest time, in milliseconds from 1970: beyond ±8,000 years the calendar cannot print a
/// window.
const LIMIT: i64 = 250_000_000_000_000;

/// How event times are written.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// A strftime format; `None` recognises the form of each text.
    format: Option<String>,
    /// The zone of times that name none.
    zone: TimeZone,
}

impl Clock {
    /// From `--time-format`, which must give a full date and time, and `--time-zone`.
    pub(crate) fn new(format: &str, zone: &str) -> Result<Self, String> {
        let zone = temporal::DateTimeParser::new().parse_time_zone(zone).map_err(|err| {
            format!("--time-zone {zone}: expected UTC, Europe/Berlin or +01:00: {err}")
        })?;
        let clock = Self { format: (format != "auto").then(|| format.to_owned()), zone };
        let invalid = |why: &str| {
            let form = "expected auto or a form such as '%d.%m.%Y %H:%M:%S'";
            format!("--time-format {format:?}: {why}; {form}")
        };
        let some_day = Timestamp::UNIX_EPOCH.to_zoned_datetime(clock.zone.clone());
        let text = strtime::format(format, &some_day).map_err(|err| invalid(&err.to_string()))?;
        if clock.format.is_some() && clock.formatted(format, &text).is_none() {
            return Err(invalid("it has no full date and time"));
        }
        Ok(clock)
    }

    /// The event time that a field holds; `None` if it holds none.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn millis(&self, value: &Value<'_>) -> Option<i64> {
        self.millis_after(&mut Second::default(), value)
    }

    /// The same, next to the second that was read last.
    pub(crate) fn millis_after(&self, last: &mut Second, value: &Value<'_>) -> Option<i64> {
        match (value, &self.format) {
            (Value::Text(text), None) => {
                last.fast(text.as_bytes()).or_else(|| finest(text.trim(), |text| self.known(text)))
            }
            (Value::Number(number), None) => from_number(*number),
            (Value::Text(text), Some(format)) => {
                finest(text.trim(), |text| self.formatted(format, text))
            }
            (Value::Number(_), Some(format)) => self.formatted(format, &key(value)),
            _ => None,
        }
        .filter(|millis| millis.abs() <= LIMIT)
    }

    /// Any of the forms that need no `--time-format`.
    fn known(&self, text: &str) -> Option<i64> {
        if let Some(number) = parse_number(text) {
            return from_number(number);
        }
        let log = text.trim_matches(['[', ']']);
        let common_log = || strtime::parse("%d/%b/%Y:%H:%M:%S %z", log).ok()?.to_timestamp().ok();
        let rfc1123 = || rfc2822::parse(text).ok().map(|time| time.timestamp());
        let time = self.iso(text).or_else(common_log).or_else(rfc1123);
        time.map(Timestamp::as_millisecond)
    }

    /// RFC 3339, ISO 8601 and their common variants: a space before the offset, ` UTC`, or no
    /// offset.
    fn iso(&self, text: &str) -> Option<Timestamp> {
        let (text, zone) = match text.strip_suffix(" UTC").or(text.strip_suffix(" GMT")) {
            Some(text) => (text, &TimeZone::UTC),
            None => (text, &self.zone),
        };
        let joined =
            text.rsplit_once(' ').filter(|(_, offset)| offset.starts_with(['+', '-', 'Z']));
        let joined = joined.map(|(time, offset)| format!("{time}{offset}"));
        let text = joined.as_deref().unwrap_or(text);
        if !text.contains([' ', 'T', 't']) {
            return None; // a date alone is not a time
        }
        if text.ends_with(']') {
            return text.parse::<ZonedDateTime>().ok().map(|time| time.timestamp());
        }
        let local = || zone.to_timestamp(text.parse().ok()?).ok();
        text.parse().ok().or_else(local)
    }

    fn formatted(&self, format: &str, text: &str) -> Option<i64> {
        let parsed = strtime::parse(format, text).ok()?;
        let local = || self.zone.to_timestamp(parsed.to_datetime().ok()?).ok();
        let time = parsed.to_timestamp().ok().or_else(local);
        time.map(Timestamp::as_millisecond)
    }

    /// Why [`millis`](Self::millis) gives no event time for this value of the field.
    pub(crate) fn problem(&self, field: &str, value: &Value<'_>) -> String {
        let there = match value {
            Value::Missing => return format!("no time: there is no field {field}"),
            Value::Opaque | Value::Many(_) => "an array or an object".to_owned(),
            Value::Text(text) => format!("{:?}", text.chars().take(SHOWN).collect::<String>()),
            value => key(value).into_owned(),
        };
        let form = self.format.as_ref();
        let form = form.map(|form| format!("not in the form of --time-format {form:?}"));
        let form =
            form.as_deref().unwrap_or("in no known form of time; --time-format gives another");
        format!("no time: the field {field} holds {there}, which is {form}")
    }
}

/// What `read` makes of a text; if it cannot read it, of the text without the decimals beyond
/// nanoseconds, which the parsers do not take.
fn finest(text: &str, read: impl Fn(&str) -> Option<i64>) -> Option<i64> {
    read(text).or_else(|| {
        let mut decimals = None;
        let shorter: String = text
            .chars()
            .filter(|&char| {
                decimals = match (char, decimals) {
                    ('.' | ',', _) => Some(0),
                    ('0'..='9', Some(before)) => Some(before + 1),
                    _ => None,
                };
                decimals.is_none_or(|decimals| decimals <= NANOSECONDS)
            })
            .collect();
        if shorter.len() < text.len() { read(&shorter) } else { None }
    })
}

/// The decimals of a second that jiff reads.
const NANOSECONDS: usize = 9;

/// Most characters of a text that a message shows.
const SHOWN: usize = 80;

/// Seconds, milliseconds, microseconds or nanoseconds, by their size.
fn from_number(number: Number) -> Option<i64> {
    let size = number.as_f64().abs();
    let units = [1e6, 1e3, 1.0]; // microseconds in one; smaller ones are nanoseconds
    let unit = units.into_iter().find(|unit| size < MILLISECONDS_FROM * 1e6 / unit);
    let micros = match (number, unit) {
        (Number::Integer(number), Some(unit)) => number * unit as i128,
        (Number::Integer(number), None) => number.div_euclid(1000),
        // Rounded: otherwise a fraction such as .123 could lose a millisecond.
        (Number::Float(number), unit) => (number * unit.unwrap_or(1e-3)).round() as i128,
    };
    i64::try_from(micros.div_euclid(1000)).ok()
}

/// A second as text and in milliseconds. In most logs the next time is in the same one, and then it
/// is read by comparing the text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second(Option<([u8; 19], i64)>);

impl Second {
    /// Reads `2026-03-01T12:30:00.250Z`, the form of nearly all logs, several times faster than the
    /// full parser, which reads all other forms.
    fn fast(&mut self, text: &[u8]) -> Option<i64> {
        let (second, rest) = text.split_first_chunk()?;
        let millis = match rest {
            b"Z" => 0,
            [b'.', millis @ .., b'Z'] if millis.len() == 3 => digits(millis)?,
            _ => return None,
        };
        if let Some((text, start)) = self.0
            && text == *second
        {
            return Some(start + millis);
        }
        let start = whole(second)?;
        self.0 = Some((*second, start));
        Some(start + millis)
    }
}

/// A second without a fraction.
fn whole(text: &[u8; 19]) -> Option<i64> {
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(at, sign)| text[*at] != *sign) {
        return None;
    }
    let two = |at: usize| digits(&text[at..at + 2]).map(|number| number as i8);
    let year = digits(&text[..4])? as i16;
    let time = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
    Some(Offset::UTC.to_timestamp(time).ok()?.as_millisecond())
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

    fn auto() -> Clock {
        Clock::new("auto", "UTC").unwrap()
    }

    fn of(text: &str) -> Option<i64> {
        auto().millis(&Value::Text(text.into()))
    }

    #[test]
    fn times_are_read_from_rfc_3339_and_from_epoch_numbers() {
        let noon = Some(1_772_366_400_000);
        assert_eq!(of("2026-03-01T12:00:00Z"), noon);
        assert_eq!(of("2026-03-01T13:00:00+01:00"), noon);
        assert_eq!(of("2026-03-01T12:00:00.000000Z"), noon);
        let number = |number| auto().millis(&Value::Number(number));
        assert_eq!(number(Number::Integer(1_772_366_400)), noon);
        assert_eq!(number(Number::Integer(1_772_366_400_000)), noon);
        assert_eq!(number(Number::Float(1_772_366_400.25)), noon.map(|noon| noon + 250));
        assert_eq!(rfc3339(1_772_366_400_000), "2026-03-01T12:00:00Z");
        assert_eq!(rfc3339(1_772_366_400_250), "2026-03-01T12:00:00.25Z");
    }

    #[test]
    fn invalid_times_give_none() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-03-01"]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(auto().millis(&Value::Missing), None);
        assert_eq!(auto().millis(&Value::Number(Number::Float(1e300))), None);
    }

    #[test]
    fn a_time_that_cannot_be_read_is_told_apart_from_a_missing_one() {
        let problem = |value| auto().problem("at", &value);
        assert_eq!(problem(Value::Missing), "no time: there is no field at");
        let text = problem(Value::Text("yesterday".into()));
        assert!(text.starts_with(r#"no time: the field at holds "yesterday", which"#), "{text}");
        assert!(problem(Value::Number(Number::Float(1e300))).contains(" holds 1e+300"));
        assert!(problem(Value::Opaque).contains("holds an array or an object"));
        assert!(problem(Value::Text("x".repeat(1000).into())).len() < 200);
    }

    #[test]
    fn the_forms_that_logs_have_are_known() {
        let noon = 1_772_366_400_000;
        for (text, millis) in [
            ("2026-03-01 12:00:00", 0),
            ("2026-03-01T12:00:00", 0),
            ("2026-03-01T12:00:00.5", 500),
            ("2026-03-01 12:00:00,250", 250),
            ("2026-03-01T12:00:00,250Z", 250),
            ("2026-03-01T12:00:00.123456789Z", 123),
            ("2026-03-01T12:00:00.1234567899Z", 123),
            ("2026-03-01 13:00:00,123456789123456 +0100", 123),
            ("1772366400.12345678901", 123),
            ("2026-03-01 12:00:00.123 UTC", 123),
            ("2026-03-01 12:00:00.123 GMT", 123),
            ("2026-03-01 12:00:00+00", 0),
            ("2026-03-01 13:00:00.25+0100", 250),
            ("2026-03-01 07:00:00 -0500", 0),
            ("2026-03-01 12:00:00.123456789 +0000 UTC", 123),
            ("20260301T120000Z", 0),
            ("2026-03-01T13:00:00.5[Europe/Berlin]", 500),
            ("2026-03-01T13:00:00+01:00[Europe/Berlin]", 0),
            ("2026-03-01t12:00:00z", 0),
            (" 2026-03-01T12:00:00Z\n", 0),
            ("1772366400", 0),
            ("1772366400.123", 123),
            ("1772366400123", 123),
            ("1772366400123456", 123),
            ("1772366400123456789", 123),
            ("01/Mar/2026:12:00:00 +0000", 0),
            ("[01/Mar/2026:13:00:00 +0100]", 0),
            ("Sun, 01 Mar 2026 12:00:00 GMT", 0),
            ("Sun, 01 Mar 2026 13:00:00 +0100", 0),
        ] {
            assert_eq!(of(text), Some(noon + millis), "{text}");
        }
        for number in [
            Number::Float(1_772_366_400.123),
            Number::Integer(1_772_366_400_123),
            Number::Float(1_772_366_400_123.25),
            Number::Integer(1_772_366_400_123_456),
            Number::Integer(1_772_366_400_123_456_789),
        ] {
            assert_eq!(auto().millis(&Value::Number(number)), Some(noon + 123), "{number:?}");
        }
        for text in [
            "2026-03-01",
            "12:00:00",
            "01/Mar/2026",
            "1e400",
            "Mar  1 12:00:00",
            "NaN",
            "2026-03-01T12:00:00[No/Where]",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        // Before 1970 a fraction counts forwards too.
        assert_eq!(auto().millis(&Value::Number(Number::Float(-0.75))), Some(-750));
    }

    #[test]
    fn a_zone_is_for_times_that_name_none() {
        let berlin = Clock::new("auto", "Europe/Berlin").unwrap();
        let millis = |text: &str| berlin.millis(&Value::Text(text.into()));
        assert_eq!(millis("2026-03-01 13:00:00"), of("2026-03-01T12:00:00Z"));
        assert_eq!(millis("2026-07-01 14:00:00"), of("2026-07-01T12:00:00Z"));
        for named in
            ["2026-03-01T12:00:00Z", "2026-03-01 12:00:00 UTC", "2026-03-01T13:00:00+01:00"]
        {
            assert_eq!(millis(named), of("2026-03-01T12:00:00Z"), "{named}");
        }
        let east = Clock::new("%Y%m%d%H%M%S", "+02:00").unwrap();
        let number = Value::Number(Number::Integer(20_260_301_140_000));
        assert_eq!(east.millis(&number), of("2026-03-01T12:00:00Z"));
        let refusal = Clock::new("auto", "Berlin").unwrap_err();
        assert!(refusal.starts_with("--time-zone Berlin: expected UTC, Europe/Berlin or +01:00"));
    }

    #[test]
    fn a_format_is_checked_before_it_is_used() {
        let clock = Clock::new("%d.%m.%Y %H:%M:%S%.f", "UTC").unwrap();
        let value = Value::Text("01.03.2026 12:00:00.25".into());
        assert_eq!(clock.millis(&value), of("2026-03-01T12:00:00.25Z"));
        let finer = Value::Text("01.03.2026 12:00:00.25000000009".into());
        assert_eq!(clock.millis(&finer), of("2026-03-01T12:00:00.25Z"));
        let iso = Value::Text("2026-03-01T12:00:00Z".into());
        assert_eq!(clock.millis(&iso), None);
        assert!(clock.problem("t", &iso).contains("not in the form of --time-format \"%d"));
        let offset = Clock::new("%d/%b/%Y %H:%M %z", "Europe/Berlin").unwrap();
        let value = Value::Text("01/Mar/2026 12:00 +0000".into());
        assert_eq!(offset.millis(&value), of("2026-03-01T12:00:00Z"));
        for (format, why) in [
            ("%H:%M:%S", "it has no full date and time"),
            ("%b %d %H:%M:%S", "it has no full date and time"),
            ("yyyy-MM-dd", "it has no full date and time"),
            ("%Y-%m-%d %!", "%!"),
        ] {
            let refusal = Clock::new(format, "UTC").unwrap_err();
            assert!(refusal.starts_with(&format!("--time-format {format:?}: ")), "{refusal}");
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_form_is_read_as_the_full_parser_reads_it(
            millis in -62_000_000_000_000_i64..200_000_000_000_000,
            more in -2000..2000_i64,
        ) {
            let mut last = Second::default();
            for millis in [millis, millis + more, millis] {
                let time = Timestamp::from_millisecond(millis).unwrap();
                let text = format!("{time:.3}");
                prop_assert_eq!(of(&text), Some(millis));
                if let Some(fast) = last.fast(text.as_bytes()) {
                    prop_assert_eq!(fast, millis);
                }
            }
        }
    }
}
