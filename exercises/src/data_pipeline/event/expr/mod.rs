//! What users write about fields: `status>=500 and path~^/api` keeps events, `seconds=latency_ms/1000`
//! adds a field. A derived field is seen by later expressions and by the windows, never by `--out`.

mod operand;
mod syntax;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use regex::Regex;

use super::value::{Number, Value};
pub(crate) use operand::{Derive, Field, Operand, Scope, json, key, parse_number};

/// One `--where`. It holds if it holds for any of several values.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Or(Box<[Condition; 2]>),
    And(Box<[Condition; 2]>),
    Not(Box<Condition>),
    Exists(Field),
    Compare { left: Operand, sign: Sign, right: Literal },
    In(Operand, Vec<Literal>),
    Matches(Operand, Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a value is compared with; a value of another type is never equal.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
}

impl Condition {
    /// A missing value, or one of another type, meets only `!=`, `!~` and `not`.
    pub(crate) fn is_met(&self, slots: &[Value<'_>]) -> bool {
        match self {
            Self::Or(both) => both.iter().any(|either| either.is_met(slots)),
            Self::And(both) => both.iter().all(|each| each.is_met(slots)),
            Self::Not(inner) => !inner.is_met(slots),
            Self::Exists(field) => *field.get(slots) != Value::Missing,
            Self::Compare { left, sign, right } => {
                left.get(slots).any(|value| sign.holds(right.order(value)))
            }
            Self::In(left, list) => left.get(slots).any(|value| {
                list.iter().any(|literal| literal.order(value) == Some(Ordering::Equal))
            }),
            Self::Matches(left, regex) => left
                .get(slots)
                .any(|value| matches!(value, Value::Text(text) if regex.is_match(text))),
        }
    }

    /// [`is_met`](Self::is_met), with the fields that decided it: for `and` the side that does not
    /// hold, for `or` the side that does, and otherwise both.
    pub(crate) fn decided<'c>(&'c self, slots: &[Value<'_>]) -> (bool, Vec<&'c Field>) {
        let mut fields = Vec::new();
        match self {
            Self::Or(both) | Self::And(both) => {
                let decides = matches!(self, Self::Or(_));
                for side in &**both {
                    let (is_met, more) = side.decided(slots);
                    if is_met == decides {
                        return (is_met, more);
                    }
                    fields.extend(more);
                }
                return (!decides, fields);
            }
            Self::Not(inner) => {
                let (is_met, fields) = inner.decided(slots);
                return (!is_met, fields);
            }
            Self::Exists(field) => fields.push(field),
            Self::Compare { left, .. } | Self::In(left, _) | Self::Matches(left, _) => {
                left.fields(&mut fields);
            }
        }
        (self.is_met(slots), fields)
    }
}

impl Sign {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "=" | "==" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// Whether the sign holds for two sides that compare like this; `None` means that they cannot.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::AtMost => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::AtLeast => order.is_some_and(Ordering::is_ge),
        }
    }
}

impl Literal {
    /// A number, `true`, `false`, `null`, or a text; in quotes it is always a text.
    fn of(text: String, is_quoted: bool) -> Self {
        match &*text {
            _ if is_quoted => Self::Text(text),
            "null" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            word => parse_number(word).map_or_else(|| Self::Text(text.clone()), Self::Number),
        }
    }

    /// How a value compares with it; `None` if it is of another type.
    fn order(&self, value: &Value<'_>) -> Option<Ordering> {
        match (value, self) {
            (Value::Number(number), Self::Number(ours)) => number.partial_cmp(ours),
            (Value::Text(text), Self::Text(ours)) => Some((**text).cmp(ours)),
            // Booleans have no order.
            (Value::Bool(value), Self::Bool(ours)) => (value == ours).then_some(Ordering::Equal),
            (Value::Null, Self::Null) => Some(Ordering::Equal),
            _ => None,
        }
    }
}
