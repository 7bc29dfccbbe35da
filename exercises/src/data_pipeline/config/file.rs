//! The settings in TOML: what may be written, and where an error is.

use std::any::TypeId;
use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::flags::Config;

/// Reads a TOML file; an error names the file and the line, shows the line with a caret, and says
/// which form is right.
pub(super) fn read_table(file: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(file).map_err(|err| format!("{}: {err}", file.display()))?;
    let config = from_toml(&text, &|name| std::env::var(name).ok());
    let at = |(span, why): Wrong| format!("{}, {}", file.display(), place(&text, span, &why));
    config.map(|config| config.table()).map_err(at)
}

/// An invalid text in the file, and why.
type Wrong = (Range<usize>, String);

/// The value of an environment variable.
type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Each key with each of its values becomes a flag, so that both take the same and say the same.
fn from_toml(text: &str, variable: Variables<'_>) -> Result<Config, Wrong> {
    let table = DeTable::parse(text)
        .map_err(|err| (err.span().unwrap_or_default(), err.message().to_owned()))?;
    let flags = Config::augment_args(Command::new("settings").no_binary_name(true));
    let mut arguments = Vec::new();
    for (key, value) in table.get_ref() {
        let flag = known(&flags, key.get_ref()).map_err(|why| (key.span(), why))?;
        let is_list = matches!(flag.get_action(), ArgAction::Append);
        let values = match value.get_ref() {
            DeValue::Array(values) if is_list => values.iter().collect(),
            _ => vec![value],
        };
        for value in values {
            let argument = argument(flag, value.get_ref(), variable).and_then(|argument| {
                let alone = Command::new("setting").no_binary_name(true).arg(flag);
                alone.try_get_matches_from(&argument).map_err(|err| reason(&err))?;
                Ok(argument)
            });
            let argument = argument.map_err(|why| (value.span(), why + &form(flag)))?;
            arguments.extend(argument);
        }
    }
    let config = flags.try_get_matches_from(arguments);
    config.and_then(|flags| Config::from_arg_matches(&flags)).map_err(|err| (0..0, reason(&err)))
}

/// The flag of this name. What is for one run, or for tests, cannot stand in a file.
fn known<'f>(flags: &'f Command, name: &str) -> Result<&'f Arg, String> {
    let is_for_one_run = |flag: &Arg| flag.is_hide_set() || flag.get_id() == "reset_windows";
    let known = flags.get_arguments().filter(|flag| !is_for_one_run(flag));
    let known = known.filter_map(|flag| Some((flag.get_long()?, flag)));
    let near = |key: &str| strsim::jaro_winkler(name, key);
    let nearest = known.max_by(|(a, _), (b, _)| near(a).total_cmp(&near(b)));
    let (nearest, flag) = nearest.expect("there are flags");
    if nearest != name {
        return Err(format!("unknown setting `{name}`; the nearest is `{nearest}`"));
    }
    Ok(flag)
}

/// The flag with this value, as on a command line; `None` if it is off.
fn argument(
    flag: &Arg,
    value: &DeValue<'_>,
    variable: Variables<'_>,
) -> Result<Option<String>, String> {
    let name = flag.get_long().unwrap_or_default();
    if !flag.get_action().takes_values() {
        let is_on = value.as_bool().ok_or("expected true or false")?;
        return Ok(is_on.then(|| format!("--{name}")));
    }
    let of_text = [TypeId::of::<String>(), TypeId::of::<PathBuf>()];
    let is_text = of_text.iter().any(|of| flag.get_value_parser().type_id() == *of);
    let text = match value {
        DeValue::String(text) => expanded(text, variable)?,
        DeValue::Array(_) => return Err("expected one value".to_owned()),
        DeValue::Integer(number) if !is_text => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map_err(|err| err.to_string())?.to_string()
        }
        DeValue::Float(number) if !is_text => number.as_str().to_owned(),
        _ => return Err(format!("expected a text{}", if is_text { "" } else { " or a number" })),
    };
    Ok(Some(format!("--{name}={text}")))
}

/// What is wrong with the value of a flag.
fn reason(err: &clap::Error) -> String {
    err.source().map_or_else(
        || {
            let message = err.to_string();
            let lines = message.lines().take_while(|line| !line.is_empty()).map(str::trim);
            lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
        },
        ToString::to_string,
    )
}

/// The right form of a setting, for an error.
fn form(flag: &Arg) -> String {
    let name = flag.get_long().unwrap_or_default();
    let value = flag.get_value_names().and_then(<[_]>::first);
    let value = value.filter(|_| flag.get_action().takes_values()).map_or("true", |value| value);
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    format!("; expected {name} = {value}: {help}")
}

/// Replaces `${VAR}` and `${VAR:-x}`.
fn expanded(text: &str, variable: Variables<'_>) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = part
            .split_once('}')
            .ok_or("`${` is not closed; a variable is ${NAME} or ${NAME:-x}")?;
        let (name, default) = inside.split_once(":-").unzip();
        let name = name.unwrap_or(inside);
        // As in a shell: if there is a default, an empty variable counts as unset.
        let found = variable(name).filter(|found| default.is_none() || !found.is_empty());
        made += &found.or(default.map(str::to_owned)).ok_or_else(|| {
            format!("the variable {name} is not set; ${{{name}:-x}} gives it a default")
        })?;
        made += rest;
    }
    Ok(made)
}

/// Where an error is in a text: the line's number, the line, and a caret under the place.
fn place(text: &str, span: Range<usize>, why: &str) -> String {
    let start = text.floor_char_boundary(span.start);
    let number = text[..start].matches('\n').count() + 1;
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default().replace(char::is_control, " ");
    let before = text[line_start..start].chars().count();
    if line.trim_start().starts_with("http-header") {
        return format!("line {number}: {why}"); // the line may hold a secret
    }
    format!("line {number}: {why}\n  {line}\n  {:before$}^", "")
}

/// Adds to the error of an expression the file and line where it stands.
pub fn located(file: Option<&Path>, refusal: &str) -> String {
    let expression = refusal.lines().nth(1).map(str::trim).filter(|text| !text.is_empty());
    let found = file.zip(expression).and_then(|(file, expression)| {
        let text = fs::read_to_string(file).ok()?;
        let number = text.lines().position(|line| line.contains(expression))? + 1;
        Some(format!("{}, line {number}: ", file.display()))
    });
    found.unwrap_or_default() + refusal
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn variables_are_replaced_in_texts() {
        let of = |text: &str| {
            from_toml(text, &|name| match name {
                "DIR" => Some("/var/'x'".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            })
        };
        let config = of(
            "file = ['${DIR}/*.log', 'a$b{c}']\nwindow = '${SPAN:-5s}'\nnode = '${EMPTY:-n}${EMPTY}'\n",
        );
        let config = config.unwrap();
        assert_eq!(config.file, ["/var/'x'/*.log", "a$b{c}"]);
        assert_eq!(
            (config.window, config.node.as_deref()),
            (Some(Duration::from_secs(5)), Some("n"))
        );
        for (text, why) in [
            ("file = 'a'\nnode = '${NONE}'\n", "the variable NONE is not set; ${NONE:-x} gives"),
            ("file = 'a'\nnode = '${NONE'\n", "`${` is not closed; a variable is ${NAME} or"),
        ] {
            let (span, message) = of(text).unwrap_err();
            assert!(message.starts_with(why), "{message}");
            assert_eq!(&text[span][..3], "'${");
        }
    }
}
