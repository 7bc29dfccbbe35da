//! Which settings cannot work, alone or together.

use std::collections::HashSet;
use std::time::Duration;

use super::flags::Config;
use super::places::{is_http, is_stdout};

/// The smallest `--max-line` for Docker's logs, in bytes: a piece has 16 KiB, each byte may take
/// six as an escape, and JSON surrounds it. A shorter limit could cut a piece itself.
const DOCKER_LINE: u64 = 128 << 10;

impl Config {
    /// Whether a setting has no effect without an HTTP sink.
    fn of_http(&self) -> bool {
        let is_sent = self.http_body.is_some() || self.http_compression.is_some();
        let is_bounded = self.http_batch.is_some() || self.http_timeout.is_some();
        !self.http_header.is_empty() || is_sent || is_bounded
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let mut places = HashSet::new();
        let twice = self.sinks().find(|(name, ..)| !is_stdout(name) && !places.insert(*name));
        let twice = twice.map_or("", |(name, ..)| name);
        let (policies, outs) = (self.policy.len(), self.out.len());
        let nats = (self.nats.is_some(), self.stream.is_some(), self.consumer.is_some());
        let zero = self.workers == Some(0) || self.max_keys == Some(0);
        let max_line = self.max_line.unwrap_or_default().as_u64();
        let id_field = self.id_field.as_deref().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-@$".contains(c);
        let has_http = self.sinks().any(|(name, ..)| is_http(name));
        let of_docker = self.unwrap.as_deref() == Some("docker");
        let mut columns = HashSet::new();
        let names = self.columns();
        let column = names.iter().find(|name| !columns.insert(*name));
        let rules: [(bool, String); 15] = [
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
            (
                !has_http && self.of_http(),
                "--http-header, --http-body, --http-compression, --http-batch and --http-timeout \
                 are for an HTTP sink; add one, such as --out http://HOST:PORT/PATH"
                    .into(),
            ),
            (!twice.is_empty(), format!("two outputs go to {twice}; give each its own")),
        ];
        let broken = rules.into_iter().find(|(broken, _)| *broken);
        broken.map_or(Ok(()), |(_, problem)| Err(problem))
    }
}
