//! What users write about fields: `status>=500` keeps events, `seconds=latency_ms/1000` adds a
//! field. A derived field is seen by later expressions and by the windows, never by `--out`.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;

use super::rows::NO_KEY;
use super::value::{Fields, Number, Value};

/// `FIELD OP LITERAL`, one `--where`.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    slot: usize,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Compare(Holds, Literal),
    Matches(Regex),
}

/// Whether an operator holds for the order of its two sides, if they have one.
type Holds = fn(Option<Ordering>) -> bool;

/// What a field is compared with: of the same type, or it is another value.
#[derive(Clone, Debug)]
enum Literal {
    Bool(bool),
    Number(Number),
    Text(String),
}

/// The longer operators first: `>` would match the beginning of `>=`.
const OPERATORS: [(&str, Option<Holds>); 7] = [
    (">=", Some(|order| order.is_some_and(Ordering::is_ge))),
    ("<=", Some(|order| order.is_some_and(Ordering::is_le))),
    ("!=", Some(|order| order != Some(Ordering::Equal))),
    (">", Some(|order| order == Some(Ordering::Greater))),
    ("<", Some(|order| order == Some(Ordering::Less))),
    ("=", Some(|order| order == Some(Ordering::Equal))),
    ("~", None),
];

impl Condition {
    pub(crate) fn parse(text: &str, scope: &mut Scope) -> Result<Self, String> {
        let found = text.char_indices().find_map(|(at, _)| {
            let operator = OPERATORS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
            Some((at, operator))
        });
        let Some((at, (sign, operator))) = found.filter(|(at, _)| !text[..*at].trim().is_empty())
        else {
            return Err(format!(
                "`{text}` is no condition; write FIELD OP VALUE with one of >= <= > < = != ~"
            ));
        };
        let literal = text[at + sign.len()..].trim();
        if operator.is_some() && literal.starts_with(['<', '>', '=', '!', '~']) {
            return Err(format!(
                "`{text}` has the operator `{sign}`, and one more behind it; write one of >= <= > < \
                 = != ~, and put a text that begins like this into quotes"
            ));
        }
        let check = match operator {
            Some(holds) => Test::Compare(*holds, Literal::parse(literal)),
            None => Test::Matches(
                Regex::new(literal).map_err(|err| format!("in the condition `{text}`: {err}"))?,
            ),
        };
        Ok(Self { slot: scope.slot(text[..at].trim()), test: check })
    }

    /// A missing field meets no condition but `!=`, and so does a field of another type.
    pub(crate) fn is_met(&self, slots: &[Value<'_>]) -> bool {
        let value = &slots[self.slot];
        match &self.test {
            Test::Matches(regex) => matches!(value, Value::Text(text) if regex.is_match(text)),
            Test::Compare(holds, literal) => holds(literal.order(value)),
        }
    }
}

impl Literal {
    /// A number, `true` or `false`, or a text; in quotes it is always a text.
    fn parse(literal: &str) -> Self {
        let quoted = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match (quoted, literal.parse()) {
            (Some(text), _) => Self::Text(text.to_owned()),
            (None, Ok(value)) => Self::Bool(value),
            (None, Err(_)) => {
                parse_number(literal).map_or_else(|| Self::Text(literal.to_owned()), Self::Number)
            }
        }
    }

    /// How a value compares with it; `None` if it is of another type.
    fn order(&self, value: &Value<'_>) -> Option<Ordering> {
        match (value, self) {
            (Value::Number(number), Self::Number(ours)) => number.partial_cmp(ours),
            (Value::Text(text), Self::Text(ours)) => Some((**text).cmp(ours)),
            // No boolean is less than the other.
            (Value::Bool(value), Self::Bool(ours)) => (value == ours).then_some(Ordering::Equal),
            _ => None,
        }
    }
}

/// A number as it would be read from a line: an integer of 64 bits, or else floating point.
fn parse_number(text: &str) -> Option<Number> {
    let signed = text.parse::<i64>().map(i128::from);
    let integer = signed.or_else(|_| text.parse::<u64>().map(i128::from)).map(Number::Integer);
    integer.ok().or_else(|| text.parse().ok().filter(|n: &f64| n.is_finite()).map(Number::from))
}

/// `NAME = OPERAND [+ - * / OPERAND]`, one `--derive`.
#[derive(Clone, Debug)]
pub(crate) struct Derive {
    slot: usize,
    left: Operand,
    right: Option<(char, Operand)>,
}

#[derive(Clone, Debug)]
enum Operand {
    Field(usize),
    Number(f64),
}

impl Derive {
    pub(crate) fn parse(text: &str, scope: &mut Scope) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(name, formula)| {
            let name = Some(name.trim()).filter(|name| !name.is_empty())?;
            // Not at the first character: there a sign belongs to a number.
            let formula = formula.trim();
            let at = formula.char_indices().skip(1).find(|(_, c)| "+-*/".contains(*c));
            let (left, right) = match at {
                Some((at, sign)) => (&formula[..at], Some((sign, &formula[at + 1..]))),
                None => (formula, None),
            };
            let left = Operand::parse(left, scope)?;
            let right = match right {
                Some((sign, right)) => Some((sign, Operand::parse(right, scope)?)),
                None => None,
            };
            Some(Self { slot: scope.derive(name), left, right })
        });
        parsed.ok_or_else(|| {
            format!(
                "`{text}` derives nothing; write NAME=A, A+B, A-B, A*B or A/B of fields, numbers"
            )
        })
    }

    /// The derived field is missing where an operand is, or where the result is not finite.
    pub(crate) fn apply(&self, slots: &mut [Value<'_>]) {
        let value = match &self.right {
            None => self.left.copy(slots),
            Some((sign, right)) => {
                let result = self.left.number(slots).zip(right.number(slots));
                let result = result.map(|(left, right)| match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    _ => left / right,
                });
                let result = result.filter(|result| result.is_finite()).map(Number::from);
                result.map_or(Value::Missing, Value::Number)
            }
        };
        slots[self.slot] = value;
    }
}

impl Operand {
    fn parse(text: &str, scope: &mut Scope) -> Option<Self> {
        let text = Some(text.trim()).filter(|text| !text.is_empty())?;
        let number = parse_number(text).map(|number| Self::Number(number.as_f64()));
        Some(number.unwrap_or_else(|| Self::Field(scope.slot(text))))
    }

    fn number(&self, slots: &[Value<'_>]) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Field(slot) => match slots[*slot] {
                Value::Number(number) => Some(number.as_f64()),
                _ => None,
            },
        }
    }

    fn copy<'a>(&self, slots: &[Value<'a>]) -> Value<'a> {
        match self {
            Self::Number(number) => Value::Number(Number::from(*number)),
            Self::Field(slot) => slots[*slot].clone(),
        }
    }
}

/// Which names stand for which slots: first the derived fields, then those of the line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) fields: Fields,
    derived: Vec<(String, usize)>,
}

impl Scope {
    pub(crate) fn slot(&mut self, name: &str) -> usize {
        let derived = self.derived.iter().rev().find(|(derived, _)| derived == name);
        derived.map_or_else(|| self.fields.slot(name), |(_, slot)| *slot)
    }

    fn derive(&mut self, name: &str) -> usize {
        let slot = self.fields.spare_slot();
        self.derived.push((name.to_owned(), slot));
        slot
    }
}

/// A value as the JSON text that stands for it as a key: two values have the same text if and only
/// if `=` says that they are equal.
pub(crate) fn key<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Missing | Value::Opaque => Cow::Borrowed(NO_KEY),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::Number(Number::Integer(number)) => Cow::Owned(number.to_string()),
        Value::Number(Number::Float(number)) => Cow::Owned(json(number)),
        Value::Text(text) => Cow::Owned(json(text)),
    }
}

/// `value` as JSON.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(condition: &str, line: &str) -> bool {
        let mut scope = Scope::default();
        let condition = Condition::parse(condition, &mut scope).unwrap();
        let mut slots = Vec::new();
        scope.fields.read(line, &mut slots).unwrap();
        condition.is_met(&slots)
    }

    #[test]
    fn a_second_operator_is_a_slip_unless_it_is_in_quotes() {
        for slip in ["status==500", "status=>500", "status>>5", "path=~^/api", "status<>5"] {
            let error = Condition::parse(slip, &mut Scope::default()).unwrap_err();
            assert!(error.contains("one more behind it"), "{error}");
        }
        assert!(met(r#"sign="=""#, r#"{"sign":"="}"#));
        assert!(met("path~~", r#"{"path":"~"}"#));
    }

    #[test]
    fn conditions_compare_numbers_texts_and_booleans() {
        let line = r#"{"status":503,"path":"/api/x","ok":true,"code":"503","empty":""}"#;
        for yes in [
            "status>=500",
            "status >= 503",
            "status<=503",
            "status>502.5",
            "status<504",
            "status=503",
            "status!=500",
            "path~^/api",
            "path=/api/x",
            "path>/a",
            "ok=true",
            r#"code="503""#,
            "code~^5",
            "empty=",
            "none!=1",
        ] {
            assert!(met(yes, line), "{yes}");
        }
        for no in [
            "status>503",
            "status<503",
            "status=504",
            "status!=503",
            "path~^api",
            "ok=false",
            "code=503",
            "none=1",
            "none<1",
            "status~5",
            "ok>true",
            r#"ok="true""#,
            r#"status="503""#,
        ] {
            assert!(!met(no, line), "{no}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_text() {
        for text in ["", "status", ">=500", "path~("] {
            let err = Condition::parse(text, &mut Scope::default()).unwrap_err();
            assert!(err.contains(text), "{err}");
        }
    }

    #[test]
    fn a_derived_field_is_computed_and_used_like_any_other() {
        let mut scope = Scope::default();
        let derive = Derive::parse("seconds = latency_ms / 1000", &mut scope).unwrap();
        let condition = Condition::parse("seconds>=1.5", &mut scope).unwrap();
        let test = |line| {
            let mut slots = Vec::new();
            scope.fields.read(line, &mut slots).unwrap();
            derive.apply(&mut slots);
            condition.is_met(&slots)
        };
        assert!(test(r#"{"latency_ms":1500}"#));
        assert!(!test(r#"{"latency_ms":1499}"#));
        assert!(!test(r#"{"latency_ms":"slow"}"#));
        // The line's own field of that name is hidden.
        assert!(!test(r#"{"seconds":9}"#));
    }

    #[test]
    fn what_derives_nothing_is_refused() {
        for text in ["", "a", "=b", "a=", "a=b+"] {
            assert!(Derive::parse(text, &mut Scope::default()).is_err(), "{text}");
        }
    }

    /// What `=` takes for the same is one key, and what it tells apart are two.
    #[test]
    fn a_key_is_a_value_as_the_operator_sees_it() {
        let values = [
            "503",
            "503.0",
            "5.03e2",
            r#""503""#,
            "0",
            "-0.0",
            "-0",
            "0.5",
            "true",
            r#""true""#,
            "null",
        ];
        for left in values {
            for right in values {
                let line = format!(r#"{{"a":{left},"b":{right}}}"#);
                let mut fields = Fields::default();
                let (a, b) = (fields.slot("a"), fields.slot("b"));
                let mut slots = Vec::new();
                fields.read(&line, &mut slots).unwrap();
                let same = key(&slots[a]) == key(&slots[b]);
                let equal = right != "null" && met(&format!("a={right}"), &line);
                assert_eq!(same, equal || (left, right) == ("null", "null"), "{line}");
            }
        }
    }

    #[test]
    fn equal_values_have_equal_keys() {
        let key = |value| key(&value).into_owned();
        assert_eq!(key(Value::Text("a\"b".into())), r#""a\"b""#);
        assert_eq!(key(Value::Number(Number::Integer(503))), "503");
        assert_eq!(key(Value::Missing), "null");
    }
}
