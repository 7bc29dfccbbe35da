//! What a run does, from flags, from TOML, or from both: a key of the file is a flag without its
//! dashes, and the flag wins.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};

/// The settings of a run. [`Config::load`] completes them with the defaults.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Read the files that match; repeat it for more patterns
    #[arg(long, value_name = "GLOB", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file: Vec<String>,

    /// Go on reading as the files grow and are rotated, and find new ones
    #[arg(long, help_heading = "Sources")]
    #[serde(skip_serializing_if = "is_false")]
    pub follow: bool,

    /// Read stdin
    #[arg(long, help_heading = "Sources")]
    #[serde(skip_serializing_if = "is_false")]
    pub stdin: bool,

    /// Read lines from the TCP connections that come in here
    #[arg(long, value_name = "HOST:PORT", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,

    /// Take chunks from this NATS server, such as localhost:4222
    #[arg(long, value_name = "URL", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,

    /// The stream for --nats
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,

    /// The durable consumer for --nats, which several workers share
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,

    /// Make events in memory, in so many sources
    #[arg(long, value_name = "N", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<u32>,

    /// Events a second of each generating source [default: as fast as it goes]
    #[arg(long, value_name = "N", help_heading = "Sources")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,

    /// Keep events that meet this, such as 'status>=500' or 'path~^/api'; repeated: all of them
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Stages")]
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,

    /// Add a field, such as 'seconds=millis/1000'
    #[arg(long, value_name = "NAME=FORMULA", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derive: Vec<String>,

    /// The field with the event time: RFC 3339, or epoch seconds or milliseconds [default: ts]
    #[arg(long, value_name = "FIELD", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,

    /// Count for each value of this field [default: all events together]
    #[arg(long, value_name = "FIELD", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,

    /// The length of a window [default: 1s]
    #[arg(long, value_name = "SPAN", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,

    /// How far events of a source may be out of order [default: 2s]
    #[arg(long, value_name = "SPAN", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Span>,

    /// The field whose p50 and p99 to give
    #[arg(long, value_name = "FIELD", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<String>,

    /// How many keys may be open over all windows; further ones go to `other` [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<usize>,

    /// Do not let a source hold windows open that has been silent for so long
    #[arg(long, value_name = "SPAN", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,

    /// Lines beyond this are dead letters [default: 1MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_line: Option<Size>,

    /// Threads that parse [default: one for each CPU]
    #[arg(long, value_name = "N", help_heading = "Stages")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,

    /// Where the events go that are kept: a file, -, tcp://HOST:PORT or nats://HOST:PORT/STREAM; repeatable
    #[arg(long, value_name = "SINK", help_heading = "Sinks")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,

    /// What to do when a sink is slower than the sources; one for all sinks, or one for each
    #[arg(long, value_enum, help_heading = "Sinks")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<Policy>,

    /// The file for the windows, - for stdout
    #[arg(long, value_name = "FILE", help_heading = "Sinks")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregates: Option<String>,

    /// The file for the events that cannot be parsed
    #[arg(long, value_name = "FILE", help_heading = "Sinks")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,

    /// Save the state here every 250 ms, and resume from it
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,

    /// Serve the live page and /metrics here: a port of the loopback interface, or HOST:PORT
    #[arg(long, value_name = "ADDR", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,

    /// Stop after this time
    #[arg(long = "for", value_name = "SPAN", help_heading = "Run")]
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub run_for: Option<Span>,

    /// Lose the N-th chunk, to see that the ledger notices
    #[arg(long, value_name = "N", hide = true)]
    #[serde(skip)]
    pub lose_chunk: Option<u64>,
}

/// What to do with events when a sink's queue is full.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Wait: the sources stop reading.
    #[default]
    Block,
    /// Leave them out, and count them.
    Drop,
}

impl Config {
    /// The settings of the file, overruled by `self`, completed with the defaults and checked.
    pub fn load(self, file: Option<&Path>) -> Result<Self, String> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(file) => read_table(file)?,
        };
        let lose_chunk = self.lose_chunk;
        table.extend(toml::Table::try_from(&self).map_err(|err| err.to_string())?);
        let mut config: Self = table.try_into().map_err(|err: toml::de::Error| err.to_string())?;
        config.lose_chunk = lose_chunk;
        config.complete();
        config.check()?;
        Ok(config)
    }

    /// Whether events are counted in windows.
    pub fn has_windows(&self) -> bool {
        self.aggregates.is_some()
    }

    /// Complete settings as TOML, under comments that say in words what they do.
    pub fn explain(&self) -> String {
        let list = |names: &[String], none: &str| match names {
            [] => none.to_owned(),
            names => names.join(", "),
        };
        let mut sources = self.file.clone();
        sources.extend(self.stdin.then(|| "stdin".to_owned()));
        sources.extend(self.listen.as_ref().map(|at| format!("TCP on {at}")));
        let nats = self.nats.as_ref().zip(self.stream.as_ref());
        sources.extend(nats.map(|(url, stream)| format!("the stream {stream} at {url}")));
        sources.extend(self.generate.map(|count| format!("{count} generators")));
        let mut lines = vec![
            format!("# reads   {}", list(&sources, "nothing")),
            format!("# keeps   {}", list(&self.conditions, "every event")),
        ];
        if !self.out.is_empty() {
            lines.push(format!("# writes  the kept lines to {}", self.out.join(", ")));
        }
        if let (Some(to), Some(window), Some(late)) = (&self.aggregates, self.window, self.lateness)
        {
            let by = self.by.as_deref().map_or(String::new(), |by| format!(" for each {by}"));
            let p = self.p.as_deref().map_or(String::new(), |p| format!(", p50 and p99 of {p}"));
            let time = self.time.as_deref().unwrap_or_default();
            lines.push(format!("# counts  windows of {window} of {time}{by}{p}, into {to};"));
            lines.push(format!("#         an event may be {late} out of order in its source"));
        }
        lines.push(match &self.checkpoint {
            Some(path) => {
                format!("# resumes from {}; file to file is exactly once", path.display())
            }
            None => "# starts over in every run: there is no checkpoint".to_owned(),
        });
        // A name with a line feed in it would go on as a setting.
        for line in &mut lines {
            *line = line.replace(char::is_control, " ");
        }
        let toml = toml::to_string(self).expect("settings are always TOML");
        lines.push(toml.trim_end().to_owned());
        lines.join("\n")
    }

    fn complete(&mut self) {
        let asks_for_windows = self.by.is_some() || self.p.is_some() || self.window.is_some();
        if self.out.is_empty() && self.aggregates.is_none() {
            // Nowhere to put anything: what was asked for goes to stdout.
            if asks_for_windows {
                self.aggregates = Some("-".to_owned());
            } else {
                self.out.push("-".to_owned());
            }
        }
        let cpus = || std::thread::available_parallelism().map_or(2, usize::from);
        self.time.get_or_insert_with(|| "ts".to_owned());
        self.window.get_or_insert_with(|| "1s".parse().expect("1s is a duration"));
        self.lateness.get_or_insert_with(|| "2s".parse().expect("2s is a duration"));
        self.max_keys.get_or_insert(10_000);
        self.max_line.get_or_insert(Size(1 << 20));
        self.workers.get_or_insert_with(cpus);
        if self.policy.is_empty() {
            self.policy.push(Policy::Block);
        }
    }

    fn check(&self) -> Result<(), String> {
        let streams = self.listen.is_some() || self.nats.is_some() || self.generate.is_some();
        let sources = !self.file.is_empty() || self.stdin || streams;
        let policies = self.policy.len();
        let outputs = self.out.iter().chain(&self.aggregates).chain(&self.dead_letters);
        let mut outputs: Vec<_> = outputs.collect();
        outputs.sort_unstable();
        outputs.retain(|name| *name != "-");
        let repeated = outputs.windows(2).find(|two| two[0] == two[1]);
        let problem = if !sources {
            "there is no source; add --file, --stdin, --listen, --nats or --generate".to_owned()
        } else if self.nats.is_some() != (self.stream.is_some() && self.consumer.is_some()) {
            "--nats, --stream and --consumer go together".to_owned()
        } else if self.nats.is_some() && cfg!(not(feature = "nats")) {
            "this program was built without NATS; build it with --features nats".to_owned()
        } else if self.follow && self.file.is_empty() {
            "--follow needs a --file to follow".to_owned()
        } else if policies > 1 && policies != self.out.len() {
            format!("{policies} policies for {} sinks; give one, or one each", self.out.len())
        } else if self.workers == Some(0) || self.max_keys == Some(0) {
            "--workers and --max-keys must be at least 1".to_owned()
        } else if self.window.is_some_and(|window| window.millis() == 0) {
            "--window must be at least 1ms".to_owned()
        } else if self.max_line.is_some_and(|size| size.0 == 0 || size.0 > 1 << 30) {
            "--max-line must be from 1 byte to 1GiB".to_owned()
        } else if let Some([name, ..]) = repeated {
            format!("two outputs go to {name}; give each its own file")
        } else {
            return Ok(());
        };
        Err(problem)
    }
}

/// Reads a TOML file; an error names the file, the line and what is wrong in it.
fn read_table(file: &Path) -> Result<toml::Table, String> {
    let named = |err: &dyn std::fmt::Display| format!("{}: {err}", file.display());
    let text = fs::read_to_string(file).map_err(|err| named(&err))?;
    // Read as what it is first: only here an error knows its line.
    toml::from_str::<Config>(&text).map_err(|err| named(&err))?;
    toml::from_str(&text).map_err(|err| named(&err))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
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
        let flags = Config { window: Some("1s".parse().unwrap()), ..Config::default() };
        let config = flags.load(Some(&path)).unwrap();
        assert_eq!(config.window.unwrap().to_string(), "1s");
        assert_eq!(
            (config.by.as_deref(), &config.conditions[..]),
            (Some("service"), &["a>1".to_owned()][..])
        );
        assert_eq!(config.aggregates.as_deref(), Some("-"));
    }

    #[test]
    fn the_effective_settings_are_a_file_that_means_the_same() {
        let flags = Config { stdin: true, policy: vec![Policy::Drop], ..Config::default() };
        let config = flags.load(None).unwrap();
        let (_dir, path) = file(&toml::to_string(&config).unwrap());
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
        assert!(with(|config| config.policy = vec![Policy::Block; 2]).is_err());
        assert!(with(|config| config.window = Some(Span(std::time::Duration::ZERO))).is_err());
        assert!(with(|config| config.out = vec!["same".into(), "same".into()]).is_err());
    }
}
