use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use url::Url;
use xxhash_rust::xxh3::xxh3_128;

use super::id::Id;
use super::json::{self, Line};

/// One request, as it was asked for. Even one that cannot be sent gets an outcome.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id in its outcome; without one, its place in the input, from 1.
    pub id: Option<Id>,
    /// `GET` if nothing else is said.
    pub method: Method,
    /// Sent as they are.
    pub headers: HeaderMap,
    /// Empty for no body.
    pub body: Bytes,
    text: String,
    /// The URL that it goes to now, or why it cannot be sent.
    url: Result<Box<Url>, String>,
    /// The URL before any redirect, if it was redirected.
    first: Option<Box<Url>>,
    /// Its fingerprint, if part of the request comes from the flags of the run.
    own_key: Option<u128>,
    /// Whether it has to go on a new connection.
    pub(in crate::api_client) reconnect: bool,
}

/// The longest URL, in bytes, that the types of HTTP can hold.
const LONGEST_URL: usize = 65_534;

const SENT: &str = "only a request with a URL is sent";

impl Request {
    /// A `GET` of `url`, which may be without its `http://`.
    pub fn get(url: &str) -> Self {
        let parsed = web_url(url).map_err(|err| err.to_string()).and_then(sendable).map(Box::new);
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

    /// An invalid request; its outcome says why.
    pub fn invalid(text: &str, why: String) -> Self {
        Self { url: Err(why), ..Self::get(text) }
    }

    /// A line of input: a URL, or an object with `url` and perhaps `method`, `headers`, a body and
    /// `id`. Method, headers and body that the line does not name are those of `defaults`; if no
    /// method is named, a body of its own makes it a `POST`.
    pub fn from_line(line: &str, number: usize, defaults: &Request) -> Self {
        let request = match line.as_bytes().first() {
            // It may hold headers with secrets in them: nothing but its URL is ever shown.
            Some(b'{') => Self::from_json(line, defaults)
                .unwrap_or_else(|why| Self::invalid(&json::url_in(line), why)),
            Some(b'"' | b'[') if !line.starts_with("[:") => json::text(line)
                .map_or_else(|why| Self::invalid("", why), |url| defaults.with_target(&url)),
            _ => defaults.with_target(line),
        };
        let url = request.url.map_err(|why| format!("line {number}: {why}"));
        Self { url, ..request }
    }

    /// The same request for another URL. The journal knows it by the URL alone: what all requests
    /// of a run share, such as a token in a header, may differ in the next run.
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
    /// If it is invalid: a request without a URL is never sent.
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

    /// Whether it asks for a 304, by a condition in its headers.
    pub(in crate::api_client) fn is_conditional(&self) -> bool {
        let conditions = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
        conditions.iter().any(|name| self.headers.contains_key(name))
    }

    /// Whether it has no body although its method usually has one: some hosts wait for a body
    /// unless told that there is none.
    pub(in crate::api_client) fn says_no_body(&self) -> bool {
        let expected = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        expected && self.body.is_empty() && !self.headers.contains_key(header::TRANSFER_ENCODING)
    }

    /// The URL as it was given, or what stood in its place, without the user and the password that
    /// may be in it.
    pub fn shown(&self) -> Cow<'_, str> {
        without_user(&self.text)
    }

    /// A fingerprint: requests with the same fingerprint ask for the same thing, whatever the flags
    /// of the run add.
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
            Some(Id::Number(id)) => match id.as_i64() {
                Some(id) => field(&id.to_le_bytes()),
                None => field(id.to_string().as_bytes()),
            },
            Some(Id::Truth(id)) => field(&[u8::from(*id)]),
            None => {}
        }
        xxh3_128(&fields) // in one call: a hasher that is fed field by field has a large state
    }

    /// The id in its outcome: its own, or its place in the input.
    pub(in crate::api_client) fn id_or(&self, number: u64) -> Id {
        self.id.clone().unwrap_or(Id::Number(number.into()))
    }

    /// Whether it is idempotent: sending it twice has the same effect as sending it once.
    pub(in crate::api_client) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key("idempotency-key")
    }

    fn from_json(line: &str, defaults: &Request) -> Result<Self, String> {
        let Line { url, id, method, headers, body } = json::parse(line)?;
        let mut own = Self::get(&url);
        let mut request = defaults.with_target(&url);
        if body.is_some() && request.method == Method::GET {
            request.method = Method::POST;
        }
        for name in headers.keys() {
            request.headers.remove(name);
        }
        for (name, value) in &headers {
            request.headers.append(name, value.clone());
        }
        own.headers = headers;
        own.id.clone_from(&id);
        request.id = id;
        if let Some(method) = method {
            own.method = method.clone();
            request.method = method;
        }
        if let Some(body) = body {
            own.body = body.clone();
            request.body = body;
        }
        request.own_key = Some(own.full_key());
        Ok(request)
    }
}

/// The URL, unless no request can be sent to it.
pub(in crate::api_client) fn sendable(url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("unsupported scheme `{}`: use http or https", url.scheme()));
    }
    let Some(host) = url.host_str() else { return Err("no host in the URL".to_owned()) };
    let of_hosts = |c: &char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]%".contains(*c);
    if let Some(other) = host.chars().find(|c| !of_hosts(c)) {
        return Err(format!("no host has a `{other}` in its name: remove it from the URL"));
    }
    let length = url.as_str().len();
    if length > LONGEST_URL {
        return Err(format!(
            "the URL has {length} bytes, and at most {LONGEST_URL} are sent: move some of it into a body"
        ));
    }
    Ok(url)
}

/// Reads a URL as a browser's address bar does: without a scheme it is one of http.
fn web_url(text: &str) -> Result<Url, url::ParseError> {
    let text = text.trim();
    let http = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let scheme = text.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(of_scheme));
    if scheme || http("http:") || http("https:") {
        return Url::parse(text);
    }
    Url::parse(&format!("http://{text}"))
}

/// `text`, which is or should have been a URL, without the user and the password in it.
pub(in crate::api_client) fn without_user(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text); // the usual case: without an @ there is no user part
    }
    match web_url(text) {
        Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            Cow::Borrowed(text)
        }
        Ok(mut url) if url.has_host() => {
            // Neither can fail where there is a host.
            let _ = (url.set_username(""), url.set_password(None));
            Cow::Owned(url.into())
        }
        // Not a web URL: any text before an @ may be a user and a password.
        _ => match text.rsplit_once('@') {
            Some((_, rest)) => Cow::Owned(format!("…@{rest}")),
            None => Cow::Borrowed(text),
        },
    }
}

/// A query parameter whose name contains one of these is masked as a secret.
const SECRETS: [&str; 8] = ["auth", "cred", "key", "passw", "secret", "session", "sig", "token"];

/// A URL without its user part, and with the secrets of its query masked: the query of a redirect
/// is often signed.
pub(in crate::api_client) fn masked(url: &Url) -> String {
    let mut url = url.clone();
    // Neither can fail where there is a host.
    let _ = (url.set_username(""), url.set_password(None));
    let secret = |parameter: &str| {
        let name = parameter.split('=').next().unwrap_or_default().to_lowercase();
        SECRETS.iter().any(|secret| name.contains(secret))
    };
    let query = url.query().filter(|query| query.split('&').any(secret)).map(|query| {
        let mask = |parameter: &str| match parameter.split_once('=') {
            Some((name, _)) if secret(parameter) => format!("{name}=***"),
            _ => parameter.to_owned(),
        };
        query.split('&').map(mask).collect::<Vec<_>>().join("&")
    });
    if let Some(query) = query {
        url.set_query(Some(&query));
    }
    url.into()
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
            ("ada:secret@a.example", "http://a.example/"),
            ("ada:secret@", "…@"),
        ] {
            assert_eq!(Request::get(given).shown(), shown, "{given}");
        }
    }

    #[test]
    fn the_secrets_of_a_query_are_masked() {
        let url = "https://ada:secret@a.example/x?page=2&api_key=secret&X-Amz-Signature=secret#y";
        let masked = masked(&Url::parse(url).expect("a URL"));
        assert_eq!(masked, "https://a.example/x?page=2&api_key=***&X-Amz-Signature=***#y");
    }

    #[test]
    fn a_url_is_read_as_a_browser_reads_it() {
        for (given, sent) in [
            ("a.example", "http://a.example/"),
            ("a.example:8080/x", "http://a.example:8080/x"),
            ("localhost:80/to?url=http://b.example/", "http://localhost/to?url=http://b.example/"),
            ("HTTPS://A.example", "https://a.example/"),
            ("bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
            ("http://a.example/a b?c d#e", "http://a.example/a%20b?c%20d#e"),
            ("ada@a.example", "http://ada@a.example/"),
            (" a.example/x\n", "http://a.example/x"),
        ] {
            assert_eq!(Request::get(given).url().as_str(), sent, "{given}");
        }
        let (quote, long) = (r#"a.exa"mple"#, format!("a.example/{}", "x".repeat(70_000)));
        for (given, why) in [(quote, "`\"` in its name"), (&long, "at most 65534")] {
            let refused = Request::get(given).invalid_because().expect("it cannot be sent");
            assert!(refused.contains(why), "{refused}");
        }
        for given in ["", "not a url", "ftp://a.example/", "http://", "a.example:x"] {
            assert!(Request::get(given).invalid_because().is_some(), "{given}");
        }
    }

    #[test]
    fn a_line_says_in_json_what_is_to_be_sent() {
        let line = |rest: &str| {
            Request::from_line(&format!("{{\"url\":\"a.example\",{rest}}}"), 1, &Request::get(""))
        };
        let json = line(r#""json": {"b": 1.50, "a": [true]}"#);
        assert_eq!(
            (json.method, &json.body[..]),
            (Method::POST, &b"{\"b\": 1.50, \"a\": [true]}"[..])
        );
        assert_eq!(json.headers["content-type"], "application/json");
        let binary = line(r#""body_base64": "AAH/", "method": "PUT""#);
        assert_eq!((binary.method, &binary.body[..]), (Method::PUT, &[0, 1, 255][..]));
        let twice = line(r#""headers": {"Accept": ["a/b", "c/d"], "X": "y"}"#);
        let accepts: Vec<_> = twice.headers.get_all("accept").iter().collect();
        assert_eq!(accepts, ["a/b", "c/d"]);
        for id in ["1", "-1", "1.5", "18446744073709551615", "\"a\"", "true"] {
            let request = line(&format!("\"id\": {id}"));
            assert_eq!(serde_json::to_string(&request.id).expect("JSON"), id);
        }
        assert_eq!(line(r#""id": null"#).id, None);
        for wrong in [
            r#""json": 1, "body": "x""#,
            r#""body_base64": "?""#,
            r#""methud": "PUT""#,
            r#""header": {}"#,
            r#""id": [1]"#,
            r#""attempts": 1, "method": "POST""#,
            r#""attempts": 1, "method": "DELETE", "has_body": true"#,
        ] {
            assert!(line(wrong).invalid_because().is_some(), "{wrong}");
        }
        let own = line(r#""customer": 5, "attempts": 1, "method": "GET", "error": null"#);
        assert_eq!(own.invalid_because(), None, "fields of others are left aside");
    }

    #[test]
    fn a_url_in_quotes_is_accepted_and_an_array_is_refused() {
        let read = |line| Request::from_line(line, 1, &Request::get(""));
        assert_eq!(read(r#""http://a.example/\u0062""#).url().as_str(), "http://a.example/b");
        assert_eq!(read("[::1]:80/x").url().as_str(), "http://[::1]/x");
        for line in ["[", r#"["http://a.example/"]"#, r#""http://a.example/","#, r#"[{"url":"#] {
            let why = read(line).invalid_because().expect("it is not a request");
            assert!(why.contains("jq -c"), "{why}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_refused_in_the_words_of_the_page() {
        for (fields, expected) in [
            (r#""id":[1]"#, "line 3: `id` is a string, a number, `true` or `false` at column "),
            (
                r#""headers":{"A":1}"#,
                "line 3: the value of a header is a string or an array of strings at column ",
            ),
        ] {
            let line = format!("{{\"url\":\"a.example\",{fields}}}");
            let why = Request::from_line(&line, 3, &Request::get("")).invalid_because();
            let why = why.expect("it is not a request");
            assert!(why.starts_with(expected), "{why}");
        }
    }

    #[test]
    fn a_bad_line_is_not_shown_with_the_secrets_in_it() {
        for line in [
            r#"{"url":"http://u:secret@h/","headers":"Bearer secret"}"#,
            r#"{"url":"http://u:secret@h/","headers":{"Authorization":[["secret"]]}}"#,
            r#"{"url":"http://u:secret@h/","header":{"Authorization":"secret"}}"#,
            r#"{"url":"http://u:secret@h/","headers":{"Authorization":"secret"}"#,
            r#"{"url":"http://u:secret@h/","headers":{"A":"secret\u0000"}}"#,
        ] {
            let request = Request::from_line(line, 7, &Request::get(""));
            let why = request.invalid_because().expect("it is not a request");
            assert!(why.starts_with("line 7: "), "{why}");
            assert!(!why.contains("secret") && !request.shown().contains("secret"), "{request:?}");
        }
    }
}
