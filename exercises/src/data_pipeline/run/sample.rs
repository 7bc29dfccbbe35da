//! `check --sample`: what the settings make of the first lines of a file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::data_pipeline::config::Config;
use crate::data_pipeline::event::expr::key;
use crate::data_pipeline::event::form::not_lines;
use crate::data_pipeline::event::job::{Counted, Job};
use crate::data_pipeline::event::parse::parse;
use crate::data_pipeline::event::splitter::{Parts, Splitter};
use crate::data_pipeline::event::time::{Second, rfc3339};
use crate::data_pipeline::event::value::Value;
use crate::data_pipeline::source::content::Stored;
use crate::terminal::is_harmful;

/// How many bytes are read at a time.
const READ: usize = 64 << 10;

/// Most characters of a line or a value that are shown.
const SHOWN: usize = 100;

/// For each of the first events of `file` (`-` is stdin): whether it can be read, its time, what each
/// condition says of it and by which values, its window and its key.
///
/// # Errors
///
/// A file that cannot be read, and settings that do not compile.
pub fn sample(config: &Config, file: &Path, most: usize) -> Result<String, String> {
    let cannot = |err: io::Error| format!("{}: {err}", file.display());
    let job = Job::compile(config)?;
    let counting = Config { aggregates: Some("-".to_owned()), ..config.clone() };
    let (counting, text) = (Job::compile(&counting)?, String::new());
    let mut report = Report { config, job: counting, text, shown: 0, counts: [0; 3] };
    let is_stdin = file.as_os_str() == "-";
    let stored = (!is_stdin).then(|| Stored::new(File::open(file)?.into())).transpose();
    let mut stored = stored.map_err(cannot)?;
    let mut splitter = Splitter::new(0, Parts::default(), job.framing);
    let mut is_over = false;
    while !is_over && report.shown < most {
        let position = splitter.position();
        let mut buffer = splitter.buffer();
        let held = buffer.len();
        buffer.resize(held + READ, 0);
        let read = match &mut stored {
            Some(stored) => stored.fill(&mut buffer[held..], position),
            None => io::stdin().lock().read(&mut buffer[held..]),
        };
        let read = match read.map_err(cannot) {
            Err(failure) if report.shown > 0 => {
                let _ = writeln!(report.text, "{failure}"); // behind what is there
                0
            }
            read => read?,
        };
        is_over = read == 0;
        buffer.truncate(held + read);
        let mut segments = splitter.push(buffer);
        segments.extend(is_over.then(|| splitter.finish()).flatten());
        for segment in segments {
            if let Some(hint) = not_lines(&segment.bytes).filter(|_| segment.offset == 0) {
                let _ = writeln!(report.text, "{} is {hint}", file.display()); // a String takes everything
            }
            let mut tell = |line: &str, verdict: &_| {
                if report.shown < most {
                    report.event(line, verdict);
                }
            };
            parse("", segment, &job, Some(&mut tell));
        }
    }
    let Report { text, shown, counts: [kept, filtered, dead], .. } = report;
    Ok(format!("{text}{shown} lines: {kept} kept, {filtered} filtered, {dead} dead letters"))
}

struct Report<'c> {
    config: &'c Config,
    /// With windows even if the settings have none, so that there are times.
    job: Job,
    text: String,
    shown: usize,
    /// How many of them are kept, filtered and dead.
    counts: [usize; 3],
}

impl Report<'_> {
    fn event(&mut self, line: &str, verdict: &Result<bool, String>) {
        self.shown += 1;
        let _ = writeln!(self.text, "{}  {}", self.shown, short(line.trim()));
        if let Ok(is_kept) = verdict {
            self.values(line, *is_kept);
        }
        let (kind, verdict) = match verdict {
            Ok(true) => (0, "kept".to_owned()),
            Ok(false) => (1, "filtered".to_owned()),
            Err(reason) => (2, format!("dead letter: {reason}")),
        };
        self.counts[kind] += 1;
        let _ = writeln!(self.text, "   => {}", plain(&verdict));
    }

    /// What decides about an event.
    fn values(&mut self, line: &str, is_kept: bool) {
        let (text, mut slots) = (&mut self.text, Vec::new());
        let Ok(true) = self.job.read(line, &mut slots) else { return };
        let counted = self.job.counted.as_ref().expect("it counts in windows");
        let time = counted.time(&slots, &mut Second::default());
        let _ = match &time {
            Ok(time) => writeln!(text, "   time    {} ({})", rfc3339(*time), counted.time_field),
            Err(reason) => writeln!(text, "   {}", plain(reason)),
        };
        for (written, condition) in self.config.conditions.iter().zip(&self.job.conditions) {
            let verdict = if condition.is_met(&slots) { "yes" } else { "no" };
            let values = condition.decided(&slots).into_iter();
            let values =
                values.map(|field| format!("{} is {}", field.name, shown(field.get(&slots))));
            let values = values.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "   where   {written}: {verdict}, {}", short(&values));
        }
        if let (Ok(time), true) = (time, is_kept) {
            let _ = writeln!(text, "   window  {}", window(self.config, counted, time, &slots));
        }
    }
}

fn window(config: &Config, counted: &Counted, time: i64, slots: &[Value<'_>]) -> String {
    let length = config.window.map_or(1000, |length| length.as_millis() as i64);
    let mut text = format!("from {}", rfc3339(time - time.rem_euclid(length)));
    let keys: Vec<_> = counted.keys.iter().map(|(_, by)| short(&key(&by.get(slots)))).collect();
    if !keys.is_empty() {
        text += &format!(", key {}", keys.join(", "));
    }
    if let Some(value) = &counted.value {
        let number = value.number(slots).map_or("no number".to_owned(), |value| value.to_string());
        text += &format!(", value {number}");
    }
    text
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Missing => "missing".to_owned(),
        Value::Opaque => "an array or an object".to_owned(),
        Value::Many(values) => {
            format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        value => key(value).into_owned(),
    }
}

/// Untrusted text, shortened and made safe for a terminal.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        short += "…";
    }
    plain(&short)
}

fn plain(text: &str) -> String {
    text.replace(is_harmful, " ")
}
