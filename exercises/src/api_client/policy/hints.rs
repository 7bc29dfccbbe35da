use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};

/// What a response's headers say about rates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hints {
    /// How long to wait, from `Retry-After`.
    pub retry_after: Option<Duration>,
    /// From `RateLimit-*`, `X-RateLimit-*` or the structured `RateLimit`.
    pub quota: Option<Quota>,
}

/// How much of a window is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// Requests per window, if the host says so.
    pub limit: Option<f64>,
    /// Requests left in this window.
    pub remaining: f64,
    /// Until the next window begins.
    pub reset: Duration,
    /// The length of the window, if the host says so.
    pub window: Option<Duration>,
}

/// A reset beyond this many seconds is not a time from now but one since 1970, as GitHub sends it.
const EPOCH: f64 = 1e8;

impl Hints {
    /// Reads the headers of a response that came in at `now`, which only serves to understand dates.
    pub fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        Self { retry_after: retry_after(headers, now), quota: quota(headers, now) }
    }

    /// Whether there is anything in the headers about rates.
    pub fn talk_of_rates(&self) -> bool {
        self.retry_after.is_some() || self.quota.is_some()
    }
}

/// Seconds or a date. What is neither, or not in the future, is as good as nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than a number holds is still a wait, only longer than anybody's.
        let seconds = text.parse().unwrap_or(u64::from(u32::MAX));
        return (seconds > 0).then(|| Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok().filter(|wait| !wait.is_zero())
}

fn quota(headers: &HeaderMap, now: SystemTime) -> Option<Quota> {
    structured(headers).or_else(|| separate(headers, now))
}

/// The IETF's drafts from the eighth on: `RateLimit: "default";r=50;t=30` and
/// `RateLimit-Policy: "default";q=100;w=60`; the ones before: `limit=100, remaining=50, reset=30`.
fn structured(headers: &HeaderMap) -> Option<Quota> {
    let field = headers.get("ratelimit")?.to_str().ok()?;
    let policy = headers.get("ratelimit-policy").and_then(|value| value.to_str().ok());
    let limit = policy.and_then(|policy| parameter(policy, "q"));
    Some(Quota {
        limit: limit.or_else(|| parameter(field, "limit")),
        remaining: parameter(field, "r").or_else(|| parameter(field, "remaining"))?,
        reset: span(parameter(field, "t").or_else(|| parameter(field, "reset"))?)?,
        window: policy.and_then(|policy| parameter(policy, "w")).and_then(span),
    })
}

/// A field with or without the `X-`.
type Names = [HeaderName; 2];

const fn names(plain: &'static str, with_x: &'static str) -> Names {
    [HeaderName::from_static(plain), HeaderName::from_static(with_x)]
}

// Made once: a response without them costs three look-ups.
static LIMIT: Names = names("ratelimit-limit", "x-ratelimit-limit");
static REMAINING: Names = names("ratelimit-remaining", "x-ratelimit-remaining");
static RESET: Names = names("ratelimit-reset", "x-ratelimit-reset");
static POLICY: Names = names("ratelimit-policy", "x-ratelimit-policy");

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, with or without the `X-`.
fn separate(headers: &HeaderMap, now: SystemTime) -> Option<Quota> {
    let text = |names: &Names| {
        let value = names.iter().find_map(|name| headers.get(name));
        value?.to_str().ok()
    };
    let number = |names| text(names)?.split([',', ';']).next()?.trim().parse::<f64>().ok();
    let reset = number(&RESET)?;
    let epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let reset = if reset > EPOCH { (reset - epoch).max(0.0) } else { reset };
    Some(Quota {
        limit: number(&LIMIT).filter(|limit| *limit > 0.0),
        remaining: number(&REMAINING).filter(|left| *left >= 0.0)?,
        reset: span(reset)?,
        window: text(&POLICY).and_then(|policy| parameter(policy, "w")).and_then(span),
    })
}

/// The number of `name=number` in a list of parameters.
fn parameter(text: &str, name: &str) -> Option<f64> {
    let value = text.split([',', ';']).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == name).then_some(value)
    })?;
    value.trim().trim_matches('"').parse().ok().filter(|number| *number >= 0.0)
}

fn span(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Hints {
        let pairs = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), value.parse().expect("a header value"))
        });
        Hints::read(&pairs.collect(), UNIX_EPOCH + Duration::from_secs(1_700_000_000))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |text| read(&[("retry-after", text)]).retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_no_wait_is_as_good_as_nothing() {
        for text in ["", "soon", "-5", "1.5", "0", "Tue, 14 Nov 2023 22:13:20 GMT"] {
            assert_eq!(read(&[("retry-after", text)]).retry_after, None, "{text}");
        }
    }

    #[test]
    fn a_number_without_end_is_a_long_wait() {
        let wait = read(&[("retry-after", "99999999999999999999999")]).retry_after;
        assert_eq!(wait, Some(Duration::from_secs(u64::from(u32::MAX))));
    }

    #[test]
    fn all_four_ways_to_write_a_quota_are_understood() {
        let ways: [&[(&str, &str)]; 4] = [
            &[
                ("ratelimit", "\"default\";r=40;t=30"),
                ("ratelimit-policy", "\"default\";q=100;w=60"),
            ],
            &[("ratelimit", "limit=100, remaining=40, reset=30"), ("ratelimit-policy", "100;w=60")],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "1700000030"), // GitHub's, since 1970
                ("ratelimit-policy", "100;w=60"),
            ],
            &[
                ("ratelimit-limit", "100, 100;w=60"),
                ("ratelimit-remaining", "40"),
                ("ratelimit-reset", "30"),
                ("ratelimit-policy", "100;w=60"),
            ],
        ];
        for headers in ways {
            let quota = Quota {
                limit: Some(100.0),
                remaining: 40.0,
                reset: Duration::from_secs(30),
                window: Some(Duration::from_mins(1)),
            };
            assert_eq!(read(headers).quota, Some(quota), "{headers:?}");
        }
    }

    #[test]
    fn half_a_quota_is_none() {
        assert_eq!(read(&[("ratelimit-remaining", "40")]).quota, None);
        assert_eq!(read(&[("ratelimit", "\"default\";r=x;t=30")]).quota, None);
        let negative = [("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "30")];
        assert_eq!(read(&negative).quota, None);
    }
}
