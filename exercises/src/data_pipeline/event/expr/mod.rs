//! What users write about fields: `status>=500 and path~^/api` keeps events, `seconds=latency_ms/1000`
//! adds a field. A derived field is seen by later expressions and by the windows, never by `--out`.

mod operand;
mod syntax;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use regex::Regex;

use super::value::Value;
pub(crate) use operand::{Derive, Field, Operand, Scope, json, key, parse_number};

/// One `--where`. It holds if it holds for any of several values.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Or(Box<[Condition; 2]>),
    And(Box<[Condition; 2]>),
    Not(Box<Condition>),
    Exists(Field),
    Compare { left: Operand, holds: Holds, right: Value<'static> },
    In(Operand, Vec<Value<'static>>),
    Matches(Operand, Regex),
}

/// Whether a sign holds for two sides that compare like this; `None` means that they cannot.
type Holds = fn(Option<Ordering>) -> bool;

impl Condition {
    /// A missing value, or one of another type, meets only `!=`, `!~` and `not`.
    pub(crate) fn is_met(&self, slots: &[Value<'_>]) -> bool {
        match self {
            Self::Or(both) => both.iter().any(|either| either.is_met(slots)),
            Self::And(both) => both.iter().all(|each| each.is_met(slots)),
            Self::Not(inner) => !inner.is_met(slots),
            Self::Exists(field) => *field.get(slots) != Value::Missing,
            Self::Compare { left, holds, right } => {
                left.get(slots).any(|value| holds(order(value, right)))
            }
            Self::In(left, list) => left.get(slots).any(|value| list.contains(value)),
            Self::Matches(left, regex) => left
                .get(slots)
                .any(|value| matches!(value, Value::Text(text) if regex.is_match(text))),
        }
    }

    /// The fields that decide whether it is met: for `and` those of the side that does not hold, for
    /// `or` those of the side that does, and otherwise those of both.
    pub(crate) fn decided<'c>(&'c self, slots: &[Value<'_>]) -> Vec<&'c Field> {
        match self {
            Self::Or(both) | Self::And(both) => {
                let decides = matches!(self, Self::Or(_));
                let side = both.iter().find(|side| side.is_met(slots) == decides);
                let sides = side.map_or(&both[..], std::slice::from_ref);
                sides.iter().flat_map(|side| side.decided(slots)).collect()
            }
            Self::Not(inner) => inner.decided(slots),
            Self::Exists(field) => vec![field],
            Self::Compare { left, .. } | Self::In(left, _) | Self::Matches(left, _) => {
                left.fields()
            }
        }
    }
}

/// How a value compares with a literal; `None` if it is of another type.
fn order(value: &Value<'_>, literal: &Value<'_>) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(number), Value::Number(ours)) => number.partial_cmp(ours),
        (Value::Text(text), Value::Text(ours)) => Some(text.cmp(ours)),
        // Booleans have no order.
        (Value::Null | Value::Bool(_), _) => (value == literal).then_some(Ordering::Equal),
        _ => None,
    }
}
