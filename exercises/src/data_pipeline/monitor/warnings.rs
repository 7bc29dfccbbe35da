//! What a user should hear of while it runs, each once.

use std::fmt;
use std::io::{self, Write};

use crate::data_pipeline::secrets::without_users;

/// A condition is judged when it has seen so many events.
const ENOUGH: u64 = 100_000;

/// Writes a warning to stderr.
pub(crate) fn warn(what: fmt::Arguments<'_>) {
    // There is nobody left to tell if stderr is closed.
    let _ = writeln!(io::stderr().lock(), "warning: {}", without_users(&what.to_string()));
}

#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// The text of each condition, how many events it has seen and how many met it.
    conditions: Vec<(String, u64, u64)>,
    told_of_keys: bool,
    told_of_values: bool,
    told_of_letters: bool,
}

impl Warnings {
    pub(crate) fn new(conditions: impl IntoIterator<Item = String>) -> Self {
        let conditions = conditions.into_iter().map(|text| (text, 0, 0)).collect();
        Self { conditions, ..Self::default() }
    }

    /// A condition that keeps nothing or everything is probably not what was meant.
    pub(crate) fn conditions(&mut self, met: &[(u64, u64)]) {
        for ((text, seen, met), (more_seen, more_met)) in self.conditions.iter_mut().zip(met) {
            let before = *seen;
            (*seen, *met) = (*seen + more_seen, *met + more_met);
            if before < ENOUGH && *seen >= ENOUGH && (*met == 0 || *met == *seen) {
                let share = if *met == 0 { 0 } else { 100 };
                warn(format_args!("--where '{text}' has matched {share} % of {seen} events"));
            }
        }
    }

    /// Some keys went to `other`.
    pub(crate) fn keys(&mut self, overflow: u64) {
        if overflow > 0 && !std::mem::replace(&mut self.told_of_keys, true) {
            warn(format_args!("more keys than --max-keys: the further ones count as \"other\""));
        }
    }

    /// Some values are so large that quantiles may not be known.
    pub(crate) fn values(&mut self, beyond: u64) {
        if beyond > 0 && !std::mem::replace(&mut self.told_of_values, true) {
            warn(format_args!(
                "values of --p beyond 1e15: where more than 64 are counted, a quantile that falls \
                 on one is null"
            ));
        }
    }

    /// There are dead letters, and nobody keeps them.
    pub(crate) fn letters(&mut self, dead: u64, letters: &[u8]) {
        if dead > 0 && !std::mem::replace(&mut self.told_of_letters, true) {
            let first = String::from_utf8_lossy(&letters[..letters.len().min(200)]);
            let first = first.lines().next().unwrap_or_default();
            warn(format_args!(
                "some events cannot be parsed; --dead-letters FILE keeps them. The first: {first}"
            ));
        }
    }
}
