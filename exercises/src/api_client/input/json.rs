//! A line of NDJSON that is a request. An outcome of an earlier run is one too.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::header::{Values, checked_header};
use super::id::Id;

/// The fields of a line. The flags of the run supply what is missing.
pub(super) struct Line {
    pub(super) url: String,
    pub(super) id: Option<Id>,
    pub(super) method: Option<Method>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

#[derive(Deserialize)]
struct Fields {
    url: String,
    id: Option<Id>,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body: Option<String>,
    /// Kept as written: neither the order of its fields nor its numbers change.
    json: Option<Box<RawValue>>,
    body_base64: Option<String>,
    /// Only an outcome of an earlier run has it.
    attempts: Option<IgnoredAny>,
    /// The same, if a body was sent.
    #[serde(default)]
    has_body: bool,
}

const FIELDS: [&str; 7] = ["url", "id", "method", "headers", "body", "json", "body_base64"];

/// The names of a line's fields, without what they hold.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Reads a line. Unknown fields are ignored, unless one looks like a typing error.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let Names(names) = serde_json::from_str(line).map_err(|err| without_value(&err))?;
    names.iter().try_for_each(|name| no_slip(name))?;
    let fields = serde_json::from_str::<Fields>(line).map_err(|err| without_value(&err))?;
    let method = fields.method.map(|method| {
        let parsed = method.parse::<Method>();
        parsed.map_err(|_| format!("`{method}` is not a method"))
    });
    let method = method.transpose()?;
    let mut headers = HeaderMap::new();
    for (name, values) in &fields.headers {
        for value in values.all() {
            let (name, value) = checked_header(name, value)?;
            headers.append(name, value);
        }
    }
    let is_json = fields.json.is_some();
    let bodies = [
        fields.body.map(Bytes::from),
        fields.json.map(|json| Bytes::from(json.get().to_owned())),
        fields.body_base64.map(|text| decoded(&text)).transpose()?,
    ];
    let mut bodies = bodies.into_iter().flatten();
    let body = bodies.next();
    if bodies.next().is_some() {
        return Err("give one of `body`, `json` and `body_base64`".to_owned());
    }
    if is_json && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let usual = [Method::POST, Method::PUT, Method::PATCH];
    let has_body = fields.has_body || method.as_ref().is_some_and(|method| usual.contains(method));
    if fields.attempts.is_some() && has_body {
        return Err("an outcome does not hold the body that was sent: \
                    take the request's own line, by its id"
            .to_owned());
    }
    Ok(Line { url: fields.url, id: fields.id, method, headers, body })
}

/// A URL in quotes, as `jq` without `-r` prints it. An array, or a part of one, is refused.
pub(super) fn text(line: &str) -> Result<String, String> {
    let told =
        |_| "neither a URL nor an object; `jq -c '.[]'` turns an array into lines".to_owned();
    serde_json::from_str(line).map_err(told)
}

/// Refuses an unknown field whose name is one or two letters from a known one: it is probably a
/// typing error. Other unknown fields are the user's own.
fn no_slip(name: &str) -> Result<(), String> {
    let near = |known: &&&str| {
        let most = if known.len() < 5 { 1 } else { 2 };
        (1..=most).contains(&strsim::osa_distance(name, known))
    };
    if FIELDS.contains(&name) {
        return Ok(());
    }
    match FIELDS.iter().find(near) {
        Some(known) => Err(format!("unknown field `{name}`; did you mean `{known}`?")),
        None => Ok(()),
    }
}

fn decoded(text: &str) -> Result<Bytes, String> {
    let decoded = STANDARD.decode(text).map_err(|_| "`body_base64` is not base64".to_owned())?;
    Ok(decoded.into())
}

/// The URL in a JSON line that is no valid request, as far as it can be found.
pub(super) fn url_in(line: &str) -> String {
    let line = serde_json::from_str::<serde_json::Value>(line).unwrap_or_default();
    line["url"].as_str().unwrap_or_default().to_owned()
}

/// What is wrong with a line, without the value that is wrong.
fn without_value(err: &serde_json::Error) -> String {
    let text = err.to_string().replace(" at line 1 column ", " at column ");
    let quotes = ['"', '`'];
    match (text.find(quotes), text.rfind(quotes)) {
        (Some(start), Some(end)) if text.starts_with("invalid ") => {
            format!("{}…{}", &text[..=start], &text[end..])
        }
        _ => text,
    }
}
