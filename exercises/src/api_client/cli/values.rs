//! Parses the values of flags.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use super::curl::reason;
use crate::api_client::input::checked_header;

/// A header, or what is wrong with it. It returns no error to clap, which would print the value:
/// that may be a secret.
pub(super) type Header = Result<(HeaderName, HeaderValue), String>;

/// Whether a body was read from stdin: no requests can come from there then.
pub(super) static BODY_FROM_STDIN: AtomicBool = AtomicBool::new(false);

/// A user and a password, or what is wrong with them.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Result<String, String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

pub(super) fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_| "a method is a word such as GET".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(super) fn header_line(text: &str) -> Result<Header, Infallible> {
    let why = match () {
        () if text.starts_with('@') => {
            "headers are not read from a file: give each one with its own -H"
        }
        () if text.ends_with(';') => "an empty header is written `Name:` here",
        () => "a header is written `Name: value`",
    };
    let parts = text.split_once(':').filter(|_| !text.starts_with('@'));
    Ok(parts.ok_or(why.to_owned()).and_then(|(name, value)| checked_header(name, value)))
}

#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(super) fn user(text: &str) -> Result<Secret, Infallible> {
    let whole = text.contains(':').then(|| text.to_owned());
    Ok(Secret(
        whole.ok_or_else(|| "write USER:PASSWORD; a password is not prompted for".to_owned()),
    ))
}

pub(super) fn agent(text: &str) -> Result<HeaderValue, String> {
    text.parse().map_err(|_| "not a header's value".to_owned())
}

pub(super) fn referer(text: &str) -> Result<HeaderValue, String> {
    agent(text)
}

/// `-d`: a file is sent as curl does, without its line ends.
pub(super) fn form(text: &str) -> Result<Bytes, String> {
    let body = as_is(text)?;
    if !text.starts_with('@') {
        return Ok(body);
    }
    Ok(body.iter().copied().filter(|byte| !b"\r\n\0".contains(byte)).collect())
}

pub(super) fn as_is(text: &str) -> Result<Bytes, String> {
    let read = match text.strip_prefix('@') {
        None => return Ok(text.to_owned().into()),
        Some("-") => {
            BODY_FROM_STDIN.store(true, Ordering::Relaxed);
            let mut body = Vec::new();
            io::stdin().lock().read_to_end(&mut body).map(|_| body)
        }
        Some(file) => std::fs::read(file),
    };
    read.map(Bytes::from).map_err(|err| format!("cannot read {}: {err}", &text[1..]))
}

pub(super) fn in_flight(text: &str) -> Result<u32, String> {
    count(text).map_err(|why| format!("{why}; {}", reason("-c").unwrap_or_default()))
}

pub(super) fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| (1..=65_536).contains(n)).ok_or("a number from 1 to 65536".into())
}

/// Requests a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => f64::NAN,
    };
    let number = number.trim();
    let (number, factor) = match number.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => number.strip_suffix('M').map_or((number, 1.0), |number| (number, 1e6)),
    };
    let rate = number.parse::<f64>().unwrap_or(f64::NAN) * factor / seconds;
    let sensible = (1e-6..=1e6).contains(&rate);
    let written = "a rate is written 50/s, 1.5M/min, 10k/h or 1/d, and is at most 1M/s";
    if sensible { Ok(rate) } else { Err(written.into()) }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    percent
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..=10.0).contains(share))
        .ok_or("a share is written 50%, and is no more than 1000%".into())
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let time = number.parse::<f64>().unwrap_or(f64::NAN) * seconds;
    let sensible = time > 0.0 && time < 1e9;
    let time = if sensible { Duration::try_from_secs_f64(time).ok() } else { None };
    time.ok_or("a time is written 500ms, 30s, 5m or 1h, and is not zero".into())
}

/// Bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => Some(1_u64),
        "k" | "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        "T" => Some(1 << 40),
        _ => None,
    };
    let whole = |factor: u64| number.parse::<u64>().ok()?.checked_mul(factor);
    let part = |factor: u64| {
        let size = number.parse::<f64>().ok()? * factor as f64;
        (!unit.is_empty() && (1.0..=1e18).contains(&size)).then_some(size as u64)
    };
    let size = factor.and_then(|factor| whole(factor).or_else(|| part(factor)));
    size.ok_or("a size is written 4096, 64k, 10M, 1.5G or 1T".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_in_many_ways() {
        for (text, per_second) in [
            ("50/s", 50.0),
            ("50/sec", 50.0),
            ("50", 50.0),
            ("600/m", 10.0),
            ("36k/h", 10.0),
            ("1.5M/min", 25_000.0),
            ("86400/d", 1.0),
            ("1/d", 1.0 / 86_400.0),
        ] {
            assert_eq!(rate(text), Ok(per_second), "{text}");
        }
        for wrong in ["", "fast", "0/s", "-1/s", "1/week", "2M/s", "k/s", "nan/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_with_a_letter() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64k", 65_536),
            ("64K", 65_536),
            ("10M", 10 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "k", "1.5", "1kB", "99999999999T", "-1", "1e3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
