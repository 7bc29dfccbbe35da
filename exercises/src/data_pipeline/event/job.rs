//! The settings compiled: which fields to read, what to test, what to count.

use super::container::Runtime;
use super::expr::{Condition, Derive, Field, Operand, Scope, json};
use super::splitter::Framing;
use super::time::{Clock, Second};
use super::value::{Fields, Value};
use crate::data_pipeline::config::{Config, is_tagged};

/// The compiled settings: what the workers do with each line.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) fields: Fields,
    pub(crate) derives: Vec<Derive>,
    pub(crate) conditions: Vec<Condition>,
    /// `None` if nothing is counted in windows.
    pub(crate) counted: Option<Counted>,
    pub(crate) framing: Framing,
    /// The field that holds the event, for `--unwrap FIELD`.
    pub(crate) inner: Option<Inner>,
    /// The machine's name, which stands before the sources' names in ids.
    pub(crate) node: String,
    /// Whether a sink takes the lines unchanged.
    pub(crate) plain: bool,
    /// `None` if no sink takes the lines with their ids.
    pub(crate) id: Option<Id>,
}

/// The field that gets the id.
#[derive(Clone, Debug)]
pub(crate) struct Id {
    pub(crate) field: String,
    pub(crate) slot: usize,
}

/// The field whose text is the line.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    name: String,
    fields: Fields,
    field: Operand,
}

impl Inner {
    fn parse(name: &str) -> Result<Self, String> {
        let mut scope = Scope::default();
        let field = Operand::parse("--unwrap", name, &mut scope)?;
        Ok(Self { name: name.to_owned(), fields: scope.fields, field })
    }

    /// The event inside this line, or why there is none.
    pub(crate) fn of(&self, line: &str) -> Result<String, String> {
        let mut slots = Vec::new();
        self.fields.read(line, &mut slots).map_err(|err| without_line_number(&err))?;
        match self.field.get(&slots).into_owned() {
            Value::Text(text) => Ok(text.into_owned()),
            Value::Missing => Err(format!("--unwrap {}: the field is missing", self.name)),
            _ => Err(format!("--unwrap {}: the field holds no text", self.name)),
        }
    }
}

/// Removes "line 1": the parser sees one line at a time, so it says that of every line.
fn without_line_number(err: &serde_json::Error) -> String {
    let text = err.to_string();
    text.replacen(" at line 1 column ", " at column ", 1)
}

/// The slots of what the windows need.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) time_field: String,
    pub(crate) time: Field,
    pub(crate) clock: Clock,
    /// The fields of --by, with their names as JSON.
    pub(crate) keys: Vec<(String, Operand)>,
    pub(crate) value: Option<Operand>,
    /// The totals (sum, min, max), in the order of the columns.
    pub(crate) totals: Vec<Operand>,
}

impl Job {
    /// Compiles a complete configuration.
    pub(crate) fn compile(config: &Config) -> Result<Self, String> {
        let mut scope = Scope::default();
        let derives = config.derive.iter().map(|text| Derive::parse(text, &mut scope));
        let derives = derives.collect::<Result<_, _>>()?;
        let conditions = config.conditions.iter().map(|text| Condition::parse(text, &mut scope));
        let conditions = conditions.collect::<Result<_, _>>()?;
        let format = config.time_format.as_deref().unwrap_or("auto");
        let clock = Clock::new(format, config.time_zone.as_deref().unwrap_or("UTC"))?;
        let time_field = config.time.clone().unwrap_or_default();
        let keys = config.keys();
        let keys = keys.into_iter().map(|text| {
            Operand::parse("--by", text, &mut scope).map(|operand| (json(text), operand))
        });
        let keys = keys.collect::<Result<_, _>>()?;
        let p = config.p.as_deref().map(|text| Operand::parse("--p", text, &mut scope));
        let value = p.transpose()?;
        let totals = config.totals();
        let totals = totals.map(|(total, text)| Operand::parse(total.flag(), text, &mut scope));
        let totals = totals.collect::<Result<_, _>>()?;
        let counted = if config.aggregates.is_some() {
            let time = Field::parse("--time", &time_field, &mut scope)?;
            Some(Counted { time_field, time, clock, keys, value, totals })
        } else {
            None
        };
        let max_line = config.max_line.map_or(usize::MAX, |size| size.as_u64() as usize);
        let (runtime, inner) = match config.unwrap.as_deref() {
            None => (None, None),
            Some("docker") => (Some(Runtime::Docker), None),
            Some("cri") => (Some(Runtime::Cri), None),
            Some(field) => (None, Some(Inner::parse(field)?)),
        };
        let tagged = config.out.iter().filter(|out| is_tagged(out)).count();
        let id = (tagged > 0).then(|| {
            let field = config.id_field.clone().unwrap_or_default();
            Id { slot: scope.fields.slot([&*field]), field } // of the line, never a derived one
        });
        Ok(Self {
            fields: scope.fields,
            derives,
            conditions,
            counted,
            framing: Framing { max_line, runtime },
            inner,
            node: config.node.as_ref().map_or(String::new(), |node| format!("{node}/")),
            plain: tagged < config.out.len(),
            id,
        })
    }
}

impl Job {
    /// Reads the fields of a line, and computes the derived ones. Returns whether there is an
    /// event, or why the line is a dead letter.
    pub(crate) fn read<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<bool, String> {
        if line.len() <= self.framing.max_line {
            if line.trim_ascii().is_empty() {
                return Ok(false);
            }
            self.fields.read(line, slots).map_err(|err| without_line_number(&err))?;
        }
        self.complete(line, slots)
    }

    /// The same where the fields of the line are in their slots already.
    pub(crate) fn complete<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<bool, String> {
        if line.len() > self.framing.max_line {
            return Err("longer than --max-line".to_owned());
        }
        self.derives.iter().for_each(|derive| derive.apply(slots));
        Ok(true)
    }
}

impl Counted {
    /// The event's time, or why it has none.
    pub(crate) fn time(&self, slots: &[Value<'_>], last: &mut Second) -> Result<i64, String> {
        let value = self.time.get(slots);
        self.clock
            .millis_after(last, value)
            .ok_or_else(|| self.clock.problem(&self.time_field, value))
    }
}

/// The settings that open windows depend on, as a checkpoint keeps them; a constant without
/// windows.
pub(crate) fn identity(config: &Config) -> String {
    let Config { time, time_format, time_zone, by, p, window, derive, conditions, .. } = config;
    let Config { unwrap, q, sum, min, max, .. } = config;
    if config.aggregates.is_none() {
        return NO_WINDOWS.to_owned();
    }
    let by = (!by.is_empty()).then(|| by.join(","));
    let fields = (time, by, p, true);
    // Newer settings are named only where they are used, so that a checkpoint of an earlier version
    // matches.
    let mut more = unwrap.as_ref().map_or(String::new(), |unwrap| format!("; unwrap: {unwrap:?}"));
    if !q.is_empty() {
        more += &format!("; q: {q:?}");
    }
    for (name, fields) in [("sum", sum), ("min", min), ("max", max)] {
        if !fields.is_empty() {
            more += &format!("; {name}: {fields:?}");
        }
    }
    if let (Some(format), Some(zone)) = (time_format, time_zone)
        && (&**format, &**zone) != ("auto", "UTC")
    {
        more += &format!("; times: {format:?}, {zone:?}");
    }
    format!(
        "time, by, p, windows: {fields:?}; window: {window:?}; derive: {derive:?}; where: \
         {conditions:?}{more}"
    )
}

/// What a checkpoint keeps instead if the run has no windows.
const NO_WINDOWS: &str = "no windows";

/// Whether windows that were opened under `saved` can go on under `ours`. Earlier versions kept all
/// settings, even of a run without windows.
pub(crate) fn is_same(saved: &str, ours: &str) -> bool {
    let before = |saved: &str| {
        let fields =
            saved.strip_prefix("time, by, p, windows: (").and_then(|rest| rest.split_once(");"));
        fields.is_some_and(|(fields, _)| fields.ends_with(", false"))
    };
    saved == ours || ours == NO_WINDOWS && before(saved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_windows_tie_a_checkpoint_to_settings() {
        let config = |aggregates: Option<&str>, condition: &str| Config {
            aggregates: aggregates.map(str::to_owned),
            conditions: vec![condition.to_owned()],
            time: Some("ts".to_owned()),
            ..Config::default()
        };
        let none = |condition| identity(&config(None, condition));
        let windows = |condition| identity(&config(Some("-"), condition));
        assert!(is_same(&none("a>1"), &none("b>1")));
        assert!(is_same(&windows("a>1"), &windows("a>1")));
        assert!(!is_same(&windows("a>1"), &windows("b>1")));
        assert!(!is_same(&windows("a>1"), &none("a>1")), "the open ones would be lost");
        assert!(!is_same(&none("a>1"), &windows("a>1")), "the first would begin in its middle");
        let before = r#"time, by, p, windows: (Some("ts"), None, None, false); window: None; derive: []; where: ["a>1"]"#;
        assert!(is_same(before, &none("b>1")) && !is_same(before, &windows("a>1")));
    }
}
