use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{ArgAction, Args as Group, Parser, ValueEnum};
use common::RecordFlags;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};

use super::values::{
    BODY_FROM_STDIN, Header, Secret, agent, as_is, count, form, header_line, in_flight, method,
    rate, referer, share, size, time, user,
};
use crate::api_client::output::{Format, Naming};
use crate::api_client::{Config, KeepHeaders, Limits, Request};
use crate::closed;
use crate::policy::{Rate, Settings};

/// Fetches many URLs as fast as their hosts allow, and loses none. Fetches one URL as curl does.
///
/// One URL alone: its body goes to stdout once it is complete, an error to stderr. More, or -i
/// FILE, or --format: a line for each request, and a summary. Without --rate it learns what each
/// host allows.
#[derive(Debug, Parser)]
#[command(name = "api-client", version, disable_help_flag = true, after_help = AFTER_HELP)]
#[command(override_usage = "api-client [OPTIONS] URL...\n       api-client [OPTIONS] -i FILE")]
pub(super) struct Args {
    /// What to fetch; `example.com` is `http://example.com`
    #[arg(value_name = "URL")]
    pub(super) urls: Vec<String>,

    /// Read requests from a file, `-` for stdin: a URL or a JSON object a line
    #[arg(short = 'i', long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,

    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    retry: RetryArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,

    #[command(flatten, next_help_heading = "Pictures")]
    pub(super) record: RecordFlags,

    /// The flags that most runs need, on one screen
    #[arg(short = 'h')]
    pub(super) short_help: bool,

    /// All flags, by groups
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,

    /// Panic in the N-th request that is sent
    #[arg(long, value_name = "N", hide = true)]
    pub(super) panic_at: Option<u64>,
}

/// The paths of stdout, on Linux and elsewhere.
const STDOUT: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Most symbolic links that are followed one after the other, as Linux does.
const MOST_LINKS: usize = 40;

const AFTER_HELP: &str = "\
Exit status: 0 all fetched, 1 some failed, 2 usage, 124 deadline, 130 cancelled.
Rates: 50/s, 1.5M/min, 10k/h, 1/d. Sizes: 64k, 10M, 1G, 2T (k is 1024). Times: 500ms, 30s, 5m, 1h.
The first Ctrl-C lets what is in flight finish and leaves the rest for --resume; the second, 300 ms
or more after it, exits.";

/// `-h`: what most runs need, on one screen.
pub(super) const SHORT_HELP: &str = "\
Fetches many URLs as fast as hosts allow, and loses none; one URL as curl does

  api-client URL                  its body to stdout (-o FILE, -O: into a file)
  api-client -i FILE|- [-o DIR]   a URL or a JSON object a line; a line for each

Requests    -X METHOD  -H 'NAME: VALUE'  -d TEXT|@FILE  --json TEXT|@FILE  -I
            -u USER:PASSWORD  -A AGENT  -e REFERER  --dry-run
Pace        -c N in flight (50)  --rate 50/s a host (learned)  --deadline 1h
Retries     --retries N (8)  --patience 5m  --retry-unsafe
Output      -o FILE|DIR  -O  --format table|ndjson  --keep-header NAME
            --fail-with-body  --summary full|json|none  -v  -s
            --journal FILE --resume: nothing is fetched twice
Connection  -x PROXY  -k  --cacert FILE  --compressed  --http1.1  --no-location
            --connect-timeout 10s  --stall-timeout 30s  -m TIME  --max-body 10M

Exit status: 0 all fetched, 1 some failed, 2 usage, 124 deadline, 130 cancelled
Rates: 50/s 1.5M/min 10k/h 1/d    Sizes: 64k 10M 1G 2T    Times: 500ms 30s 5m 1h
--help tells all of every flag.";

#[derive(Debug, Group)]
#[command(next_help_heading = "Requests")]
struct RequestArgs {
    /// The method [default: GET, or POST with a body]
    #[arg(short = 'X', long = "request", alias = "method", value_name = "METHOD", value_parser = method)]
    method: Option<Method>,

    /// A header of every request, such as 'Accept: application/json'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header_line)]
    headers: Vec<Header>,

    /// A form's body; @FILE reads it without its line ends, @- from stdin; several are joined by &
    #[arg(short = 'd', long = "data", alias = "data-ascii", group = "body")]
    #[arg(value_name = "TEXT", value_parser = form)]
    data: Vec<Bytes>,

    /// The same, but a leading @ is text
    #[arg(long, value_name = "TEXT", group = "body")]
    data_raw: Vec<String>,

    /// The same, but @FILE is sent unchanged
    #[arg(long, value_name = "TEXT", value_parser = as_is, group = "body")]
    data_binary: Vec<Bytes>,

    /// A JSON body, or @FILE; sets Content-Type and Accept
    #[arg(long, value_name = "TEXT", value_parser = as_is, group = "body")]
    json: Vec<Bytes>,

    /// Ask for the head only; for one URL it is printed to stdout, with names in lower case
    #[arg(short = 'I', long, conflicts_with = "body")]
    head: bool,

    /// Basic authentication
    #[arg(short = 'u', long, value_name = "USER:PASSWORD", value_parser = user)]
    user: Option<Secret>,

    /// The User-Agent
    #[arg(short = 'A', long, value_name = "TEXT", value_parser = agent)]
    user_agent: Option<HeaderValue>,

    /// The Referer
    #[arg(short = 'e', long, value_name = "URL", value_parser = referer)]
    referer: Option<HeaderValue>,

    /// Print each request, its host and its file, and send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Pace")]
struct PaceArgs {
    /// How many requests may be in flight at once
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = in_flight)]
    concurrency: u32,

    /// How many threads do the work
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    threads: u32,

    /// The highest rate for each host, such as 50/s, 1.5M/min, 10k/h, 1/d [default: learned]
    #[arg(long, value_name = "N/UNIT", value_parser = rate)]
    rate: Option<f64>,

    /// How many may go at once after a pause [default: 2, or what 2 ms of the rate hold]
    #[arg(long, value_name = "N", requires = "rate", value_parser = count)]
    burst: Option<u32>,

    /// Lower the rate also for a 503 that does not mention rates
    #[arg(long)]
    adaptive: bool,

    /// Count all hosts together
    #[arg(long)]
    one_limit: bool,

    /// Pause the whole host for every `Retry-After`, not only for one of more than a second
    #[arg(long)]
    polite: bool,

    /// End the whole run after this long
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Retries")]
struct RetryArgs {
    /// How often a failed request is tried again; rejections and ill hosts do not count
    #[arg(long, visible_alias = "retry", value_name = "N", default_value = "8")]
    retries: u32,

    /// Give up a host that has been ill, or has rejected everything, for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    patience: Duration,

    /// The longest first backoff; it doubles with every try
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = time)]
    backoff: Duration,

    /// Give up at once a host that asks for a longer wait than this
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time)]
    max_retry_after: Duration,

    /// Retries a second, as a share of the requests; one a second is always allowed
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = share)]
    retry_budget: f64,

    /// Also retry requests that are not idempotent
    #[arg(long)]
    retry_unsafe: bool,

    /// The same seed gives the same jitter [default: another one in every run]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Group)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// The longest time to make a connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    connect_timeout: Duration,

    /// The longest wait for the next byte of a response
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    stall_timeout: Duration,

    /// The longest time for one attempt [default: as long as bytes come in]
    #[arg(short = 'm', long, value_name = "TIME", value_parser = time)]
    max_time: Option<Duration>,

    /// The longest body, such as 10M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_body: Option<u64>,

    /// Follow redirects (the default)
    #[arg(short = 'L', long = "location")]
    _location: bool,

    /// Do not follow redirects: the redirect is the answer
    #[arg(long, conflicts_with = "_location")]
    no_location: bool,

    /// How many redirects to follow
    #[arg(long, alias = "max-redirects", value_name = "N", default_value = "10")]
    max_redirs: u32,

    /// Trust every certificate
    #[arg(short = 'k', long)]
    pub(super) insecure: bool,

    /// Trust these certificates (PEM) instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,

    /// A proxy: http://, https://, socks4://, socks5:// or socks5h://; '' is none [default: the
    /// environment's]
    #[arg(short = 'x', long, value_name = "URL")]
    pub(super) proxy: Option<String>,

    /// Hosts that are asked without a proxy, such as a.example,10.0.0.0/8; * is all [default: the
    /// environment's]
    #[arg(long, value_name = "LIST")]
    pub(super) noproxy: Option<String>,

    /// Ask for a compressed body, and unpack it
    #[arg(long)]
    pub(super) compressed: bool,

    /// Use HTTP/1.1, not HTTP/2
    #[arg(long = "http1.1")]
    pub(super) http1: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Group)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Store one URL's body here, or `-` for stdout; those of more in this directory
    #[arg(short = 'o', long = "output", value_name = "FILE|DIR")]
    outputs: Vec<PathBuf>,

    /// Name each body as the last part of its URL
    #[arg(short = 'O', long)]
    remote_name: bool,

    /// Treat answers of 400 and more as failures (the default)
    #[arg(short = 'f', long = "fail")]
    _fail: bool,

    /// Keep the bodies of failed requests too: NAME.error, or stdout
    #[arg(long)]
    fail_with_body: bool,

    /// How outcomes are printed [default: table]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Include this header of each answer in the outcomes of --format ndjson
    #[arg(long, value_name = "NAME")]
    keep_header: Vec<HeaderName>,

    /// How the summary is printed, to stderr [default: text, with ten hosts]
    #[arg(long, value_enum)]
    summary: Option<SummaryFormat>,

    /// Print a line for each attempt to stderr
    #[arg(short, long)]
    pub(super) verbose: bool,

    /// No bar, no summary and no errors on stderr
    #[arg(short, long)]
    silent: bool,

    /// With -s, still print errors on stderr
    #[arg(short = 'S', long)]
    show_error: bool,

    /// Record what was fetched, in this file
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,

    /// Do not fetch again what the journal records
    #[arg(long, requires = "journal")]
    pub(super) resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SummaryFormat {
    /// With ten hosts at most, the slowest first
    Text,
    /// With all hosts
    Full,
    Json,
    None,
}

/// Where bodies go.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// They are counted and dropped.
    Nowhere,
    /// Into files of this directory.
    Directory(PathBuf, Naming),
    /// To stdout or a device such as /dev/null, once the body is complete.
    Printed(Option<PathBuf>),
}

impl Args {
    pub(super) fn threads(&self) -> usize {
        self.pace.threads as usize
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.pace.deadline
    }

    pub(super) fn dry_run(&self) -> bool {
        self.request.dry_run
    }

    /// The file of requests.
    pub(super) fn input(&self) -> Option<&Path> {
        self.inputs.first().map(PathBuf::as_path)
    }

    /// Whether this is one URL without a flag that asks for outcome lines: it is fetched as curl
    /// does.
    pub(super) fn is_one(&self) -> bool {
        let lines = self.input().is_some() || self.output.format.is_some();
        self.urls.len() == 1 && !lines && self.output.journal.is_none()
    }

    /// The format of the outcomes, if they are printed.
    pub(super) fn format(&self) -> Option<Format> {
        (!self.is_one()).then(|| self.output.format.unwrap_or(Format::Table))
    }

    pub(super) fn summary(&self) -> SummaryFormat {
        let quiet = self.is_one() || self.output.silent;
        let default = if quiet { SummaryFormat::None } else { SummaryFormat::Text };
        self.output.summary.unwrap_or(default)
    }

    pub(super) fn shows_progress(&self) -> bool {
        !self.output.silent
    }

    pub(super) fn shows_errors(&self) -> bool {
        !self.output.silent || self.output.show_error
    }

    /// Whether only the head of the answer is asked for.
    pub(super) fn prints_head(&self) -> bool {
        self.request.head && self.is_one()
    }

    pub(super) fn place(&self) -> Place {
        let OutputArgs { outputs, remote_name, .. } = &self.output;
        let naming = if *remote_name { Naming::LastPart } else { Naming::WholeUrl };
        let is_directory = |path: &Path| {
            path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") || *remote_name
        };
        match outputs.first() {
            None if *remote_name => Place::Directory(".".into(), naming),
            None if self.is_one() && !self.request.head => Place::Printed(None),
            None => Place::Nowhere,
            Some(path) if !self.is_one() || is_directory(path) => {
                Place::Directory(path.clone(), naming)
            }
            Some(path) if path == Path::new("-") => Place::Printed(None),
            Some(path) if is_open_already(path) || (path.exists() && !path.is_file()) => {
                Place::Printed(Some(path.clone()))
            }
            Some(path) => {
                let path = end_of_links(path);
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let directory = directory.unwrap_or(Path::new(".")).to_owned();
                let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
                Place::Directory(directory, Naming::Exactly(name))
            }
        }
    }

    /// What is wrong with the arguments, if anything is.
    pub(super) fn check(&self) -> Result<(), (ErrorKind, String)> {
        if self.urls.is_empty() && self.input().is_none() {
            let message = "nothing to fetch: give URLs, or a file of them with -i";
            return Err((ErrorKind::MissingRequiredArgument, message.to_owned()));
        }
        if let Some((_, message)) = self.conflicts().into_iter().find(|(is_there, _)| *is_there) {
            return Err((ErrorKind::ArgumentConflict, message.to_owned()));
        }
        let refused = self.request.headers.iter().find_map(|header| header.as_ref().err());
        let refused = refused.map(|why| format!("--header: {why}"));
        let user = self.request.user.as_ref().and_then(|user| user.0.as_ref().err());
        let refused = refused.or(user.map(|why| format!("--user: {why}")));
        refused.map_or(Ok(()), |why| Err((ErrorKind::ValueValidation, why)))
    }

    /// What cannot be done together or here, and what to do instead.
    fn conflicts(&self) -> [(bool, &'static str); 8] {
        let OutputArgs { outputs, remote_name, .. } = &self.output;
        let requests_from_stdin = self.input() == Some(Path::new("-"));
        let body_from_stdin = BODY_FROM_STDIN.load(Ordering::Relaxed);
        let to_stdout = outputs.iter().any(|output| output == Path::new("-"));
        [
            (
                outputs.len() > 1,
                "-o is given more than once, and is not paired with URLs here: give one directory \
                 for the bodies of all, or run it once for each file",
            ),
            (
                self.inputs.len() > 1,
                "-i is given more than once: write cat FILE FILE | api-client -i -",
            ),
            (
                to_stdout && *remote_name,
                "-O names a file and -o - is stdout: leave one of them out",
            ),
            (
                to_stdout && !self.is_one(),
                "-o - prints the body of one URL, and here stdout gets a line for each outcome: \
                 give a directory for the bodies, such as -o bodies",
            ),
            (
                self.request.head && (*remote_name || !(outputs.is_empty() || to_stdout)),
                "-I gets no body for a file: the head of one URL goes to stdout, so write > FILE; \
                 for several use --format ndjson with --keep-header NAME",
            ),
            (
                requests_from_stdin && body_from_stdin,
                "stdin holds either the requests (-i -) or the body (@-): \
                 give one of them as a file",
            ),
            (
                closed::stdin() && (requests_from_stdin || body_from_stdin),
                "stdin is closed: there is nothing to read from it; give a file",
            ),
            (
                closed::stdout() && self.prints(),
                "stdout is closed: there is nowhere to print to; open it, or give -o FILE for one \
                 URL",
            ),
        ]
    }

    /// Whether anything goes to stdout.
    fn prints(&self) -> bool {
        let is_stdout = |path: &PathBuf| STDOUT.iter().any(|stdout| path == Path::new(stdout));
        self.format().is_some()
            || self.dry_run()
            || self.prints_head()
            || matches!(self.place(), Place::Printed(to) if to.as_ref().is_none_or(is_stdout))
    }

    /// The defaults for what a line of input does not say.
    pub(super) fn defaults(&self) -> Request {
        let args = &self.request;
        let mut request = Request::get("");
        for (name, value) in args.headers.iter().flatten() {
            request.headers.append(name, value.clone());
        }
        let mut default = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value
                && !request.headers.contains_key(&name)
            {
                request.headers.insert(name, value);
            }
        };
        let basic = args.user.as_ref().and_then(|user| user.0.as_ref().ok()).map(|user| {
            let basic = format!("Basic {}", STANDARD.encode(user));
            let mut basic = HeaderValue::try_from(basic).expect("base64 is a header value");
            basic.set_sensitive(true);
            basic
        });
        default(AUTHORIZATION, basic);
        default(USER_AGENT, args.user_agent.clone());
        default(REFERER, args.referer.clone());
        let raw = args.data_raw.iter().map(|text| Bytes::from(text.clone()));
        let form: Vec<_> = args.data.iter().cloned().chain(raw).collect();
        let form = [&form[..], &args.data_binary].concat();
        if !form.is_empty() {
            let of_forms = HeaderValue::from_static("application/x-www-form-urlencoded");
            default(CONTENT_TYPE, Some(of_forms));
        }
        if !args.json.is_empty() {
            let json = HeaderValue::from_static("application/json");
            default(CONTENT_TYPE, Some(json.clone()));
            default(ACCEPT, Some(json));
        }
        let has_body = !form.is_empty() || !args.json.is_empty();
        request.body = if form.is_empty() { args.json.concat() } else { form.join(&b'&') }.into();
        let method = match () {
            () if args.head => Method::HEAD,
            () if has_body => Method::POST,
            () => Method::GET,
        };
        request.method = args.method.clone().unwrap_or(method);
        request
    }

    /// The client's settings, with no more than `most` requests in flight.
    pub(super) fn config(&self, most: usize) -> Config {
        let PaceArgs { concurrency, adaptive, one_limit, polite, .. } = self.pace;
        let RetryArgs { retries, backoff, max_retry_after, patience, .. } = self.retry;
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
        let args = &self.connection;
        let limits = Limits {
            connect: args.connect_timeout,
            stall: args.stall_timeout,
            max_time: args.max_time,
            max_body: args.max_body.unwrap_or(u64::MAX),
            max_redirects: (!args.no_location).then_some(args.max_redirs),
        };
        let keep_headers = if self.prints_head() {
            KeepHeaders::All
        } else {
            KeepHeaders::Named(self.output.keep_header.clone())
        };
        let (output, naming) = match self.place() {
            Place::Directory(directory, naming) => (Some(directory), naming),
            Place::Nowhere | Place::Printed(_) => (None, Naming::WholeUrl),
        };
        let keep_failed = self.output.fail_with_body;
        Config { policy, limits, output, naming, keep_failed, keep_headers, one_limit }
    }

    /// The default burst. With a burst of 1, each late wake-up loses a slot, and the clock ticks in
    /// milliseconds.
    fn burst(&self, rate: f64) -> u32 {
        self.pace.burst.unwrap_or((rate * 0.002).ceil().max(2.0) as u32)
    }
}

/// Where a symbolic link leads to, even if nothing is there: a file is written through it.
fn end_of_links(path: &Path) -> PathBuf {
    let next = |path: &PathBuf| path.read_link().ok().map(|link| path.with_file_name(link));
    let links = std::iter::successors(Some(path.to_owned()), next).take(MOST_LINKS);
    links.last().expect("the path itself")
}

/// Whether the path names a descriptor of the process, such as /dev/stdout: such a file is written
/// to, never replaced.
fn is_open_already(path: &Path) -> bool {
    let streams = ["/dev/stdout", "/dev/stderr"].map(Path::new);
    let descriptors = ["/dev/fd", "/proc/self/fd"].map(Path::new);
    streams.contains(&path) || path.parent().is_some_and(|parent| descriptors.contains(&parent))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_short_help_fits_on_one_screen_and_names_no_flag_that_is_not_there() {
        assert!(SHORT_HELP.lines().count() < 24);
        assert!(SHORT_HELP.lines().all(|line| line.chars().count() <= 80));
        let command = Args::command();
        let is_there = |flag: &str| {
            command.get_arguments().any(|arg| {
                arg.get_long().is_some_and(|long| flag == format!("--{long}"))
                    || arg.get_short().is_some_and(|short| flag == format!("-{short}"))
            })
        };
        let words = SHORT_HELP.split(|c: char| c.is_whitespace() || "(),:[]".contains(c));
        let flags: Vec<_> = words.filter(|word| word.starts_with('-') && word.len() > 1).collect();
        assert!(flags.len() > 30, "{flags:?}");
        for flag in flags {
            assert!(is_there(flag), "{flag}");
        }
    }
}
