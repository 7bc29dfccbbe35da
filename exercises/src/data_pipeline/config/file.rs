//! The settings in TOML: what may be written, and where an error is.

use std::fs;
use std::ops::Range;
use std::path::Path;

use clap::Args;
use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table};

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

fn from_toml(text: &str, variable: Variables<'_>) -> Result<Config, Wrong> {
    let wrong = |err: toml::de::Error| (err.span().unwrap_or_default(), err.message().to_owned());
    let mut table = DeTable::parse(text).map_err(wrong)?;
    let flags = Config::augment_args(clap::Command::new("keys"));
    let known = || flags.get_arguments().filter(|flag| !flag.is_hide_set());
    let mut forms = Vec::new();
    for (key, value) in table.get_mut().iter_mut() {
        let name = &**key.get_ref();
        let Some(flag) = known().find(|flag| flag.get_long() == Some(name)) else {
            let keys = known().filter_map(clap::Arg::get_long);
            let near = |key: &str| strsim::jaro_winkler(name, key);
            let nearest = keys.max_by(|a, b| near(a).total_cmp(&near(b))).unwrap_or_default();
            let why = format!("unknown setting `{name}`; the nearest is `{nearest}`");
            return Err((key.span(), why));
        };
        let form = flag.get_value_names().and_then(<[_]>::first);
        let form = form.filter(|_| flag.get_action().takes_values()).map_or("true", |form| form);
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        forms.push((value.span(), format!("; expected {name} = {form}: {help}")));
        expand(value, variable)?;
        let is_list = matches!(flag.get_action(), clap::ArgAction::Append);
        if is_list && !matches!(value.get_ref(), DeValue::Array(_)) {
            let one = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
            let list = [Spanned::new(value.span(), one)].into_iter().collect();
            *value.get_mut() = DeValue::Array(list);
        }
    }
    Config::deserialize(toml::Deserializer::from(table)).map_err(|err| {
        let (span, why) = wrong(err);
        let form = forms.into_iter().find(|(of, _)| of.start <= span.start && span.end <= of.end);
        (span, why + &form.map(|(_, form)| form).unwrap_or_default())
    })
}

/// Replaces the variables in a text, or in those of a list.
fn expand(value: &mut Spanned<DeValue<'_>>, variable: Variables<'_>) -> Result<(), Wrong> {
    let span = value.span();
    match value.get_mut() {
        DeValue::Array(items) => items.iter_mut().try_for_each(|item| expand(item, variable))?,
        DeValue::String(text) => {
            *text = expanded(text, variable).map_err(|why| (span, why))?.into();
        }
        _ => {}
    }
    Ok(())
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
