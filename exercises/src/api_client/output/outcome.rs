use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, Response, Version};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::api_client::input::{Id, Request, masked};
use crate::api_client::transport::Error;

/// The result of a request. Every request has exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The request's own id, or its place in the input, from 1.
    pub id: Id,
    /// The URL as it was given.
    pub url: String,
    /// The method that was asked for.
    #[serde(default)]
    pub method: String,
    /// Whether it had a body, which is not in the outcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_body: bool,
    /// Of the last response, if there was one.
    pub status: Option<u16>,
    /// Where that response came from, with the secrets in it masked.
    #[serde(default)]
    pub final_url: Option<String>,
    /// `1.0`, `1.1` or `2`.
    #[serde(default)]
    pub http_version: Option<String>,
    /// Its `Content-Type`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Its `ETag`.
    #[serde(default)]
    pub etag: Option<String>,
    /// Those of its headers that were to be kept.
    #[serde(default, skip_serializing_if = "HeaderMap::is_empty", with = "headers")]
    pub response_headers: HeaderMap,
    /// How often it was sent to a host; 0 if it never was.
    pub attempts: u32,
    /// How many of these the host rejected as too fast.
    pub rejected: u32,
    /// How long it waited for its turn.
    pub waited_ms: u64,
    /// How long it was on the wire, all attempts together. With `waited_ms` this is all the time
    /// from when it was read.
    pub took_ms: u64,
    /// The length of the body.
    pub bytes: u64,
    /// The path of the body, lossily if it is not UTF-8.
    #[serde(serialize_with = "lossily")]
    pub file: Option<PathBuf>,
    /// `None` if it was fetched.
    pub error: Option<Error>,
    /// The request's fingerprint.
    #[serde(skip)]
    pub key: u128,
    /// How long the last attempt was on the wire.
    #[serde(skip)]
    pub latency: Duration,
    /// The time on the wire of all attempts: `took_ms` without rounding.
    #[serde(skip)]
    pub took: Duration,
    /// Where the last response sends the request.
    #[serde(skip)]
    pub location: Option<String>,
    /// Whether an earlier run fetched it.
    #[serde(skip)]
    pub known: bool,
}

impl Outcome {
    /// An empty outcome for a request with this number in its input, from 1.
    pub(in crate::api_client) fn of(request: &Request, number: u64) -> Self {
        Self {
            id: request.id_or(number),
            url: request.shown().into_owned(),
            method: request.method.to_string(),
            has_body: !request.body.is_empty(),
            status: None,
            final_url: None,
            http_version: None,
            content_type: None,
            etag: None,
            response_headers: HeaderMap::new(),
            attempts: 0,
            rejected: 0,
            waited_ms: 0,
            took_ms: 0,
            bytes: 0,
            file: None,
            error: None,
            key: request.key(),
            latency: Duration::ZERO,
            took: Duration::ZERO,
            location: None,
            known: false,
        }
    }

    /// Clears the result of the previous attempt: the next attempt decides.
    pub(in crate::api_client) fn begin_attempt(&mut self) {
        (self.status, self.bytes, self.error, self.location) = (None, 0, None, None);
        (self.final_url, self.http_version) = (None, None);
        (self.content_type, self.etag) = (None, None);
        self.response_headers.clear();
    }

    /// What the head of a response says.
    pub(in crate::api_client) fn answered<B>(
        &mut self,
        url: &Url,
        response: &Response<B>,
        keep: &[HeaderName],
        keep_all: bool,
    ) {
        let headers = response.headers();
        let text = |name: &HeaderName| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        self.status = Some(response.status().as_u16());
        self.final_url = Some(masked(url));
        self.http_version = Some(match response.version() {
            Version::HTTP_2 => "2".to_owned(),
            Version::HTTP_10 => "1.0".to_owned(),
            _ => "1.1".to_owned(), // reqwest speaks no other here
        });
        (self.content_type, self.etag) = (text(&CONTENT_TYPE), text(&ETAG));
        if keep_all {
            self.response_headers.clone_from(headers);
        }
        for name in keep {
            for value in headers.get_all(name) {
                self.response_headers.append(name, value.clone());
            }
        }
    }

    pub(in crate::api_client) fn end_attempt(&mut self, took: Duration) {
        self.latency = took;
        self.took += took;
        self.took_ms = millis(self.took);
    }
}

/// Whole milliseconds.
pub(in crate::api_client) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::ref_option, reason = "serde asks for a reference to the field")]
fn lossily<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

/// Headers as an object; a header that comes several times has an array of its values.
mod headers {
    use std::collections::BTreeMap;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::api_client::input::Values;

    pub(super) fn serialize<S: Serializer>(
        headers: &HeaderMap,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let values = |name| {
            let values = headers.get_all(name).iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
        };
        let all = headers.keys().map(|name| (name.as_str(), Values::from_all(values(name))));
        all.collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderMap, D::Error> {
        let mut headers = HeaderMap::new();
        for (name, values) in BTreeMap::<String, Values>::deserialize(deserializer)? {
            for value in values.all() {
                if let (Ok(name), Ok(value)) =
                    (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
                {
                    headers.append(name, value);
                }
            }
        }
        Ok(headers)
    }
}
