//! What gives a value of an event: a field, or a formula of fields.

use std::borrow::Cow;

use crate::data_pipeline::event::rows::NO_KEY;
use crate::data_pipeline::event::value::{Fields, Number, Step, Value};

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Field(Field),
    Number(f64),
    Sum(Box<(Operand, char, Operand)>),
    Call(Function, Box<Operand>),
}

/// The slots of a field. `a.b` is the field `b` of the object `a`, or else the field with that name.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    slot: usize,
    by_whole_name: Option<usize>,
    /// The name in messages.
    pub(crate) name: Box<str>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    /// A number, or a text that is one.
    Num,
    /// A text, or a number or a boolean as a text.
    Text,
    /// A text in lower case.
    Lower,
}

impl Field {
    pub(crate) fn get<'s, 'a>(&self, slots: &'s [Value<'a>]) -> &'s Value<'a> {
        match (&slots[self.slot], self.by_whole_name) {
            (Value::Missing, Some(slot)) => &slots[slot],
            (value, _) => value,
        }
    }
}

impl Function {
    pub(super) fn of(name: &str) -> Option<Self> {
        let all = [("num", Self::Num), ("text", Self::Text), ("lower", Self::Lower)];
        all.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    fn apply<'a>(self, value: &Value<'a>) -> Value<'a> {
        match (self, value) {
            (Self::Num, Value::Number(_)) | (Self::Text, Value::Text(_)) => value.clone(),
            (Self::Num, Value::Text(text)) => {
                parse_number(text.trim()).map_or(Value::Missing, Value::Number)
            }
            (Self::Text, Value::Number(_) | Value::Bool(_)) => {
                Value::Text(key(value).into_owned().into())
            }
            (Self::Lower, Value::Text(text)) => Value::Text(text.to_lowercase().into()),
            _ => Value::Missing,
        }
    }
}

impl Operand {
    pub(crate) fn get<'s, 'a>(&self, slots: &'s [Value<'a>]) -> Cow<'s, Value<'a>> {
        match self {
            Self::Field(field) => Cow::Borrowed(field.get(slots)),
            Self::Number(number) => Cow::Owned(Value::Number(Number::from(*number))),
            Self::Call(function, inner) => {
                Cow::Owned(inner.get(slots).map(|value| function.apply(value)))
            }
            Self::Sum(sum) => {
                let (left, sign, right) = &**sum;
                let (left, right) = (left.get(slots), right.get(slots));
                // At most one of them has several values.
                Cow::Owned(left.map(|left| right.map(|right| calculate(left, *sign, right))))
            }
        }
    }

    pub(crate) fn number(&self, slots: &[Value<'_>]) -> Option<f64> {
        number(&self.get(slots))
    }

    /// The fields that the value is made of.
    pub(super) fn fields(&self) -> Vec<&Field> {
        match self {
            Self::Field(field) => vec![field],
            Self::Number(_) => Vec::new(),
            Self::Sum(sum) => [sum.0.fields(), sum.2.fields()].concat(),
            Self::Call(_, inner) => inner.fields(),
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => Some(number.as_f64()),
        _ => None,
    }
}

/// The result is missing if a side is not a number, or if it is not finite.
fn calculate<'a>(left: &Value<'a>, sign: char, right: &Value<'a>) -> Value<'a> {
    let result = number(left).zip(number(right)).map(|(left, right)| match sign {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '/' => left / right,
        _ => left % right,
    });
    let finite = result.filter(|result| result.is_finite()).map(Number::from);
    finite.map_or(Value::Missing, Value::Number)
}

/// A number as it would be read from a line: an integer of 64 bits, or else floating point.
pub(crate) fn parse_number(text: &str) -> Option<Number> {
    let signed = text.parse::<i64>().map(i128::from);
    let integer = signed.or_else(|_| text.parse::<u64>().map(i128::from)).map(Number::Integer);
    integer.ok().or_else(|| text.parse().ok().filter(|n: &f64| n.is_finite()).map(Number::from))
}

/// `NAME=FORMULA`, one `--derive`.
#[derive(Clone, Debug)]
pub(crate) struct Derive {
    pub(super) slot: usize,
    pub(super) formula: Operand,
}

impl Derive {
    /// The derived field is missing if an operand is, or if the result is not finite.
    pub(crate) fn apply(&self, slots: &mut [Value<'_>]) {
        let value = self.formula.get(slots).into_owned();
        slots[self.slot] = value;
    }
}

/// Which names stand for which slots: first the derived fields, then those of the line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) fields: Fields,
    derived: Vec<(String, usize)>,
}

impl Scope {
    /// The field with this path, and the text by which it was written.
    pub(super) fn field(&mut self, path: &[Step], written: &str) -> Field {
        let name = written.into();
        let names = path
            .iter()
            .map_while(|step| if let Step::Field(name) = step { Some(&**name) } else { None });
        let names: Vec<_> = names.collect();
        let (whole, rest) = (names.join("."), &path[names.len()..]);
        let derived = self.derived.iter().rev().find(|(derived, _)| *derived == whole);
        if let (Some((_, slot)), []) = (derived, rest) {
            return Field { slot: *slot, by_whole_name: None, name };
        }
        let slot = self.fields.slot(path.iter().cloned());
        let by_whole_name = (names.len() > 1).then(|| {
            let first = std::iter::once(Step::from(&*whole));
            self.fields.slot(first.chain(rest.iter().cloned()))
        });
        Field { slot, by_whole_name, name }
    }

    pub(super) fn derive(&mut self, name: &str) -> usize {
        let slot = self.fields.spare_slot();
        self.derived.push((name.to_owned(), slot));
        slot
    }
}

/// A value as the JSON text of a key: two values have the same text if and only if they are equal
/// under `=`.
pub(crate) fn key<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Missing | Value::Null | Value::Opaque | Value::Many(_) => Cow::Borrowed(NO_KEY),
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
