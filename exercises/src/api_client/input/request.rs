use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use url::Url;
use xxhash_rust::xxh3::xxh3_128;

/// One request, as it was asked for. Also one that cannot be sent is a request, and gets its
/// outcome like any other.
#[derive(Clone, Debug)]
pub struct Request {
    /// How its outcome refers to it; without one it is known by its place in the input, from 1.
    pub id: Option<Id>,
    /// `GET` if nothing else is said.
    pub method: Method,
    /// Sent as they are.
    pub headers: HeaderMap,
    /// Empty for no body.
    pub body: Bytes,
    text: String,
    /// Where it goes now, or why there is nothing to send.
    url: Result<Box<Url>, String>,
    /// Where it went first, if it goes elsewhere now.
    first: Option<Box<Url>>,
    /// Its fingerprint, if part of it comes from the flags of the run.
    own_key: Option<u128>,
    /// Whether it has to go on a new connection.
    pub(in crate::api_client) reconnect: bool,
}

/// What a request is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// Its place in the input, or a number that it was given.
    Number(i64),
    /// A name that it was given.
    Text(String),
}

const SENT: &str = "only a request with a URL is sent";

/// What a line of NDJSON may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    id: Option<Id>,
}

impl Request {
    /// A `GET` of `url`.
    pub fn get(url: &str) -> Self {
        let parsed = match Url::parse(url) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Err(format!("`{}` is no scheme of the web: use http or https", url.scheme()))
            }
            Ok(url) if url.host_str().is_none() => Err("no host in the URL".to_owned()),
            Ok(url) => Ok(Box::new(url)),
            Err(err) => Err(err.to_string()),
        };
        Self {
            id: None,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            text: url.to_owned(),
            url: parsed,
            first: None,
            own_key: None,
            reconnect: false,
        }
    }

    /// What was meant to be a request and is none; its outcome says why.
    pub fn invalid(text: &str, why: String) -> Self {
        Self { url: Err(why), ..Self::get(text) }
    }

    /// A line of input: a URL, or an object with `url` and perhaps `method`, `headers`, `body` and
    /// `id`. Method, headers and body that the line does not name are those of `defaults`.
    pub fn from_line(line: &str, number: usize, defaults: &Request) -> Self {
        let request = if line.starts_with('{') {
            // It may hold headers with secrets in them: nothing but its URL is ever shown.
            Self::from_json(line, defaults).unwrap_or_else(|why| Self::invalid(&url_in(line), why))
        } else {
            defaults.with_target(line)
        };
        let url = request.url.map_err(|why| format!("line {number}: {why}"));
        Self { url, ..request }
    }

    /// The same request for another URL. For the journal it is the URL alone: what all requests of a
    /// run have in common, such as a token in a header, may be another one in the next run.
    #[must_use]
    pub fn with_target(&self, url: &str) -> Self {
        let Self { id, method, headers, body, .. } = self;
        let (id, method, headers) = (id.clone(), method.clone(), headers.clone());
        let target = Self::get(url);
        let own_key = Some(target.key());
        Self { id, method, headers, body: body.clone(), own_key, ..target }
    }

    /// Where it goes.
    ///
    /// # Panics
    ///
    /// If it is no request: one without a URL is never sent.
    pub fn url(&self) -> &Url {
        self.url.as_ref().expect(SENT)
    }

    /// The URL that was asked for, before any redirect.
    pub(in crate::api_client) fn asked_for(&self) -> &Url {
        self.first.as_ref().unwrap_or_else(|| self.url.as_ref().expect(SENT))
    }

    /// Sends it elsewhere.
    pub(in crate::api_client) fn set_url(&mut self, url: Url) {
        let before = std::mem::replace(&mut self.url, Ok(Box::new(url))).ok();
        self.first = self.first.take().or(before);
    }

    /// Why it cannot be sent, if it cannot.
    pub(in crate::api_client) fn invalid_because(&self) -> Option<String> {
        if let Err(why) = &self.url {
            return Some(why.clone());
        }
        let length = self.headers.get(header::CONTENT_LENGTH)?;
        let right = length.to_str().ok().and_then(|length| length.parse().ok());
        (right != Some(self.body.len())).then(|| {
            let (given, is) = (String::from_utf8_lossy(length.as_bytes()), self.body.len());
            format!("the header Content-Length says {given}, but the body has {is} bytes")
        })
    }

    /// Whether a 304 is what it asks for.
    pub(in crate::api_client) fn is_conditional(&self) -> bool {
        let conditions = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
        conditions.iter().any(|name| self.headers.contains_key(name))
    }

    /// Whether it has no body where the method leads to expect one: some hosts wait for it unless
    /// they are told.
    pub(in crate::api_client) fn says_no_body(&self) -> bool {
        let expected = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        expected && self.body.is_empty() && !self.headers.contains_key(header::TRANSFER_ENCODING)
    }

    /// The URL as it was given, or what stood in its place, without the user and the password that
    /// may be in it.
    pub fn shown(&self) -> Cow<'_, str> {
        without_user(&self.text)
    }

    /// A fingerprint: requests with the same one ask for the same, whatever the flags of the run add.
    pub fn key(&self) -> u128 {
        self.own_key.unwrap_or_else(|| self.full_key())
    }

    /// The fingerprint of the whole request, as journals of version 1 hold it.
    pub(in crate::api_client) fn full_key(&self) -> u128 {
        let mut fields = Vec::with_capacity(self.text.len() + self.body.len() + 64);
        let mut field = |bytes: &[u8]| {
            fields.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            fields.extend_from_slice(bytes);
        };
        field(self.method.as_str().as_bytes());
        field(self.text.as_bytes());
        field(&self.body);
        for (name, value) in &self.headers {
            field(name.as_str().as_bytes());
            field(value.as_bytes());
        }
        match &self.id {
            Some(Id::Text(id)) => field(id.as_bytes()),
            Some(Id::Number(id)) => field(&id.to_le_bytes()),
            None => {}
        }
        xxh3_128(&fields) // in one go: a hash that is fed field by field has a large state
    }

    /// What its outcome is known by: its own id, or its place in the input.
    pub(in crate::api_client) fn id_or(&self, number: u64) -> Id {
        self.id.clone().unwrap_or(Id::Number(number.cast_signed()))
    }

    /// Whether sending it twice is as good as sending it once.
    pub(in crate::api_client) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key("idempotency-key")
    }

    fn from_json(line: &str, defaults: &Request) -> Result<Self, String> {
        let line: Line = serde_json::from_str(line).map_err(|err| without_value(&err))?;
        let mut own = Self::get(&line.url);
        let mut request = defaults.with_target(&line.url);
        own.id.clone_from(&line.id);
        request.id = line.id;
        if let Some(method) = line.method {
            own.method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
            request.method = own.method.clone();
        }
        for (name, value) in line.headers {
            let (name, value) = checked_header(&name, &value)?;
            own.headers.insert(name.clone(), value.clone());
            request.headers.insert(name, value);
        }
        if let Some(body) = line.body {
            own.body = Bytes::from(body);
            request.body = own.body.clone();
        }
        request.own_key = Some(own.full_key());
        Ok(request)
    }
}

/// What a line of JSON that is no request says about where it was to go.
fn url_in(line: &str) -> String {
    let line = serde_json::from_str::<serde_json::Value>(line).unwrap_or_default();
    line["url"].as_str().unwrap_or_default().to_owned()
}

/// What is wrong with a line, without the value that is wrong.
fn without_value(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let quotes = ['"', '`'];
    match (text.find(quotes), text.rfind(quotes)) {
        (Some(start), Some(end)) if text.starts_with("invalid ") => {
            format!("{}…{}", &text[..=start], &text[end..])
        }
        _ => text,
    }
}

/// `text`, which is or should have been a URL, without the user and the password in it.
pub(in crate::api_client) fn without_user(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text); // as nearly always: there is no user part without one
    }
    match Url::parse(text) {
        Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            Cow::Borrowed(text)
        }
        Ok(mut url) if url.has_host() => {
            // Neither can fail where there is a host.
            let _ = (url.set_username(""), url.set_password(None));
            Cow::Owned(url.into())
        }
        // No URL of the web: whatever stands before an @ may be meant as a user.
        _ => match text.rsplit_once('@') {
            Some((_, rest)) => Cow::Owned(format!("…@{rest}")),
            None => Cow::Borrowed(text),
        },
    }
}

/// Checks a header.
pub(in crate::api_client) fn checked_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let checked = name.trim().parse().map_err(|_| format!("`{name}` is no name of a header"))?;
    let value = value.trim().parse().map_err(|_| format!("the header `{name}` has a bad value"))?;
    Ok((checked, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_of_a_url_is_never_shown() {
        for (given, shown) in [
            ("http://a.example/x@y", "http://a.example/x@y"),
            ("http://ada:secret@a.example/x", "http://a.example/x"),
            ("http://secret@a.example", "http://a.example/"),
            (r"http:\\ada:secret@a.example\x", "http://a.example/x"),
            ("ftp://ada:secret@a.example/", "ftp://a.example/"),
            ("http://ada:secret@a.example:99999/", "…@a.example:99999/"),
            ("ada:secret@a.example", "…@a.example"),
        ] {
            assert_eq!(Request::get(given).shown(), shown, "{given}");
        }
    }

    #[test]
    fn a_bad_line_is_not_shown_with_the_secrets_in_it() {
        for line in [
            r#"{"url":"http://u:secret@h/","headers":"Bearer secret"}"#,
            r#"{"url":"http://u:secret@h/","headers":{"Authorization":["secret"]}}"#,
            r#"{"url":"http://u:secret@h/","header":{"Authorization":"secret"}}"#,
            r#"{"url":"http://u:secret@h/","headers":{"Authorization":"secret"}"#,
            r#"{"url":"http://u:secret@h/","headers":{"A":"secret\u0000"}}"#,
        ] {
            let request = Request::from_line(line, 7, &Request::get(""));
            let why = request.invalid_because().expect("it is no request");
            assert!(why.starts_with("line 7: "), "{why}");
            assert!(!why.contains("secret") && !request.shown().contains("secret"), "{request:?}");
        }
    }
}
