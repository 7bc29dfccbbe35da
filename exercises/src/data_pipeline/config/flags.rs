//! The settings of a run: each is a flag, and a key of the TOML file.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use common::duration;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

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

    /// How often to check followed files [default: 200ms]
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

    /// Count for each value of these fields; repeatable [default: all events together]
    #[arg(long, value_name = "FIELD[,FIELD]", help_heading = "Windows")]
    pub by: Vec<String>,

    /// The length of a window [default: 1s]
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub window: Option<Duration>,

    /// How far events of a source may be out of order [default: 2s]
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub lateness: Option<Duration>,

    /// The field to compute quantiles of
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub p: Option<String>,

    /// Which quantiles of --p: 0.999 is the column p99.9 [default: 0.5,0.99]
    #[arg(long, value_name = "SHARE[,SHARE]", help_heading = "Windows", value_delimiter = ',')]
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
    /// A URL is tcp://HOST:PORT, nats://HOST:PORT/STREAM[?compression=zstd], or of an HTTP server.
    #[arg(long, value_name = "SINK", help_heading = "Sinks")]
    pub out: Vec<String>,

    /// Put this name and a / before the source in ids, if several machines have sources of the same
    /// name
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub node: Option<String>,

    /// The field for the id in events sent to TCP, NATS and HTTP [default: `_source_id`]
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

    /// A header of each request; repeatable. Its value is never shown
    #[arg(long, value_name = "NAME: VALUE", help_heading = "HTTP sinks")]
    pub http_header: Vec<String>,

    /// Send the lines as NDJSON or as one JSON array [default: ndjson]
    #[arg(long, value_enum, help_heading = "HTTP sinks")]
    pub http_body: Option<HttpBody>,

    /// Compress the bodies
    #[arg(long, value_enum, help_heading = "HTTP sinks")]
    pub http_compression: Option<HttpCompression>,

    /// Most bytes of a body before it is compressed, unless one line is longer [default: 1MiB]
    #[arg(long, value_name = "SIZE", help_heading = "HTTP sinks")]
    pub http_batch: Option<ByteSize>,

    /// Send a request again that has no answer after this time [default: 1m]
    #[arg(long, value_name = "SPAN", help_heading = "HTTP sinks", value_parser = duration)]
    #[serde(with = "humantime_serde")]
    pub http_timeout: Option<Duration>,

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
    /// Drop events, and count them.
    Drop,
}

/// What the body of a request is.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpBody {
    /// One line for each event.
    Ndjson,
    /// A JSON array of the events.
    Array,
}

/// How a body is compressed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpCompression {
    /// As a gzip file.
    Gzip,
}

impl Config {
    /// What is set, by key.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::try_from(self).expect("settings are always TOML");
        let unset = [Value::Boolean(false), Value::Array(Vec::new())];
        table.retain(|_, value| !unset.contains(value));
        table
    }
}
