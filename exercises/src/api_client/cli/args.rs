use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{Args as Group, Parser, ValueEnum};
use common::RecordFlags;
use http::{HeaderName, HeaderValue, Method};

use crate::api_client::input::checked_header;
use crate::api_client::output::Format;
use crate::api_client::policy::{Rate, Settings};
use crate::api_client::{Config, Limits, Request};

/// Fetches many URLs as fast as their hosts allow, and loses none.
///
/// Without --rate it learns what each host allows. Every request gets one line of outcome.
///
/// Exit status: 0 if all were fetched, 1 if some failed, 2 for a usage error, 124 if the deadline
/// passed, 130 if the run was cancelled.
#[derive(Debug, Parser)]
#[command(name = "api-client", version, after_help = AFTER_HELP)]
pub(super) struct Args {
    /// What to fetch
    #[arg(value_name = "URL")]
    pub(super) urls: Vec<String>,

    /// Read requests from a file, `-` for stdin: a URL or a JSON object a line
    #[arg(short = 'i', long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,

    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    retry: RetryArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,

    #[command(flatten, next_help_heading = "Pictures")]
    pub(super) record: RecordFlags,

    /// Panic in the N-th request that is sent
    #[arg(long, value_name = "N", hide = true)]
    pub(super) panic_at: Option<u64>,
}

const AFTER_HELP: &str = "A JSON object has `url`, and perhaps `method`, `headers`, `body`, `id`.
The first Ctrl-C ends what is in flight and keeps the rest for --resume; the second exits.";

/// A header, or what is wrong with it. clap would print a value that it refuses, and this one may
/// be a secret.
type Header = Result<(HeaderName, HeaderValue), String>;

#[derive(Debug, Group)]
#[command(next_help_heading = "Request")]
struct RequestArgs {
    /// The method of requests that name none [default: GET, or POST with -d]
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = method)]
    method: Option<Method>,

    /// A header of every request, such as 'Accept: application/json'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header_line)]
    headers: Vec<Header>,

    /// The body of requests that have none; @FILE takes it from a file
    #[arg(short = 'd', long = "data", value_name = "TEXT", value_parser = body)]
    body: Option<Bytes>,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Pace")]
struct PaceArgs {
    /// How many requests may be in flight at once
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = count)]
    concurrency: u32,

    /// How many threads do the work
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    threads: u32,

    /// The most that a host is asked for, such as 50/s, 600/m or 5000/h [default: learned]
    #[arg(long, value_name = "N/UNIT", value_parser = rate)]
    rate: Option<f64>,

    /// How many may go at once after a pause [default: 2, or what 2 ms of the rate hold]
    #[arg(long, value_name = "N", requires = "rate", value_parser = count)]
    burst: Option<u32>,

    /// Let the rate also be lowered by a 503 that does not speak of rates
    #[arg(long)]
    adaptive: bool,

    /// Count all hosts together
    #[arg(long)]
    one_limit: bool,

    /// Pause the whole host whenever it sends `Retry-After`, not only for more than a second
    #[arg(long)]
    polite: bool,

    /// Give a host up that has been ill, or has rejected everything, for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    patience: Duration,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Retries")]
struct RetryArgs {
    /// How often a request that fails by itself is tried again; rejections and ill hosts do not count
    #[arg(long, value_name = "N", default_value = "8")]
    retries: u32,

    /// The longest first backoff; it doubles with every try
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = time)]
    backoff: Duration,

    /// Give a host up at once that asks for a longer wait than this
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time)]
    max_retry_after: Duration,

    /// Retries a second, as a share of the requests; one a second is always allowed
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = share)]
    retry_budget: f64,

    /// Also try again what is not idempotent
    #[arg(long)]
    retry_unsafe: bool,

    /// Same seed, same jitter [default: another one in every run]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// For making a connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    connect_timeout: Duration,

    /// For the next byte of a response to come in
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    stall_timeout: Duration,

    /// For one attempt in all [default: as long as bytes come in]
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_time: Option<Duration>,

    /// For the whole run
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) deadline: Option<Duration>,

    /// The longest body, such as 10M
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_body: Option<u64>,

    /// How many redirects to follow
    #[arg(long, value_name = "N", default_value = "10")]
    max_redirects: u32,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Store the bodies here; without it they are counted and dropped
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// How outcomes are printed
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,

    /// How the summary is printed, to stderr
    #[arg(long, value_enum, default_value = "text")]
    pub(super) summary: SummaryFormat,

    /// Write down what was fetched
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,

    /// Fetch nothing again that the journal has
    #[arg(long, requires = "journal")]
    pub(super) resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SummaryFormat {
    Text,
    Json,
    None,
}

impl OutputArgs {
    pub(super) fn stores(&self) -> bool {
        self.output.is_some()
    }
}

impl Args {
    pub(super) fn threads(&self) -> usize {
        self.pace.threads as usize
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.limits.deadline
    }

    /// What is wrong with the arguments, if anything is.
    pub(super) fn check(&self) -> Result<(), (ErrorKind, String)> {
        if self.urls.is_empty() && self.input.is_none() {
            let message = "nothing to fetch: give URLs, or a file of them with -i";
            return Err((ErrorKind::MissingRequiredArgument, message.to_owned()));
        }
        let refused = self.request.headers.iter().find_map(|header| header.as_ref().err());
        refused.map_or(Ok(()), |why| Err((ErrorKind::ValueValidation, format!("--header: {why}"))))
    }

    /// What a line of input does not say itself.
    pub(super) fn defaults(&self) -> Request {
        let mut request = Request::get("");
        request.body = self.request.body.clone().unwrap_or_default();
        let method = if self.request.body.is_some() { Method::POST } else { Method::GET };
        request.method = self.request.method.clone().unwrap_or(method);
        for (name, value) in self.request.headers.iter().flatten() {
            request.headers.append(name, value.clone());
        }
        request
    }

    /// The client's settings, with no more than `most` requests in flight.
    pub(super) fn config(&self, most: usize) -> Config {
        let PaceArgs { concurrency, adaptive, one_limit, polite, patience, .. } = self.pace;
        let RetryArgs { retries, backoff, max_retry_after, .. } = self.retry;
        let policy = Settings {
            concurrency: most.min(concurrency as usize),
            rate: self.pace.rate.map(|rate| Rate { per_second: rate, burst: self.burst(rate) }),
            adaptive,
            polite,
            retries,
            backoff,
            max_retry_after,
            retry_budget: self.retry.retry_budget,
            retry_unsafe: self.retry.retry_unsafe,
            patience,
            seed: self.retry.seed.unwrap_or_else(rand::random),
            ..Settings::default()
        };
        let limits = Limits {
            connect: self.limits.connect_timeout,
            stall: self.limits.stall_timeout,
            max_time: self.limits.max_time,
            max_body: self.limits.max_body.unwrap_or(u64::MAX),
            max_redirects: self.limits.max_redirects,
        };
        Config { policy, limits, output: self.output.output.clone(), one_limit }
    }

    /// With a burst of 1 every slot is lost for which the clock wakes the client too late, and the
    /// clock ticks in milliseconds.
    fn burst(&self, rate: f64) -> u32 {
        self.pace.burst.unwrap_or((rate * 0.002).ceil().max(2.0) as u32)
    }
}

fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_| "a method is a word such as GET".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn header_line(text: &str) -> Result<Header, Infallible> {
    let parts = text.split_once(':').ok_or_else(|| "a header is written `Name: value`".to_owned());
    Ok(parts.and_then(|(name, value)| checked_header(name, value)))
}

fn body(text: &str) -> Result<Bytes, String> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned().into()) };
    std::fs::read(file).map(Bytes::from).map_err(|err| format!("cannot read {file}: {err}"))
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| (1..=65_536).contains(n)).ok_or("a number from 1 to 65536".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let rate = number.trim().parse::<f64>().unwrap_or(f64::NAN) / seconds;
    let sensible = (1e-6..=1e6).contains(&rate);
    if sensible { Ok(rate) } else { Err("a rate is written 50/s, 600/m or 5000/h".into()) }
}

fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    percent
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..=10.0).contains(share))
        .ok_or("a share is written 50%, and is no more than 1000%".into())
}

fn time(text: &str) -> Result<Duration, String> {
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

fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => Some(1),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
    size.ok_or("a size is written 4096, 64K, 10M or 1G".into())
}
