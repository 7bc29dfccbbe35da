//! `check --sample`: what the settings make of the first lines of a file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::data_pipeline::config::Config;
use crate::data_pipeline::event::expr::key;
use crate::data_pipeline::event::form::not_lines;
use crate::data_pipeline::event::job::{Counted, Job};
use crate::data_pipeline::event::time::{Second, rfc3339};
use crate::data_pipeline::event::value::Value;
use crate::data_pipeline::source::content::Stored;
use crate::terminal::is_harmful;

/// Most bytes that are read for a sample, however long its lines are.
const MOST: usize = 64 << 20;

/// Most characters of a line or a value that are shown.
const SHOWN: usize = 100;

/// For each of the first lines of `file` (`-` is stdin): whether it can be read, its time, what each
/// condition says of it and by which values, its window and its key.
///
/// # Errors
///
/// A file that cannot be read, and settings that do not compile.
pub fn sample(config: &Config, file: &Path, lines: usize) -> Result<String, String> {
    let counting = Config { aggregates: Some("-".to_owned()), ..config.clone() };
    let job = Job::compile(&counting)?; // with windows, so that there are times
    let head = head(file, lines).map_err(|err| format!("{}: {err}", file.display()))?;
    let mut report = String::new();
    if let Some(hint) = not_lines(&head) {
        let _ = writeln!(report, "{} is {hint}", file.display()); // a String takes everything
    }
    let (mut kept, mut dead, mut shown) = (0, 0, 0);
    for line in head.split_inclusive(|byte| *byte == b'\n').take(lines) {
        shown += 1;
        let text = String::from_utf8_lossy(line);
        let _ = writeln!(report, "{shown}  {}", short(text.trim()));
        let verdict = match std::str::from_utf8(line) {
            Ok(line) => of_line(config, &job, line, &mut report),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        let verdict = match verdict {
            Ok(true) => {
                kept += 1;
                "kept".to_owned()
            }
            Ok(false) => "filtered".to_owned(),
            Err(reason) => {
                dead += 1;
                format!("dead letter: {reason}")
            }
        };
        let _ = writeln!(report, "   => {}", short(&verdict));
    }
    let filtered = shown - kept - dead;
    let _ = write!(report, "{shown} lines: {kept} kept, {filtered} filtered, {dead} dead letters");
    Ok(report)
}

/// The beginning of a file with this many lines, unpacked.
fn head(file: &Path, lines: usize) -> io::Result<Vec<u8>> {
    let is_stdin = file.as_os_str() == "-";
    let mut stored = (!is_stdin).then(|| Stored::new(File::open(file)?.into())).transpose()?;
    let (mut head, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while memchr::memchr_iter(b'\n', &head).count() < lines && head.len() < MOST {
        let read = match &mut stored {
            Some(stored) => stored.fill(&mut buffer, head.len() as u64)?,
            None => io::stdin().lock().read(&mut buffer)?,
        };
        if read == 0 {
            break;
        }
        head.extend_from_slice(&buffer[..read]);
    }
    Ok(head)
}

/// Whether a line is kept, or why it is a dead letter.
fn of_line(config: &Config, job: &Job, line: &str, report: &mut String) -> Result<bool, String> {
    let mut slots = Vec::new();
    let line = line.trim_start_matches('\u{feff}');
    let inner = match (&job.inner, job.framing.runtime) {
        (Some(inner), _) => inner.of(line)?,
        (None, Some(runtime)) => {
            let piece = runtime.text(line.trim_end().as_bytes())?;
            String::from_utf8_lossy(&piece).into_owned()
        }
        (None, None) => line.to_owned(),
    };
    let line = &inner;
    if !job.read(line, &mut slots)? {
        return Ok(false);
    }
    let counted = job.counted.as_ref().expect("it counts in windows");
    let time = counted.time(&slots, &mut Second::default());
    match &time {
        Ok(time) => _ = writeln!(report, "   time    {} ({})", rfc3339(*time), counted.time_field),
        Err(reason) => _ = writeln!(report, "   {}", short(reason)),
    }
    let mut is_kept = true;
    for (text, condition) in config.conditions.iter().zip(&job.conditions) {
        let (is_met, fields) = condition.decided(&slots);
        let values: Vec<_> = fields
            .iter()
            .map(|field| format!("{} is {}", field.name, shown(field.get(&slots))))
            .collect();
        let verdict = if is_met { "yes" } else { "no" };
        let _ = writeln!(report, "   where   {text}: {verdict}, {}", short(&values.join(", ")));
        is_kept &= is_met;
    }
    if let (Ok(time), true) = (&time, is_kept) {
        let _ = writeln!(report, "   window  {}", window(config, counted, *time, &slots));
    }
    // Without windows the time does not matter.
    if config.aggregates.is_some() { time.map(|_| is_kept) } else { Ok(is_kept) }
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
    let plain = |c: char| if is_harmful(c) { ' ' } else { c };
    let mut short: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        short += "…";
    }
    short
}
