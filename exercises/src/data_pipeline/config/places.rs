//! Where events come from and where they go.

use std::path::Path;

use super::flags::{Config, WhenFull};

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
}

/// Whether events get their ids there: in all sinks but files and stdout, which get each event once
/// and byte for byte.
pub(crate) fn is_tagged(name: &str) -> bool {
    // A slip such as http:/host is no path: ./http:/host is.
    let schemes = ["http:", "https:", "tcp:", "nats:"];
    name.contains("://") || schemes.iter().any(|scheme| name.starts_with(scheme))
}

/// Whether a sink is an HTTP server.
pub(crate) fn is_http(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// The path of a sink that is a file.
pub(crate) fn sink_path(name: &str) -> Option<&Path> {
    (!is_stdout(name) && !is_tagged(name)).then_some(Path::new(name))
}

/// Whether a sink is the program's stdout. Opening it by name would cut a file behind it.
pub(crate) fn is_stdout(name: &str) -> bool {
    matches!(name, "-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1")
}
