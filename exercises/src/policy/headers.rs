//! What response headers say about rates. Nothing here keeps state or reads a clock: the time of
//! the answer is a parameter, and is used only for answers without a `Date`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parameters, Parser};

/// What a response's headers say about rates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Announced {
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// How much is left, for each policy of the host that counts requests.
    pub quotas: Vec<Quota>,
    /// How many requests may be in flight.
    pub most_in_flight: Option<usize>,
}

/// How much of a window is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// The policy's name, or the fields that it comes from.
    pub name: String,
    /// Requests per window, if the host says so.
    pub limit: Option<f64>,
    /// Requests left in this window.
    pub remaining: f64,
    /// Until the next window begins.
    pub reset: Duration,
    /// The length of the window, if the host says so.
    pub window: Option<Duration>,
}

/// Three fields that announce one quota, each a plain number, and the reset in one of many ways.
struct Fields {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const fn fields(limit: &'static str, remaining: &'static str, reset: &'static str) -> Fields {
    Fields {
        limit: HeaderName::from_static(limit),
        remaining: HeaderName::from_static(remaining),
        reset: HeaderName::from_static(reset),
    }
}

/// Who sends what. Fields that count tokens or bytes are not here: a request is no unit of them.
static FIELDS: [Fields; 6] = [
    // draft-ietf-httpapi-ratelimit-headers up to -06, seconds to go.
    fields("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    // Discord: decimal seconds to go, beside the reset as an epoch.
    fields("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset-after"),
    // GitHub and GitLab: epoch seconds; others seconds to go, epoch milliseconds or dates.
    fields("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    // X (Twitter): epoch seconds; Okta.
    fields("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"),
    // OpenAI: `6m0s`, `12ms`.
    fields(
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    // Anthropic: RFC 3339.
    fields(
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
];

/// Shopify's bucket, `39/40` of which are used; two requests leak out of it each second.
const SHOPIFY: HeaderName = HeaderName::from_static("x-shopify-shop-api-call-limit");
const SHOPIFY_LEAK: Duration = Duration::from_secs(1);

/// Each field that is read has one of these in its name.
const LIMIT: &str = "limit";
const RETRY: &str = "retry-after";

/// A reset above this many seconds is a time since 1970 and not from now, and above this many
/// thousand seconds one in milliseconds: 1973, and 5138.
const EPOCH: f64 = 1e8;
const EPOCH_MS: f64 = 1e11;
/// Longer numbers are taken as this wait, which is longer than any real one.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

impl Announced {
    /// Reads the headers of a response that came in at `now`. Dates and epochs count from the
    /// answer's own `Date`, if it has one: a server's clock need not be right.
    pub fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let speaks = |name: &str| name.contains(LIMIT) || name.starts_with(RETRY);
        if !headers.keys().any(|name| speaks(name.as_str())) {
            return Self::default(); // most hosts: nothing more is looked for
        }
        let now = text(headers, &http::header::DATE).and_then(http_date).unwrap_or(now);
        let mut announced = Self { retry_after: retry_after(headers, now), ..Self::default() };
        structured(headers, &mut announced);
        if announced.quotas.is_empty() {
            announced
                .quotas
                .extend(FIELDS.iter().find_map(|fields| separate(headers, fields, now)));
        }
        announced.quotas.extend(shopify(headers));
        announced
    }

    /// Whether a quota is used up.
    pub fn nothing_remains(&self) -> bool {
        self.quotas.iter().any(|quota| quota.remaining < 1.0)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `Retry-After` (RFC 9110 §10.2.3, decimals too), and `retry-after-ms` (`OpenAI`, Azure) where
/// there is none. A value that is neither a number nor a date, or not in the future, is ignored.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let wait = if let Some(text) = text(headers, &http::header::RETRY_AFTER) {
        number(text).map(span).or_else(|| Some(until(http_date(text)?, now)))
    } else {
        let name = HeaderName::from_static("retry-after-ms");
        text(headers, &name).and_then(number).map(|millis| span(millis / 1000.0))
    };
    wait.filter(|wait| !wait.is_zero())
}

/// The IETF's `RateLimit` and `RateLimit-Policy` as structured fields (RFC 9651): since draft -08
/// `"burst";r=50;t=30` and `"burst";q=100;w=60`; draft -07 had `limit=100, remaining=50, reset=30`
/// and `100;w=60`. A field that is malformed is ignored as a whole.
fn structured(headers: &HeaderMap, announced: &mut Announced) {
    let policies = list(headers, "ratelimit-policy").unwrap_or_default();
    for policy in &policies {
        let most = parameter(&policy.params, "q");
        if unit(policy) == "concurrent-requests"
            && let Some(most) = most
        {
            let most = most as usize; // saturates
            announced.most_in_flight =
                Some(announced.most_in_flight.map_or(most, |before| before.min(most)));
        }
    }
    let Some(items) = list(headers, "ratelimit") else {
        announced.quotas.extend(dictionary(headers, &policies));
        return;
    };
    for item in &items {
        let Some(name) = item.bare_item.as_string().map(sfv::StringRef::as_str) else { continue };
        let named = |policy: &&Item| {
            policy.bare_item.as_string().is_some_and(|other| other.as_str() == name)
        };
        let policy = policies.iter().find(named);
        if policy.is_some_and(|policy| unit(policy) != "requests") {
            continue;
        }
        let of_policy = |key| policy.and_then(|policy| parameter(&policy.params, key));
        let window = of_policy("w").map(span);
        let reset = parameter(&item.params, "t").map(span).or(window);
        let (Some(remaining), Some(reset)) = (parameter(&item.params, "r"), reset) else {
            continue;
        };
        let (name, limit) = (name.to_owned(), of_policy("q").filter(|limit| *limit > 0.0));
        announced.quotas.push(Quota { name, limit, remaining, reset, window });
    }
}

fn dictionary(headers: &HeaderMap, policies: &[Item]) -> Option<Quota> {
    let fields: Dictionary = Parser::new(&joined(headers, "ratelimit")?).parse().ok()?;
    let field = |name: &str| match fields.get(name)? {
        ListEntry::Item(item) => quantity(&item.bare_item),
        ListEntry::InnerList(_) => None,
    };
    let limit = field("limit").filter(|limit| *limit > 0.0);
    Some(Quota {
        name: "ratelimit".to_owned(),
        limit,
        remaining: field("remaining")?,
        reset: span(field("reset")?),
        window: window_of(policies, limit),
    })
}

/// The window of the policy with this limit, as in `100;w=60`.
fn window_of(policies: &[Item], limit: Option<f64>) -> Option<Duration> {
    let policy = policies.iter().find(|policy| quantity(&policy.bare_item) == limit)?;
    parameter(&policy.params, "w").map(span)
}

/// All lines of a field as one list of items. Of a parameter that comes twice the last one counts.
fn list(headers: &HeaderMap, name: &'static str) -> Option<Vec<Item>> {
    let list: List = Parser::new(&joined(headers, name)?).parse().ok()?;
    let items = list.into_iter().map(|entry| match entry {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    });
    Some(items.flatten().collect())
}

fn joined(headers: &HeaderMap, name: &'static str) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    let mut joined = values.next()?.as_bytes().to_vec();
    for value in values {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value.as_bytes());
    }
    Some(joined)
}

fn unit(policy: &Item) -> &str {
    let unit = policy.params.get("qu").and_then(BareItem::as_string);
    unit.map_or("requests", |unit| unit.as_str())
}

fn parameter(params: &Parameters, name: &str) -> Option<f64> {
    quantity(params.get(name)?)
}

fn quantity(item: &BareItem) -> Option<f64> {
    let integer: i64 = item.as_integer()?.into();
    u32::try_from(integer).ok().map(f64::from).or_else(|| (integer > 0).then_some(u32::MAX.into()))
}

fn separate(headers: &HeaderMap, fields: &Fields, now: SystemTime) -> Option<Quota> {
    let reset = when(text(headers, &fields.reset)?, now)?;
    // Drafts up to -06 list the policies behind the limit: `100, 100;w=60`.
    let first =
        |name| text(headers, name)?.split([',', ';']).next().map(str::trim).and_then(number);
    let limit = first(&fields.limit).filter(|limit| *limit > 0.0);
    let policies = list(headers, "ratelimit-policy").unwrap_or_default();
    Some(Quota {
        name: fields.remaining.as_str().to_owned(),
        limit,
        remaining: first(&fields.remaining)?,
        reset,
        window: limit.and_then(|limit| window_of(&policies, Some(limit))),
    })
}

fn shopify(headers: &HeaderMap) -> Option<Quota> {
    let (used, size) = text(headers, &SHOPIFY)?.split_once('/')?;
    let (used, size) = (number(used.trim())?, number(size.trim())?);
    Some(Quota {
        name: SHOPIFY.as_str().to_owned(),
        limit: None,
        remaining: (size - used).max(0.0),
        reset: SHOPIFY_LEAK,
        window: Some(SHORTEST_WINDOW),
    })
}

/// A window in which there is nothing to spread.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// How far away a reset is: seconds to go, an epoch in seconds or milliseconds, `1m30s`, or a date.
fn when(text: &str, now: SystemTime) -> Option<Duration> {
    if let Some(number) = number(text) {
        return match number {
            _ if number < EPOCH => Some(span(number)),
            _ if number < EPOCH_MS => Some(until(UNIX_EPOCH.checked_add(span_of(number))?, now)),
            _ => Some(until(UNIX_EPOCH.checked_add(span_of(number / 1000.0))?, now)),
        };
    }
    units(text).or_else(|| Some(until(http_date(text).or_else(|| iso_date(text))?, now)))
}

/// A date in one of HTTP's three formats.
fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

fn iso_date(text: &str) -> Option<SystemTime> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    Some(UNIX_EPOCH + Duration::from_millis(millis.try_into().ok()?))
}

/// A time in the past counts as now.
fn until(then: SystemTime, now: SystemTime) -> Duration {
    then.duration_since(now).unwrap_or_default()
}

/// Digits, and perhaps a decimal point among them: no sign, no exponent.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

fn span(seconds: f64) -> Duration {
    span_of(seconds).min(FOR_EVER)
}

fn span_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(FOR_EVER)
}

/// Go's way to write a duration: `6m0s`, `1h30m`, `12ms`.
fn units(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum += number(count)? * seconds;
        rest = tail;
    }
    (!text.is_empty()).then(|| span(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn read(headers: &[(&'static str, &str)]) -> Announced {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().expect("a header value"));
        }
        Announced::read(&map, UNIX_EPOCH + Duration::from_secs(NOW))
    }

    fn wait(text: &str) -> Option<Duration> {
        read(&[("retry-after", text)]).retry_after
    }

    #[test]
    fn retry_after_is_an_integer_a_decimal_or_one_of_three_dates() {
        for (text, seconds) in [
            ("7", 7.0),
            ("1.5", 1.5),
            ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
            ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
            ("Tue Nov 14 22:13:50 2023", 30.0),
        ] {
            assert_eq!(wait(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(wait("99999999999999999999999"), Some(FOR_EVER));
    }

    #[test]
    fn an_invalid_wait_is_ignored() {
        for text in ["", "soon", "-5", "+5", "1e3", "0", "Tue, 14 Nov 2023 22:13:20 GMT", "."] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_wins_over_retry_after_ms() {
        let ms = ("retry-after-ms", "250");
        assert_eq!(read(&[ms]).retry_after, Some(Duration::from_millis(250)));
        assert_eq!(read(&[ms, ("retry-after", "2")]).retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_servers_clock_an_hour_off_changes_nothing() {
        let date = ("date", "Tue, 14 Nov 2023 23:13:20 GMT");
        let waits = [
            read(&[date, ("retry-after", "Tue, 14 Nov 2023 23:13:50 GMT")]).retry_after,
            read(&[date, ("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "1700003630")])
                .quotas
                .first()
                .map(|quota| quota.reset),
        ];
        assert_eq!(waits, [Some(Duration::from_secs(30)); 2]);
    }

    #[test]
    fn every_way_to_write_a_quota_is_understood() {
        let ways: [&[(&str, &str)]; 12] = [
            &[("ratelimit", "\"d\";r=40;t=30"), ("ratelimit-policy", "\"d\";q=100;w=60")],
            &[("ratelimit", "\"d\";r=1;r=40;t=9;t=30"), ("ratelimit-policy", "\"d\";q=100;w=60")],
            &[("ratelimit", "limit=100, remaining=40, reset=30"), ("ratelimit-policy", "100;w=60")],
            &[
                ("ratelimit-limit", "100, 100;w=60"),
                ("ratelimit-remaining", "40"),
                ("ratelimit-reset", "30"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "30"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "1700000030"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "1700000030000"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "Tue, 14 Nov 2023 22:13:50 GMT"),
            ],
            &[
                ("x-rate-limit-limit", "100"),
                ("x-rate-limit-remaining", "40"),
                ("x-rate-limit-reset", "1700000030"),
            ],
            &[
                ("x-ratelimit-limit-requests", "100"),
                ("x-ratelimit-remaining-requests", "40"),
                ("x-ratelimit-reset-requests", "0m30s"),
            ],
            &[
                ("anthropic-ratelimit-requests-limit", "100"),
                ("anthropic-ratelimit-requests-remaining", "40"),
                ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:50Z"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "40"),
                ("x-ratelimit-reset", "1700009999.5"),
                ("x-ratelimit-reset-after", "30.0"),
            ],
        ];
        for headers in ways {
            let announced = read(headers);
            let [quota] = &announced.quotas[..] else { panic!("{headers:?}: {announced:?}") };
            assert_eq!((quota.limit, quota.remaining), (Some(100.0), 40.0), "{headers:?}");
            assert_eq!(quota.reset, Duration::from_secs(30), "{headers:?}");
        }
    }

    #[test]
    fn resets_in_units_are_understood() {
        for (text, millis) in [("6m0s", 360_000), ("12ms", 12), ("1s", 1000), ("1h2m", 3_720_000)] {
            let fields =
                [("x-ratelimit-remaining-requests", "4"), ("x-ratelimit-reset-requests", text)];
            assert_eq!(read(&fields).quotas[0].reset, Duration::from_millis(millis), "{text}");
        }
        assert!(units("12").is_none() && units("ms").is_none() && units("1y").is_none());
    }

    #[test]
    fn several_policies_on_several_lines_are_all_read_and_other_units_are_not() {
        let announced = read(&[
            ("ratelimit", "\"burst\";r=5;t=1, \"bytes\";r=0;t=60"),
            ("ratelimit", "\"day\";r=900;t=3600"),
            ("ratelimit-policy", "\"burst\";q=10;w=1,\"bytes\";q=65535;qu=\"content-bytes\";w=60"),
            ("ratelimit-policy", "\"day\";q=1000;w=86400, \"few\";q=4;qu=\"concurrent-requests\""),
        ]);
        let names: Vec<_> = announced.quotas.iter().map(|quota| quota.name.as_str()).collect();
        assert_eq!((names, announced.most_in_flight), (vec!["burst", "day"], Some(4)));
        assert_eq!(announced.quotas[1].window, Some(Duration::from_hours(24)));
    }

    #[test]
    fn shopifys_bucket_is_read() {
        let quota = &read(&[("x-shopify-shop-api-call-limit", "39/40")]).quotas[0];
        assert_eq!((quota.remaining, quota.reset), (1.0, Duration::from_secs(1)));
        assert!(read(&[("x-shopify-shop-api-call-limit", "40/40")]).nothing_remains());
    }

    #[test]
    fn incomplete_and_malformed_quotas_are_ignored() {
        for fields in [
            &[("ratelimit-remaining", "40")][..],
            &[("ratelimit", "\"default\";r=x\"")],
            &[("ratelimit", "default;r=40;t=30")], // a name is quoted
            &[("ratelimit", "\"default\";r=-4;t=30")],
            &[("ratelimit", "\"default\";r=4")],
            &[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "tomorrow")],
            &[("x-shopify-shop-api-call-limit", "40")],
        ] {
            assert_eq!(read(fields), Announced::default(), "{fields:?}");
        }
    }
}
