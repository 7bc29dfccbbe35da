//! A request and its answer, by reqwest.

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use rustls::CertificateError;

use crate::data_pipeline::config::{Config, HttpBody};
use crate::policy::Failing;
use crate::terminal::plain;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Unused connections are closed after this time: most servers keep theirs longer.
const IDLE: Duration = Duration::from_secs(4);

/// The defaults of `--http-batch` and `--http-timeout`.
const BATCH: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_mins(1);

/// Most bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// Most bytes of an answer that are shown of its head, and of its tail: some servers first show the
/// whole query, and say at the end what is wrong.
const SHOWN: usize = 200;

/// The header with a name for what is sent: the same whenever it is sent again.
const ID: HeaderName = HeaderName::from_static("idempotency-key");

/// Headers that follow from the body.
const OURS: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::TRANSFER_ENCODING, ID];

/// How lines are sent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Of every request.
    headers: HeaderMap,
    /// Whether a body is an array, instead of lines.
    pub(crate) is_array: bool,
    /// Whether it is a gzip file.
    pub(crate) is_packed: bool,
    /// Most bytes of a body, uncompressed.
    pub(crate) batch: usize,
    timeout: Duration,
    pub(crate) id_field: String,
}

/// What carries requests: [`Web`] in the program, a script in tests.
pub(crate) trait Post {
    /// Sends a body under its id, and waits for the whole answer.
    fn post(&self, body: Bytes, id: &str) -> impl Future<Output = Result<Reply, Failure>> + Send;
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// There was no answer, or not all of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) failing: Failing,
    pub(crate) why: String,
}

#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

impl Settings {
    /// # Errors
    ///
    /// Names a header that cannot be sent, and never its value.
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let is_array = config.http_body == Some(HttpBody::Array);
        let is_packed = config.http_compression.is_some();
        let mut headers = HeaderMap::new();
        for field in &config.http_header {
            let (name, value) = named(field)?;
            headers.append(name, value);
        }
        let kind = if is_array { "application/json" } else { "application/x-ndjson" };
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        if is_packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let batch = config.http_batch.map_or(BATCH, |size| size.as_u64()) as usize;
        let timeout = config.http_timeout.unwrap_or(TIMEOUT);
        if batch == 0 || timeout.is_zero() {
            return Err("--http-batch and --http-timeout must be above 0".to_owned());
        }
        let id_field = config.id_field.clone().unwrap_or_default();
        Ok(Self { headers, is_array, is_packed, batch, timeout, id_field })
    }
}

/// A header from `Name: value`.
fn named(field: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) =
        field.split_once(':').ok_or("a --http-header has no colon; expected 'Name: value'")?;
    let wrong = |why| format!("--http-header '{}' {why}", plain(name));
    let name = name.trim().parse::<HeaderName>().map_err(|_| wrong("is no name of a header"))?;
    if OURS.contains(&name) {
        return Err(wrong("follows from the body; leave it out"));
    }
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| wrong("has a value with characters that no header can have"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The URL of a sink.
pub(crate) fn url(name: &str) -> Result<Url, String> {
    let url = Url::parse(name).map_err(|err| format!("cannot write to {name}: {err}"))?;
    // The parser would take the first part of the path for the host.
    if name.contains(":///") {
        return Err(format!("cannot write to {name}: expected http://HOST:PORT/PATH, or https"));
    }
    Ok(url)
}

impl Web {
    pub(crate) fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        // Fails if the process has already chosen another provider, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("data-pipeline/", env!("CARGO_PKG_VERSION")))
            .build();
        let client =
            client.map_err(|err| format!("cannot write to {name}: {}", innermost(&err)))?;
        Ok(Self { client, url: url(name)?, headers: settings.headers.clone() })
    }
}

impl Post for Web {
    async fn post(&self, body: Bytes, id: &str) -> Result<Reply, Failure> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let sent = request.header(ID, id).body(body).send().await;
        let mut response = sent.map_err(|err| Failure::of(&err))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while body.len() < ANSWER
            && let Some(more) = response.chunk().await.map_err(|err| Failure::of(&err))?
        {
            body.extend_from_slice(&more);
        }
        Ok(Reply { status, headers, body })
    }
}

impl Failure {
    fn of(err: &reqwest::Error) -> Self {
        let failing = match () {
            () if err.is_connect() => Failing::Unreachable,
            () if err.is_request() && !err.is_timeout() => Failing::HungUp,
            () => Failing::Broken,
        };
        let why = if err.is_timeout() { "it takes too long".to_owned() } else { innermost(err) };
        Self { failing, why }
    }
}

/// The innermost cause, and what can be done about it.
fn innermost(err: &(dyn Error + 'static)) -> String {
    let mut cause = err;
    while let Some(inner) = inner(cause) {
        cause = inner;
    }
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let is_unknown = cause.downcast_ref::<rustls::Error>() == Some(&unknown);
    let remedy = if is_unknown { "; SSL_CERT_FILE=FILE trusts those in a file" } else { "" };
    format!("{cause}{remedy}")
}

fn inner<'e>(err: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    // The source of such an error is that of what is in it, and not what is in it.
    match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => err.source(),
    }
}

/// The status, and the head and the tail of the body on one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let body = String::from_utf8_lossy(self.body.trim_ascii());
        let head = body.floor_char_boundary(SHOWN);
        let tail = body.ceil_char_boundary(body.len().saturating_sub(SHOWN));
        match body.len() {
            0 => {}
            _ if tail <= head => write!(f, ": {}", plain(&*body))?,
            _ => write!(f, ": {} … {}", plain(&body[..head]), plain(&body[tail..]))?,
        }
        match self.headers.get(header::LOCATION) {
            Some(place) if self.status.is_redirection() => {
                write!(f, ", it points to {}", plain(OsStr::from_bytes(place.as_bytes())))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_nobody_vouches_for_has_its_remedy() {
        let shown = |why| {
            let err = io::Error::other(rustls::Error::InvalidCertificate(why));
            innermost(&io::Error::other(err))
        };
        let unknown =
            "invalid peer certificate: UnknownIssuer; SSL_CERT_FILE=FILE trusts those in a file";
        assert_eq!(shown(CertificateError::UnknownIssuer), unknown);
        assert!(!shown(CertificateError::Expired).contains("SSL_CERT_FILE"));
    }

    #[test]
    fn a_long_answer_is_shown_with_its_head_and_its_tail_on_one_line() {
        let shown = |body: &str| {
            let (status, headers) = (StatusCode::BAD_REQUEST, HeaderMap::new());
            Reply { status, headers, body: body.as_bytes().to_vec() }.to_string()
        };
        assert_eq!(shown(" \n"), "400 Bad Request");
        assert_eq!(shown("no\tA\n"), "400 Bad Request: no\\tA");
        let whole = "a".repeat(2 * SHOWN);
        assert_eq!(shown(&whole), format!("400 Bad Request: {whole}"));
        // A character of two bytes is at each cut.
        let long = format!("a{}{}b (at row 7)\n", "ä".repeat(300), "ö".repeat(300));
        let (head, tail) = ("ä".repeat(99), "ö".repeat(94));
        assert_eq!(shown(&long), format!("400 Bad Request: a{head} … {tail}b (at row 7)"));
    }
}
