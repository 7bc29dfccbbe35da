//! Warnings to the user, each given once: on stderr, in a counter, and on the live page.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::stats::Stage;
pub(crate) use super::told::{Case, Told};
use crate::data_pipeline::config::{Config, Content};
use crate::data_pipeline::event::rows::Rows;
use crate::data_pipeline::secrets::without_users;
use crate::data_pipeline::state::ledger::Counts;

/// Events after which a condition is judged while the run goes on; at its end it always is.
const ENOUGH: u64 = 100_000;

/// Writes a warning to stderr.
pub(crate) fn warn(what: fmt::Arguments<'_>) {
    // If stderr is closed, the warning is lost.
    let _ = writeln!(io::stderr().lock(), "warning: {}", without_users(&what.to_string()));
}

/// The same, with a count and a place on the live page.
pub(crate) fn tell(told: &Told, case: Case, text: &str) {
    warn(format_args!("{text}"));
    told.add(case, text);
}

/// A warning that is still to be given.
#[derive(Debug)]
pub(crate) struct Warning {
    pub(crate) case: Case,
    /// What it is about, such as a source: for each case and subject it is given once.
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// A field that the settings name, and whether any event had it.
#[derive(Debug)]
struct Wanted {
    flag: &'static str,
    name: String,
    was_there: bool,
}

/// What a run has seen of the things that its settings name.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    told: Arc<Told>,
    once: BTreeSet<(Case, String)>,
    /// The text of each condition, how many events it has seen and how many met it.
    conditions: Vec<(String, u64, u64)>,
    /// The fields of --by, of --p and of the totals, where windows are counted.
    wanted: Vec<Wanted>,
    /// Events that the windows were given.
    rows: u64,
}

impl Warnings {
    pub(crate) fn new(config: &Config, told: Arc<Told>) -> Self {
        let by = config.keys().into_iter().map(|name| ("--by", name));
        let p = ("--p", config.p.as_deref().unwrap_or_default());
        let totals = config.totals().map(|(total, name)| (total.flag(), name));
        let wanted = by.chain([p]).chain(totals).map(|(flag, name)| Wanted {
            flag,
            name: name.to_owned(),
            was_there: name.is_empty(), // it is not wanted
        });
        Self {
            told,
            conditions: config.conditions.iter().map(|text| (text.clone(), 0, 0)).collect(),
            wanted: wanted.collect(),
            ..Self::default()
        }
    }

    /// Gives a warning, unless it was given before.
    pub(crate) fn tell(&mut self, warning: Warning) {
        let Warning { case, subject, text } = warning;
        if self.once.insert((case, subject)) {
            tell(&self.told, case, &text);
        }
    }

    fn once(&mut self, case: Case, text: impl FnOnce() -> String) {
        if !self.once.contains(&(case, String::new())) {
            self.tell(Warning { case, subject: String::new(), text: text() });
        }
    }

    /// For each condition, how many events of a chunk it has seen, and how many met it.
    pub(crate) fn conditions(&mut self, met: &[(u64, u64)]) {
        let mut enough = false;
        for ((_, seen, met), (more_seen, more_met)) in self.conditions.iter_mut().zip(met) {
            let before = *seen;
            (*seen, *met) = (*seen + more_seen, *met + more_met);
            enough |= before < ENOUGH && *seen >= ENOUGH;
        }
        if enough {
            self.judge(ENOUGH);
        }
    }

    /// Warns of a condition that keeps nothing or everything: it is probably a mistake.
    fn judge(&mut self, least: u64) {
        for (text, seen, met) in self.conditions.clone() {
            let all_or_nothing = match met {
                0 => "nothing in",
                met if met == seen => "all of",
                _ => continue,
            };
            if seen >= least {
                self.tell(Warning {
                    case: Case::ConditionMatchedAllOrNothing,
                    text: format!("--where '{text}' has matched {all_or_nothing} {seen} events"),
                    subject: text,
                });
            }
        }
    }

    /// Takes note of the rows that a chunk gives the windows.
    pub(crate) fn rows(&mut self, rows: &Rows) {
        self.rows += rows.list.len() as u64;
        for (wanted, had) in self.wanted.iter_mut().zip(&rows.had) {
            wanted.was_there |= had;
        }
    }

    /// Some keys went to `other`.
    pub(crate) fn keys(&mut self, overflow: u64) {
        if overflow > 0 {
            self.once(Case::KeysOverflow, || {
                "more keys than --max-keys: the further ones count as \"other\"".to_owned()
            });
        }
    }

    /// Some values are so large that quantiles may not be known.
    pub(crate) fn values(&mut self, beyond: u64) {
        if beyond > 0 {
            self.once(Case::ValuesBeyondRange, || {
                "values of --p beyond 1e15: where more than 64 are counted, a quantile that falls \
                 on one is null"
                    .to_owned()
            });
        }
    }

    /// Lines of `source` began with this many NULs.
    pub(crate) fn skipped(&mut self, source: &str, nuls: u64) {
        if nuls > 0 {
            self.once(Case::HolesSkipped, || {
                format!(
                    "{source}: NUL bytes at the head of a line are skipped, and counted in \
                     skipped_nul_bytes_total: a hole that a writer leaves whose file is truncated"
                )
            });
        }
    }

    /// `source` does not hold lines of JSON, but this.
    pub(crate) fn not_lines(&mut self, source: &str, hint: &str) {
        self.tell(Warning {
            case: Case::NotLines,
            subject: source.to_owned(),
            text: format!("{source} is {hint}"),
        });
    }

    /// There are dead letters, and no file for them.
    pub(crate) fn letters(&mut self, dead: u64, letters: &[u8]) {
        if dead > 0 {
            self.once(Case::DeadLettersNotKept, || {
                let first = String::from_utf8_lossy(&letters[..letters.len().min(400)]);
                let first = first.lines().next().unwrap_or_default();
                format!(
                    "some events cannot be parsed; --dead-letters FILE keeps them. The first: {first}"
                )
            });
        }
    }

    /// The file for the dead letters has reached its bound.
    pub(crate) fn letters_full(&mut self, discarded: u64) {
        if discarded > 0 {
            self.once(Case::DeadLettersFull, || {
                "the dead letters have reached --dead-letters-max: further ones are counted, and \
                 not kept"
                    .to_owned()
            });
        }
    }

    /// The windows wait for this source, which has shown nothing newer for the time `silent`.
    pub(crate) fn held_open(&mut self, source: &str, silent: Duration, idle: Option<Duration>) {
        let now = idle.map_or(String::new(), |idle| format!(" (now {}s)", idle.as_secs()));
        self.tell(Warning {
            case: Case::WindowsHeldOpen,
            subject: source.to_owned(),
            text: format!(
                "windows are held open by {source}, which has shown nothing newer for {} s; --idle \
                 SPAN{now} leaves a source out that is silent for so long",
                silent.as_secs()
            ),
        });
    }

    /// The run has ended: warns of what never happened in it. Sources that resumed from a
    /// checkpoint need not have anything new.
    pub(crate) fn at_end<'s>(
        &mut self,
        counts: &Counts,
        sources: impl IntoIterator<Item = &'s Stage>,
        sinks: impl IntoIterator<Item = (&'s Stage, Content)>,
        resumed: bool,
    ) {
        for source in sources {
            if source.received.get() == 0 && !resumed {
                self.tell(Warning {
                    case: Case::SourceGaveNothing,
                    subject: source.id.clone(),
                    text: format!("{} gave nothing", source.id),
                });
            }
        }
        self.judge(1);
        for wanted in std::mem::take(&mut self.wanted) {
            let Wanted { flag, name, was_there } = wanted;
            if self.rows > 0 && !was_there {
                let what = if flag == "--by" {
                    "a single value in the field"
                } else {
                    "a number in the field"
                };
                self.tell(Warning {
                    case: Case::FieldMissing,
                    text: format!("{flag} {name}: none of {} events had {what}", self.rows),
                    subject: name,
                });
            }
        }
        if counts.late > 0 {
            let late = counts.late;
            self.once(Case::LateEvents, || {
                format!("late events: {late}, which are in no window; --lateness SPAN waits longer")
            });
        }
        for (sink, content) in sinks {
            if sink.sent.get() == 0 && counts.read > 0 && content != Content::DeadLetters {
                self.tell(Warning {
                    case: Case::SinkGotNothing,
                    subject: sink.id.clone(),
                    text: format!("nothing was written to {}", sink.id),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_pipeline::event::rows::Row;

    fn warnings(config: Config) -> Warnings {
        Warnings::new(&Config { aggregates: Some("-".into()), ..config }, Arc::default())
    }

    fn ended(warnings: &mut Warnings) -> Vec<String> {
        warnings.at_end(&Counts::default(), [], [], false);
        warnings.told.texts()
    }

    #[test]
    fn a_condition_is_judged_once_while_the_run_goes_on_or_at_its_end() {
        let config =
            || Config { conditions: vec!["a>1".into(), "b>1".into()], ..Config::default() };
        let mut running = warnings(config());
        running.conditions(&[(ENOUGH - 1, 0), (ENOUGH - 1, 7)]);
        assert!(running.told.texts().is_empty());
        running.conditions(&[(1, 0), (1, 0)]);
        let text = ["--where 'a>1' has matched nothing in 100000 events"];
        assert_eq!(running.told.texts(), text);
        assert_eq!(ended(&mut running), text);
        let mut short = warnings(config());
        short.conditions(&[(3, 3), (0, 0)]);
        assert_eq!(ended(&mut short), ["--where 'a>1' has matched all of 3 events"]);
        assert_eq!(short.told.counts()[2], ("condition_matched_all_or_nothing", 1));
    }

    #[test]
    fn a_field_that_no_event_had_is_named() {
        let config = || Config { by: vec!["k".into()], p: Some("v".into()), ..Config::default() };
        let rows = |had: [bool; 2]| {
            let row = Row { time: 0, latest: 0, key: 0, value: None };
            Rows { list: vec![row], had: had.to_vec(), ..Rows::default() }
        };
        let mut none = warnings(config());
        none.rows(&rows([false, false]));
        let texts = [
            "--by k: none of 1 events had a single value in the field",
            "--p v: none of 1 events had a number in the field",
        ];
        assert_eq!(ended(&mut none), texts);
        let mut some = warnings(config());
        some.rows(&rows([true, false]));
        some.rows(&rows([false, true]));
        assert!(ended(&mut some).is_empty());
    }
}
