//! The settings of a run, from flags, from TOML, or from both: a key of the file is a flag without
//! its dashes, and the flag wins.

mod columns;
mod explain;
mod file;
mod flags;
mod places;
mod rules;

use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use toml::Table;

pub(crate) use columns::Total;
pub use file::located;
pub use flags::{Config, HttpBody, HttpCompression, WhenFull};
pub(crate) use places::{Content, is_http, is_stdout, is_tagged, sink_path};

/// The defaults, for what neither the flags nor the file set.
const DEFAULTS: &str = "time = 'ts'\ntime-format = 'auto'\ntime-zone = 'UTC'\nwindow = '1s'\nlateness = '2s'\nmax-keys = 10_000
max-line = '1MiB'\npolicy = ['block']\nid-field = '_source_id'\ndead-letters-max = '1GiB'
poll = '200ms'\nrotate-wait = '5s'\n";

/// The default `--idle` with `--follow`.
const IDLE: Duration = Duration::from_mins(1);

impl Config {
    /// The settings of the file, overridden by `self`, completed with the defaults and checked.
    pub fn load(self, file: Option<&Path>) -> Result<Self, String> {
        let mut table = file.map_or(Ok(Table::new()), file::read_table)?;
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
            return Err(format!("{flag} has no effect without windows; add --aggregates FILE"));
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
        let by = (!self.by.is_empty()).then_some("--by");
        let p = self.p.as_ref().map(|_| "--p");
        let q = (!self.q.is_empty()).then_some("--q");
        by.or(p).or(q).or_else(|| self.totals().next().map(|(total, _)| total.flag()))
    }
}

#[cfg(test)]
mod tests;
