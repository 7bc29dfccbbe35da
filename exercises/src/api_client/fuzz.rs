//! What must hold for any bytes at all; see `data_pipeline::fuzz`.

use std::io::Write;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

use super::input::lines::{parse, read_line};
use super::input::{Request, checked_header};
use super::output::{Journal, JournalError, Outcome, file_name};
use super::transport::follow;
use crate::policy::{Announced, Answer, Decision, Quota, Scheduler, Settings, Time, Turn};

/// Responses, each a status, headers and a blank line: the headers never stop a request for good
/// and never lose one.
pub fn hints(data: &[u8]) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut run = Run::new();
    for response in String::from_utf8_lossy(data).split("\n\n").take(50) {
        let (status, fields) = response.split_once('\n').unwrap_or((response, ""));
        let status = StatusCode::from_bytes(status.as_bytes());
        let fields = fields.lines().filter_map(|field| field.split_once(':'));
        let headers = fields.filter_map(|(name, value)| checked_header(name, value).ok());
        let headers: HeaderMap = headers.collect();
        let announced = Announced::read(&headers, now);
        let text = headers.get("retry-after").and_then(|value| value.to_str().ok());
        let digits = text.map(str::trim).filter(|text| !text.starts_with('+'));
        if let Some(seconds) = digits.and_then(|text| text.parse::<u32>().ok()) {
            let wait = Duration::from_secs(seconds.into());
            assert_eq!(announced.retry_after, Some(wait).filter(|wait| !wait.is_zero()));
        }
        if let Some(quotas) = slowly_read(&headers) {
            assert_eq!(announced.quotas, quotas);
        }
        let answer = Answer::of(status.unwrap_or(StatusCode::TOO_MANY_REQUESTS), &announced);
        run.answer(answer, &announced);
    }
}

/// The quotas of a single `RateLimit` without a policy, read letter by letter; `None` if there is
/// anything else, or if it is not of the simplest shape: `"name";r=1;t=2`, and more behind commas.
fn slowly_read(headers: &HeaderMap) -> Option<Vec<Quota>> {
    let mut others = headers.keys().map(HeaderName::as_str);
    if !others.all(|name| name == "ratelimit") || headers.len() != 1 {
        return None;
    }
    let text = headers.values().next()?.to_str().ok()?;
    let item = |item: &str| {
        let (name, fields) = item.strip_prefix('"')?.split_once("\";r=")?;
        let (remaining, seconds) = fields.split_once(";t=")?;
        let digits = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 9;
            if plain { text.parse::<u32>().ok() } else { None }
        };
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then_some(Quota {
            name: name.to_owned(),
            limit: None,
            remaining: digits(remaining)?.into(),
            reset: Duration::from_secs(digits(seconds)?.into()),
            window: None,
        })
    };
    text.split(", ").map(item).collect()
}

/// One request after the other, at one host.
struct Run {
    scheduler: Scheduler<()>,
    now: Time,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { scheduler: Scheduler::new(Settings::default()), now: Time::ZERO };
        run.add();
        run
    }

    fn add(&mut self) {
        self.scheduler.add(self.now, "host", (), true);
    }

    fn answer(&mut self, answer: Answer, announced: &Announced) {
        let mut pause = Duration::from_secs(1);
        for _ in 0..1000 {
            match self.scheduler.next(self.now) {
                Turn::Idle => unreachable!("a request waits"),
                Turn::GiveUp(..) => {
                    // The host may have asked to be left alone for years.
                    self.now += pause;
                    pause *= 2;
                    self.add();
                }
                Turn::At(later) => {
                    assert!(later > self.now, "it is not later");
                    self.now = later;
                }
                Turn::Send(job) => {
                    match self.scheduler.answered(self.now, job, answer, announced) {
                        Decision::Again => {}
                        Decision::Done(_) | Decision::GivenUp(..) => self.add(),
                    }
                    assert_eq!((self.scheduler.waiting(), self.scheduler.in_flight()), (1, 0));
                    return;
                }
            }
        }
        unreachable!("its turn never comes");
    }
}

/// An input file: each line that is not skipped is one request; none leaves the output directory,
/// and none shows a password.
pub fn requests(data: &[u8]) {
    let mut reader = data;
    let defaults = Request::get("");
    let mut lines = 0;
    while let Some(line) = read_line(&mut reader).expect("memory can be read") {
        lines += 1;
        let Some(request) = parse(&line, lines, &defaults) else { continue };
        assert_eq!(request.key(), request.clone().key());
        match request.invalid_because() {
            None => check_url(request.url()),
            Some(why) => {
                let known = [&format!("line {lines}: "), "the header Content-Length"];
                assert!(known.iter().any(|start| why.starts_with(*start)), "{why}");
            }
        }
    }
    assert_eq!(lines, data.split_inclusive(|byte| *byte == b'\n').count());
}

fn check_url(url: &Url) {
    assert!(matches!(url.scheme(), "http" | "https") && url.host_str().is_some(), "{url}");
    let (name, suffix) = file_name(url);
    let name = name + &suffix;
    let mut components = Path::new(&name).components();
    let only = (components.next(), components.next());
    assert!(matches!(only, (Some(Component::Normal(_)), None)), "{name:?} of {url}");
    assert!(name.len() < 200 && !name.starts_with('.'), "{name:?} of {url}");
}

/// A status, a URL, and where its response points: the call goes to the web or nowhere, and takes
/// no credentials to another origin.
pub fn redirects(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\n');
    let (Some(status), Some(url), Some(location)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Ok(status), Ok(url)) = (StatusCode::from_bytes(status.as_bytes()), Url::parse(url)) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "proxy-authorization", "host"] {
        headers.insert(name, http::HeaderValue::from_static("secret"));
    }
    let mut before = Request::get(url.as_str());
    if before.invalid_because().is_some() {
        return;
    }
    (before.method, before.headers, before.body) = (Method::POST, headers, "body".into());
    let mut call = before.clone();
    if follow(&mut call, status, location).is_err() {
        assert_eq!((call.url(), &call.headers), (before.url(), &before.headers));
        return;
    }
    assert!(matches!(call.url().scheme(), "http" | "https") && call.url().host_str().is_some());
    let left = call.headers.len();
    assert_eq!(left, if call.url().origin() == before.url().origin() { 3 } else { 0 });
}

/// Reads any journal, then one of our own that is torn at any byte: each complete line is one
/// fetched request, and the rest is cut off.
pub fn journals(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.as_file().write_all(data).expect("a temporary file can be written");
    match Journal::open(file.path(), true) {
        Ok(journal) => check_journal(&journal, file.path(), data),
        Err(JournalError::Foreign(..)) => {}
        Err(err) => unreachable!("{err}"),
    }
    file.as_file().set_len(0).expect("a temporary file can be cut");
    let journal = Journal::open(file.path(), false).expect("an empty one");
    for url in String::from_utf8_lossy(data).split('\n').take(3) {
        journal.record(&fetched(url)).expect("a temporary file can be written");
    }
    drop(journal);
    let whole = std::fs::read(file.path()).expect("it is there");
    let torn = &whole[..data.len() * 31 % whole.len()];
    std::fs::write(file.path(), torn).expect("a temporary file can be written");
    let journal = Journal::open(file.path(), true).expect("our own lines");
    check_journal(&journal, file.path(), torn);
}

fn check_journal(journal: &Journal, path: &Path, written: &[u8]) {
    let complete = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    assert_eq!(std::fs::read(path).expect("it is there"), &written[..complete]);
    let lines = written[..complete].split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!((journal.len(), journal.is_empty()), (lines, lines == 0));
}

fn fetched(url: &str) -> Outcome {
    let mut outcome: Outcome = serde_json::from_value(serde_json::json!({
        "id": 1, "url": url, "status": 200, "attempts": 1, "rejected": 0, "waited_ms": 0,
        "took_ms": 1, "bytes": 2, "file": null, "error": null,
    }))
    .expect("an outcome");
    outcome.key = Request::get(url).key();
    outcome
}
