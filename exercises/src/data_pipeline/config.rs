//! The settings of a run, from flags, from TOML, or from both: a key of the file is a flag without
//! its dashes, and the flag wins.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use common::duration;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// The defaults, for what neither the flags nor the file set.
const DEFAULTS: &str = "time = 'ts'\ntime-format = 'auto'\ntime-zone = 'UTC'\nwindow = '1s'\nlateness = '2s'\nmax-keys = 10_000
max-line = '1MiB'\npolicy = ['block']\nid-field = '_source_id'\ndead-letters-max = '1GiB'
poll = '200ms'\nrotate-wait = '5s'\n";

/// The smallest `--max-line` for Docker's logs, in bytes: a piece has 16 KiB, each byte may take
/// six as an escape, and JSON surrounds it. A shorter limit could cut a piece itself.
const DOCKER_LINE: u64 = 128 << 10;

/// The default `--idle` with `--follow`.
const IDLE: Duration = Duration::from_mins(1);

/// The settings of a run. [`Config::load`] completes them with the defaults.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Config {
    /// Read the files that match; repeat it for more patterns
    #[arg(long, value_name = "GLOB", help_heading = "Sources")]
    pub file: Vec<String>,

    /// Go on reading as the files grow and are rotated, and find new ones
    #[arg(long, help_heading = "Sources")]
    pub follow: bool,

    /// How often followed files are looked at [default: 200ms]
    #[arg(long, value_name = "SPAN", help_heading = "Sources", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub poll: Option<Duration>,

    /// Read a file that was renamed or deleted until nothing was added for this time [default: 5s]
    #[arg(long, value_name = "SPAN", help_heading = "Sources", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub rotate_wait: Option<Duration>,

    /// With a checkpoint, also take a last line without a line feed, instead of leaving it for the
    /// next run
    #[arg(long, help_heading = "Sources")]
    pub final_line: bool,

    /// Read stdin
    #[arg(long, help_heading = "Sources")]
    pub stdin: bool,

    /// Read lines from the TCP connections that come in here
    #[arg(long, value_name = "HOST:PORT", help_heading = "Sources")]
    pub listen: Option<String>,

    /// Take chunks from this NATS server, such as localhost:4222
    #[arg(long, value_name = "URL", help_heading = "Sources")]
    pub nats: Option<String>,

    /// The stream for --nats
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub stream: Option<String>,

    /// The durable consumer for --nats, which several workers share
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub consumer: Option<String>,

    /// Make events in memory, in this number of sources
    #[arg(long, value_name = "N", help_heading = "Sources")]
    pub generate: Option<u32>,

    /// Events a second of each generating source [default: as fast as it goes]
    #[arg(long, value_name = "N", help_heading = "Sources")]
    pub rate: Option<u32>,

    /// Take the event from inside each line: from the text of this field, or from a container's log
    /// as `docker` or `cri` (Kubernetes) writes it; the pieces of a long line are joined
    #[arg(long, value_name = "FIELD|docker|cri", help_heading = "Events")]
    pub unwrap: Option<String>,

    /// Keep events that meet this, such as 'status>=500'; all must hold
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Events")]
    #[serde(rename = "where")]
    pub conditions: Vec<String>,

    /// Add a field, such as 'seconds=millis/1000'
    #[arg(long, value_name = "NAME=FORMULA", help_heading = "Events")]
    pub derive: Vec<String>,

    /// The field with the event time [default: ts]
    #[arg(long, value_name = "FIELD", help_heading = "Events")]
    pub time: Option<String>,

    /// How times are written: auto knows ISO 8601, epoch numbers and the forms of web servers; or as
    /// strftime has it, such as '%d.%m.%Y %H:%M:%S' [default: auto]
    #[arg(long, value_name = "FORMAT", help_heading = "Events")]
    pub time_format: Option<String>,

    /// The zone of times that name none, such as Europe/Berlin or +01:00 [default: UTC]
    #[arg(long, value_name = "ZONE", help_heading = "Events")]
    pub time_zone: Option<String>,

    /// Count for each value of these fields [default: all events together]
    #[arg(long, value_name = "FIELD[,FIELD]", help_heading = "Windows")]
    pub by: Option<String>,

    /// The length of a window [default: 1s]
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub window: Option<Duration>,

    /// How far events of a source may be out of order [default: 2s]
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub lateness: Option<Duration>,

    /// The field whose quantiles to give
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub p: Option<String>,

    /// Which quantiles of --p: 0.999 is the column p99.9 [default: 0.5,0.99]
    #[arg(long, value_name = "SHARES", help_heading = "Windows", value_delimiter = ',')]
    pub q: Vec<f64>,

    /// Add up this field, in a column `sum_FIELD`; repeatable
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub sum: Vec<String>,

    /// The smallest value of this field, in a column `min_FIELD`; repeatable
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub min: Vec<String>,

    /// The largest value of this field, in a column `max_FIELD`; repeatable
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub max: Vec<String>,

    /// How many keys may be open over all windows; further ones go to `other` [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Windows")]
    pub max_keys: Option<usize>,

    /// Stop waiting for a source that was silent for this time, and close its windows [default: 60s
    /// with --follow]
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub idle: Option<Duration>,

    /// Longer lines are dead letters [default: 1MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Events")]
    pub max_line: Option<ByteSize>,

    /// Where kept events go: a file, -, or a URL; repeatable
    ///
    /// A URL is tcp://HOST:PORT or nats://HOST:PORT/STREAM[?compression=zstd].
    #[arg(long, value_name = "SINK", help_heading = "Sinks")]
    pub out: Vec<String>,

    /// Put this name and a / before the source in ids, if several machines have sources of the same
    /// name
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub node: Option<String>,

    /// The field for the id in events sent to TCP and NATS [default: `_source_id`]
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub id_field: Option<String>,

    /// What to do when a sink is slower than the sources; one for all sinks, or one for each
    #[arg(long, value_enum, help_heading = "Sinks")]
    pub policy: Vec<WhenFull>,

    /// The file for the windows, - for stdout
    #[arg(long, value_name = "FILE", help_heading = "Sinks")]
    pub aggregates: Option<String>,

    /// The file for the events that cannot be parsed
    #[arg(long, value_name = "FILE", help_heading = "Sinks")]
    pub dead_letters: Option<String>,

    /// The largest size of the file for the dead letters [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Sinks")]
    pub dead_letters_max: Option<ByteSize>,

    /// Threads that parse [default: one for each CPU]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub workers: Option<usize>,

    /// Save the state here every 250 ms, and resume from it
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub checkpoint: Option<PathBuf>,

    /// Give up the open windows of the checkpoint, so that the settings of windows may change
    #[arg(long, help_heading = "Run")]
    #[serde(skip)]
    pub reset_windows: bool,

    /// Live page and /metrics at PORT (of the loopback interface) or HOST:PORT
    #[arg(long, value_name = "ADDR", help_heading = "Run")]
    pub http: Option<String>,

    /// Answer requests for this host too, beside the address of --http and localhost
    #[arg(long, value_name = "HOST", help_heading = "Run")]
    pub http_host: Vec<String>,

    /// Stop after this time
    #[arg(long = "for", value_name = "SPAN", help_heading = "Run", value_parser = duration)]
    #[serde(rename = "for", with = "humantime_serde")]
    pub run_for: Option<Duration>,

    /// Lose the N-th chunk, to test that the ledger notices
    #[arg(long, value_name = "N", hide = true)]
    #[serde(skip)]
    pub lose_chunk: Option<u64>,
}

/// What to do with events when a sink's queue is full.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// Wait: the sources stop reading.
    #[default]
    Block,
    /// Leave them out, and count them.
    Drop,
}

/// What a window reports of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Sum,
    Min,
    Max,
}

impl Total {
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Sum => "--sum",
            Self::Min => "--min",
            Self::Max => "--max",
        }
    }
}

/// What a sink is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Lines,
    Windows,
    DeadLetters,
}

impl Content {
    /// The flag that names such a sink.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Lines => "--out",
            Self::Windows => "--aggregates",
            Self::DeadLetters => "--dead-letters",
        }
    }
}

impl Config {
    /// The settings of the file, overridden by `self`, completed with the defaults and checked.
    pub fn load(self, file: Option<&Path>) -> Result<Self, String> {
        let mut table = file.map_or(Ok(Table::new()), read_table)?;
        table.extend(self.table());
        let of_windows = ["by", "p", "q", "sum", "min", "max", "window"];
        let asks_for_windows = of_windows.iter().any(|key| table.contains_key(*key));
        for (key, value) in DEFAULTS.parse::<Table>().expect("the defaults are TOML") {
            table.entry(key).or_insert(value);
        }
        let config: Self = table.try_into().map_err(|err| err.to_string())?;
        let mut config =
            Self { lose_chunk: self.lose_chunk, reset_windows: self.reset_windows, ..config };
        if config.follow {
            config.idle.get_or_insert(IDLE); // a file may stay silent forever
        }
        if let (true, None, Some(flag)) =
            (!config.out.is_empty(), &config.aggregates, config.of_windows())
        {
            return Err(format!("{flag} is for windows; add --aggregates FILE for them to go to"));
        }
        if config.out.is_empty() && config.aggregates.is_none() {
            // No sink is set: the windows or the kept events go to stdout.
            if asks_for_windows {
                config.aggregates = Some("-".to_owned());
            } else {
                config.out.push("-".to_owned());
            }
        }
        config.workers.get_or_insert_with(|| available_parallelism().map_or(2, usize::from));
        config.check()?;
        Ok(config)
    }

    /// The first setting that has no effect without windows.
    fn of_windows(&self) -> Option<&'static str> {
        let (by, p) = (self.by.as_ref().map(|_| "--by"), self.p.as_ref().map(|_| "--p"));
        let q = (!self.q.is_empty()).then_some("--q");
        by.or(p).or(q).or_else(|| self.totals().next().map(|(total, _)| total.flag()))
    }

    /// The fields of --by.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.by.as_deref().map_or(Vec::new(), parts)
    }

    /// The quantiles: the columns' names, and the shares in billionths.
    pub(crate) fn quantiles(&self) -> Vec<(String, u64)> {
        let shares = if self.q.is_empty() { &[0.5, 0.99][..] } else { &self.q };
        let quantile = |share: &f64| {
            let billionths = (share * 1e9).round() as u64;
            (format!("p{}", billionths as f64 / 1e7), billionths)
        };
        shares.iter().map(quantile).collect()
    }

    /// The totals (sum, min, max), in the order of the columns.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (Total, &str)> {
        let all = [(Total::Sum, &self.sum), (Total::Min, &self.min), (Total::Max, &self.max)];
        all.into_iter().flat_map(|(total, fields)| fields.iter().map(move |text| (total, &**text)))
    }

    /// The names of the columns behind the count, as the windows show them.
    pub(crate) fn columns(&self) -> Vec<String> {
        let total = |(total, field): (Total, &str)| {
            format!("{}_{field}", total.flag().trim_start_matches('-'))
        };
        let quantiles = self.quantiles().into_iter().map(|(name, _)| name);
        quantiles.chain(self.totals().map(total)).collect()
    }

    /// What is set, by key.
    fn table(&self) -> Table {
        let mut table = Table::try_from(self).expect("settings are always TOML");
        let unset = [Value::Boolean(false), Value::Array(Vec::new())];
        table.retain(|_, value| !unset.contains(value));
        table
    }

    fn check(&self) -> Result<(), String> {
        let mut places = HashSet::new();
        let twice = self.sinks().find(|(name, ..)| !is_stdout(name) && !places.insert(*name));
        let twice = twice.map_or("", |(name, ..)| name);
        let (policies, outs) = (self.policy.len(), self.out.len());
        let nats = (self.nats.is_some(), self.stream.is_some(), self.consumer.is_some());
        let zero = self.workers == Some(0) || self.max_keys == Some(0);
        let max_line = self.max_line.unwrap_or_default().as_u64();
        let id_field = self.id_field.as_deref().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-@$".contains(c);
        let of_docker = self.unwrap.as_deref() == Some("docker");
        let mut columns = HashSet::new();
        let names = self.columns();
        let column = names.iter().find(|name| !columns.insert(*name));
        let rules: [(bool, String); 14] = [
            (
                self.sources().is_empty(),
                "there is no source; add --file, --stdin, --listen, --nats or --generate".into(),
            ),
            (
                !matches!(nats, (true, true, true) | (false, false, false)),
                "--nats, --stream and --consumer go together".into(),
            ),
            (
                self.nats.is_some() && cfg!(not(feature = "nats")),
                "this program was built without NATS; build it with --features nats".into(),
            ),
            (self.follow && self.file.is_empty(), "--follow needs a --file to follow".into()),
            (
                policies > 1 && policies != outs,
                format!("{policies} policies for {outs} sinks; give one, or one each"),
            ),
            (
                !self.q.iter().all(|share| (0.0..=1.0).contains(share)),
                "--q takes shares from 0 to 1, such as 0.5,0.9,0.999".into(),
            ),
            (!self.q.is_empty() && self.p.is_none(), "--q is for the field of --p; add it".into()),
            (
                column.is_some(),
                format!("two columns are called {}", column.map_or("", |name| name)),
            ),
            (zero, "--workers and --max-keys must be at least 1".into()),
            (
                self.window.is_some_and(|window| window < Duration::from_millis(1)),
                "--window must be at least 1ms".into(),
            ),
            (!(1..=1 << 30).contains(&max_line), "--max-line must be from 1 byte to 1GiB".into()),
            (
                of_docker && max_line < DOCKER_LINE,
                "--unwrap docker needs a --max-line of at least 128KiB: Docker cuts lines at 16 KiB, \
                 and escapes make these longer"
                    .into(),
            ),
            (
                id_field.is_empty() || !id_field.chars().all(is_name),
                format!("--id-field {id_field:?} is not a name of letters, digits, _ - @ and $"),
            ),
            (!twice.is_empty(), format!("two outputs go to {twice}; give each its own")),
        ];
        let broken = rules.into_iter().find(|(broken, _)| *broken);
        broken.map_or(Ok(()), |(_, problem)| Err(problem))
    }

    /// All sources, each with its kind. All files that match one pattern are one source here, and
    /// so are all connections of one listener.
    pub(crate) fn sources(&self) -> Vec<(String, &'static str)> {
        let mut sources: Vec<_> = self.file.iter().map(|glob| (glob.clone(), "file")).collect();
        sources.extend(self.stdin.then(|| ("stdin".to_owned(), "stdin")));
        sources.extend(self.listen.iter().map(|at| (format!("tcp://{at}"), "socket")));
        sources.extend(self.stream.iter().map(|stream| (format!("nats:{stream}"), "nats")));
        let generators = 1..=self.generate.unwrap_or(0);
        sources.extend(generators.map(|number| (format!("generator-{number}"), "generator")));
        sources
    }

    /// Whether the sources are live: they have no end yet, and go on as events happen.
    pub(crate) fn is_live(&self) -> bool {
        self.follow || self.listen.is_some() || self.nats.is_some() || self.generate.is_some()
    }

    /// All sinks: their place, what they take, and what to do when they are slow. Those of the
    /// accepted lines come first.
    pub(crate) fn sinks(&self) -> impl Iterator<Item = (&str, Content, WhenFull)> {
        let out = move |(at, name): (usize, _)| {
            let policy = self.policy.get(at).or(self.policy.first());
            (name, Content::Lines, policy.copied().unwrap_or_default())
        };
        let aggregates =
            self.aggregates.iter().map(|name| (name, Content::Windows, WhenFull::Block));
        let letters =
            self.dead_letters.iter().map(|name| (name, Content::DeadLetters, WhenFull::Block));
        let all = self.out.iter().enumerate().map(out).chain(aggregates).chain(letters);
        all.map(|(name, content, policy)| (name.as_str(), content, policy))
    }

    /// Complete settings as TOML, under comments that describe them in words.
    pub fn explain(&self) -> String {
        let list = |names: &[String], none: &str| match names {
            [] => none.to_owned(),
            names => names.join(", "),
        };
        let sources: Vec<_> = self.sources().into_iter().map(|(name, _)| name).collect();
        let mut lines = vec![format!("# reads   {}", list(&sources, "nothing"))];
        lines.extend(self.unwrap.iter().map(|from| match &**from {
            "docker" | "cri" => {
                format!("# unwraps the lines of a container's log, as {from} has them")
            }
            field => format!("# unwraps the text of {field}"),
        }));
        lines.push(format!("# keeps   {}", list(&self.conditions, "every event")));
        if !self.out.is_empty() {
            lines.push(format!("# writes  the kept lines to {}", self.out.join(", ")));
        }
        let table = self.table();
        if let Some(to) = &self.aggregates {
            let by = self.by.as_deref().map_or(String::new(), |by| format!(" for each {by}"));
            let quantiles: Vec<_> = self.quantiles().into_iter().map(|(name, _)| name).collect();
            let p = self.p.as_deref();
            let mut p =
                p.map_or(String::new(), |p| format!(", {} of {p}", quantiles.join(" and ")));
            for (total, field) in self.totals() {
                p += &format!(", {} of {field}", total.flag().trim_start_matches('-'));
            }
            let text = |key| table.get(key).and_then(Value::as_str).unwrap_or_default();
            let (window, time, late) = (text("window"), text("time"), text("lateness"));
            lines.push(format!("# counts  windows of {window} of {time}{by}{p}, into {to};"));
            lines.push(format!("#         an event may be {late} out of order in its source"));
        }
        lines.push(match &self.checkpoint {
            Some(path) => {
                format!("# resumes from {}; file to file is exactly once", path.display())
            }
            None => "# starts over in every run: there is no checkpoint".to_owned(),
        });
        // A line feed in a name would end the comment and begin a setting.
        for line in &mut lines {
            *line = line.replace(char::is_control, " ");
        }
        lines.push(table.to_string().trim_end().to_owned());
        lines.join("\n")
    }
}

/// Whether events get their ids there: in all sinks but files and stdout, which get each event once
/// and byte for byte.
pub(crate) fn is_tagged(name: &str) -> bool {
    name.contains("://")
}

/// The path of a sink that is a file.
pub(crate) fn sink_path(name: &str) -> Option<&Path> {
    (!is_stdout(name) && !is_tagged(name)).then_some(Path::new(name))
}

/// Splits a list at its commas, except those inside quotes and brackets.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, char) in list.char_indices() {
        match char {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}

/// Whether a sink is the program's stdout. Opening it by name would cut a file behind it.
pub(crate) fn is_stdout(name: &str) -> bool {
    matches!(name, "-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1")
}

/// Reads a TOML file; an error names the file and the line, shows the line with a caret, and says
/// which form is right.
fn read_table(file: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(file).map_err(|err| format!("{}: {err}", file.display()))?;
    let config = from_toml(&text, &|name| std::env::var(name).ok());
    let at = |(span, why): Wrong| format!("{}, {}", file.display(), place(&text, span, &why));
    config.map(|config| config.table()).map_err(at)
}

/// An invalid text in the file, and why.
type Wrong = (Range<usize>, String);

fn from_toml(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Config, Wrong> {
    let wrong = |err: toml::de::Error| (err.span().unwrap_or_default(), err.message().to_owned());
    let mut table = DeTable::parse(text).map_err(wrong)?;
    let flags = Config::augment_args(clap::Command::new("keys"));
    let lists = Table::try_from(Config::default()).expect("settings are always TOML");
    let mut forms = Vec::new();
    for (key, value) in table.get_mut().iter_mut() {
        let name = &**key.get_ref();
        let known = || flags.get_arguments().filter(|flag| !flag.is_hide_set());
        let Some(flag) = known().find(|flag| flag.get_long() == Some(name)) else {
            let keys = known().filter_map(clap::Arg::get_long);
            let near = |key: &str| strsim::jaro_winkler(name, key);
            let nearest = keys.max_by(|a, b| near(a).total_cmp(&near(b))).unwrap_or_default();
            return Err((
                key.span(),
                format!("unknown setting `{name}`; the nearest is `{nearest}`"),
            ));
        };
        let takes_value = flag.get_action().takes_values();
        let form = flag.get_value_names().and_then(<[_]>::first).filter(|_| takes_value);
        let form = form.map_or("true", |form| form);
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        forms.push((value.span(), format!("; expected {name} = {form}: {help}")));
        expand(value, variable)?;
        let is_list = lists.get(name).is_some_and(Value::is_array);
        if is_list && matches!(value.get_ref(), DeValue::String(_)) {
            let one = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
            let list = [Spanned::new(value.span(), one)].into_iter().collect();
            *value.get_mut() = DeValue::Array(list);
        }
    }
    Config::deserialize(toml::Deserializer::from(table)).map_err(|err| {
        let (span, why) = wrong(err);
        let form = forms.into_iter().find(|(of, _)| of.start <= span.start && span.end <= of.end);
        (span, why + &form.map(|(_, form)| form).unwrap_or_default())
    })
}

/// Replaces `${VAR}` and `${VAR:-x}` in texts.
fn expand(
    value: &mut Spanned<DeValue<'_>>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Wrong> {
    let span = value.span();
    let text = match value.get_mut() {
        DeValue::String(text) if text.contains("${") => text,
        DeValue::Array(items) => {
            return items.iter_mut().try_for_each(|item| expand(item, variable));
        }
        _ => return Ok(()),
    };
    let (mut made, mut rest) = (String::new(), &**text);
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((inside, after)) = behind.split_once('}') else {
            return Err((
                span,
                "`${` is not closed; a variable is ${NAME} or ${NAME:-x}".to_owned(),
            ));
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        // As in a shell: if there is a default, an empty variable counts as unset.
        let found = variable(name).filter(|found| default.is_none() || !found.is_empty());
        let Some(found) = found.or(default) else {
            let why = format!("the variable {name} is not set; ${{{name}:-x}} gives it a default");
            return Err((span, why));
        };
        made += before;
        made += &found;
        rest = after;
    }
    made += rest;
    *text = made.into();
    Ok(())
}

/// Where an error is in a text: the line's number, the line, and a caret under the place.
fn place(text: &str, span: Range<usize>, why: &str) -> String {
    let start = text.floor_char_boundary(span.start);
    let number = text[..start].matches('\n').count() + 1;
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default().replace(char::is_control, " ");
    let before = text[line_start..start].chars().count();
    format!("line {number}: {why}\n  {line}\n  {:before$}^", "")
}

/// Adds to the error of an expression the file and line where it stands.
pub fn located(file: Option<&Path>, refusal: &str) -> String {
    let expression = refusal.lines().nth(1).map(str::trim).filter(|text| !text.is_empty());
    let found = file.zip(expression).and_then(|(file, expression)| {
        let text = fs::read_to_string(file).ok()?;
        let number = text.lines().position(|line| line.contains(expression))? + 1;
        Some(format!("{}, line {number}: ", file.display()))
    });
    found.unwrap_or_default() + refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn flags_overrule_the_file() {
        let (_dir, path) = file("file = ['a']\nwindow = '5s'\nby = 'service'\nwhere = ['a>1']\n");
        let flags = Config { window: Some(Duration::from_secs(1)), ..Config::default() };
        let config = flags.load(Some(&path)).unwrap();
        assert_eq!(config.window, Some(Duration::from_secs(1)));
        assert_eq!(
            (config.by.as_deref(), &config.conditions[..]),
            (Some("service"), &["a>1".to_owned()][..])
        );
        assert_eq!(config.aggregates.as_deref(), Some("-"));
    }

    #[test]
    fn the_effective_settings_are_a_file_that_means_the_same() {
        let flags = Config { stdin: true, policy: vec![WhenFull::Drop], ..Config::default() };
        let config = flags.load(None).unwrap();
        let (_dir, path) = file(&config.explain());
        assert_eq!(Config::default().load(Some(&path)).unwrap(), config);
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let (_dir, path) = file("stdin = true\nwindow = 'soon'\n");
        let err = Config::default().load(Some(&path)).unwrap_err();
        assert!(err.contains("p.toml") && err.contains("line 2") && err.contains("soon"), "{err}");
        let (_dir, path) = file("fiel = ['a']\n");
        let err = Config::default().load(Some(&path)).unwrap_err();
        assert!(err.contains("fiel") && err.contains("line 1"), "{err}");
    }

    #[test]
    fn columns_are_named_by_what_they_hold_and_keys_are_split_at_their_commas() {
        let config = Config {
            by: Some("service, \"a,b\",lower(x)".into()),
            q: vec![0.5, 0.9, 0.999, 1.0],
            sum: vec!["bytes".into()],
            max: vec!["t.ms".into()],
            ..Config::default()
        };
        assert_eq!(config.keys(), ["service", "\"a,b\"", "lower(x)"]);
        let columns = ["p50", "p90", "p99.9", "p100", "sum_bytes", "max_t.ms"];
        assert_eq!(config.columns(), columns);
        assert_eq!(config.quantiles()[2].1, 999_000_000);
        assert_eq!(Config::default().columns(), ["p50", "p99"]);
    }

    #[test]
    fn a_list_of_one_may_be_written_as_that_one() {
        let (_dir, path) = file("file = 'a'\nwhere = 'a>1'\npolicy = 'drop'\nout = ['b', 'c']\n");
        let config = Config::default().load(Some(&path)).unwrap();
        assert_eq!((config.file, config.conditions), (vec!["a".into()], vec!["a>1".into()]));
        assert_eq!((config.policy, config.out.len()), (vec![WhenFull::Drop], 2));
    }

    #[test]
    fn variables_are_replaced_in_texts() {
        let of = |text: &str| {
            from_toml(text, &|name| match name {
                "DIR" => Some("/var/'x'".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            })
        };
        let config = of(
            "file = ['${DIR}/*.log', 'a$b{c}']\nwindow = '${SPAN:-5s}'\nnode = '${EMPTY:-n}${EMPTY}'\n",
        );
        let config = config.unwrap();
        assert_eq!(config.file, ["/var/'x'/*.log", "a$b{c}"]);
        assert_eq!(
            (config.window, config.node.as_deref()),
            (Some(Duration::from_secs(5)), Some("n"))
        );
        for (text, why) in [
            ("file = 'a'\nnode = '${NONE}'\n", "the variable NONE is not set; ${NONE:-x} gives"),
            ("file = 'a'\nnode = '${NONE'\n", "`${` is not closed; a variable is ${NAME} or"),
        ] {
            let (span, message) = of(text).unwrap_err();
            assert!(message.starts_with(why), "{message}");
            assert_eq!(&text[span][..3], "'${");
        }
    }

    #[test]
    fn an_error_in_a_file_has_its_line_a_caret_and_the_right_form() {
        for (text, message) in [
            (
                "file = 'a'\nmax_line = '1MiB'\n",
                "line 2: unknown setting `max_line`; the nearest is `max-line`\n  max_line = '1MiB'\n  ^",
            ),
            (
                "workers = 'two'\n",
                "line 1: invalid type: string \"two\", expected usize; expected workers = N: Threads that parse",
            ),
            (
                "\n follow = 'yes'",
                "line 2: invalid type: string \"yes\", expected a boolean; expected follow = true: Go on reading",
            ),
            ("file = ['a'", "line 1: "),
            ("window = 5\n", "\n  window = 5\n           ^"),
        ] {
            let (_dir, path) = file(text);
            let err = Config::default().load(Some(&path)).unwrap_err();
            assert!(
                err.contains(&format!("p.toml, {}", "line ")) && err.contains(message),
                "{err}"
            );
        }
        let (_dir, path) = file("stdin = true\nwhere = [\n  'a>x',\n]\n");
        let refusal = located(Some(&path), "invalid condition: why\n  a>x\n    ^");
        assert!(
            refusal.ends_with("p.toml, line 3: invalid condition: why\n  a>x\n    ^"),
            "{refusal}"
        );
        assert_eq!(located(None, "why\n  a>x"), "why\n  a>x");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let with = |change: fn(&mut Config)| {
            let mut config = Config { stdin: true, ..Config::default() };
            change(&mut config);
            config.load(None)
        };
        assert!(with(|_| ()).is_ok());
        assert!(with(|config| config.stdin = false).is_err());
        assert!(with(|config| config.follow = true).is_err());
        assert!(with(|config| config.workers = Some(0)).is_err());
        assert!(with(|config| config.policy = vec![WhenFull::Block; 2]).is_err());
        assert!(with(|config| config.window = Some(Duration::ZERO)).is_err());
        let short = with(|config| {
            (config.unwrap, config.max_line) = (Some("docker".into()), Some(ByteSize::kib(127)));
        });
        assert!(short.unwrap_err().contains("--unwrap docker needs a --max-line"));
        assert!(with(|config| config.id_field = Some("a.b".into())).is_err());
        let by = with(|config| (config.by, config.out) = (Some("k".into()), vec!["o".into()]));
        assert_eq!(by.unwrap_err(), "--by is for windows; add --aggregates FILE for them to go to");
        let q = |shares: &'static [f64]| {
            let config = Config { stdin: true, p: Some("v".into()), ..Config::default() };
            Config { q: shares.to_vec(), ..config }.load(None)
        };
        assert!(q(&[0.0, 1.0]).is_ok() && q(&[1.5]).is_err() && q(&[f64::NAN]).is_err());
        assert!(q(&[0.5, 0.5]).unwrap_err().contains("two columns are called p50"));
        assert!(with(|config| config.q = vec![0.5]).unwrap_err().contains("--p"));
        assert!(with(|config| config.out = vec!["same".into(), "same".into()]).is_err());
    }
}
