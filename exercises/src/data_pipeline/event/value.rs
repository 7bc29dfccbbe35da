//! Reads the wanted fields out of a line of JSON, borrowed where they hold no escapes, and skips
//! the rest. The whole line is validated all the same.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// Not there.
    #[default]
    Missing,
    Null,
    /// There, but an array or an object, which cannot be compared.
    Opaque,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

/// A whole number, exactly, or any other number as `f64`: one value has one form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Integer(i128),
    /// Not a whole number, or one beyond 2^126.
    Float(f64),
}

/// Whole numbers up to here are kept as such. Integers of the input have 64 bits at most; those
/// beyond come as floating point.
const WHOLE: f64 = (1_i128 << 126) as f64;

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() <= WHOLE {
            Self::Integer(number as i128)
        } else {
            Self::Float(number)
        }
    }
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.partial_cmp(right),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

/// The wanted fields: a tree of names, since `a.b` is the field `b` of the object `a`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    root: Node,
    slots: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<(Box<str>, Node)>,
}

impl Fields {
    /// The slot in which [`read`](Fields::read) puts the field with this path, name by name.
    pub(crate) fn slot<'p>(&mut self, path: impl IntoIterator<Item = &'p str>) -> usize {
        let mut node = &mut self.root;
        for name in path {
            let known = node.children.iter().position(|(child, _)| **child == *name);
            let at = known.unwrap_or_else(|| {
                node.children.push((name.into(), Node::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        *node.slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// A slot that no field of the line fills: for a derived field.
    pub(crate) fn spare_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Reads `line` into `slots`, one for each wanted field. Of a repeated field the last counts.
    pub(crate) fn read<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<(), serde_json::Error> {
        slots.clear();
        slots.resize(self.slots, Value::Missing);
        let mut json = serde_json::Deserializer::from_str(line);
        if self.slots == 0 && line.trim_ascii_start().starts_with('{') {
            IgnoredAny::deserialize(&mut json)?; // the same, faster: nothing is wanted
        } else {
            json.deserialize_map(Field { node: &self.root, slots })?;
        }
        json.end() // or trailing garbage would pass
    }
}

impl Node {
    /// Empties the slots below this field.
    fn forget(&self, slots: &mut [Value<'_>]) {
        for (_, child) in &self.children {
            if let Some(slot) = child.slot {
                slots[slot] = Value::Missing;
            }
            child.forget(slots);
        }
    }
}

/// Reads a key: the child of that name, if it is wanted.
struct Name<'n>(&'n Node);

impl<'a, 'n> DeserializeSeed<'a> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|(child, _)| **child == *name).map(|(_, node)| node))
    }
}

/// Reads a value: into its slot, and the objects below it into theirs.
struct Field<'n, 's, 'a> {
    node: &'n Node,
    slots: &'s mut Vec<Value<'a>>,
}

impl<'a> Field<'_, '_, 'a> {
    fn put(self, value: Value<'a>) {
        if let Some(slot) = self.node.slot {
            self.slots[slot] = value;
        }
    }
}

impl<'a> DeserializeSeed<'a> for Field<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Field<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object") // what a line must be; inside of it any value will do
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(Value::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(Value::Number(Number::Integer(value.into())));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(Value::Number(Number::Integer(value.into())));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(Value::Number(value.into()));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<(), E> {
        self.put(Value::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.put(Value::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(Value::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.put(Value::Opaque);
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some(slot) = self.node.slot {
            self.slots[slot] = Value::Opaque;
        }
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => {
                    node.forget(self.slots); // what it held if it is repeated
                    map.next_value_seed(Field { node, slots: self.slots })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data_pipeline::fuzz;

    fn read<'a>(paths: &[&str], line: &'a str) -> Result<Vec<Value<'a>>, String> {
        let mut fields = Fields::default();
        let at: Vec<_> = paths.iter().map(|path| fields.slot(path.split('.'))).collect();
        let mut slots = Vec::new();
        fields.read(line, &mut slots).map_err(|err| err.to_string())?;
        Ok(at.into_iter().map(|slot| slots[slot].clone()).collect())
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text))
    }

    #[test]
    fn wanted_fields_are_found_at_any_depth_and_escaped() {
        let line = r#"{"a":{"b":"x","skip":[1,{"b":2}]},"k\u0065y":"caf\u00e9","n":-7,"f":1.5}"#;
        let values = read(&["a.b", "key", "n", "f", "none"], line).unwrap();
        let number = |number| Value::Number(Number::Integer(number));
        let float = Value::Number(Number::Float(1.5));
        assert_eq!(values, [text("x"), text("café"), number(-7), float, Value::Missing]);
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let values = read(&["a"], r#"{"a":"plain"}"#).unwrap();
        assert!(matches!(values[0], Value::Text(Cow::Borrowed("plain"))));
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        assert_eq!(read(&["a"], r#"{"a":"x","a":"y"}"#).unwrap(), [text("y")]);
        assert_eq!(read(&["a"], r#"{"a":"x","a":{}}"#).unwrap(), [Value::Opaque]);
        for (last, left) in [
            ("1", Value::Missing),
            ("{}", Value::Missing),
            (r#"{"b":null}"#, Value::Null),
            (r#"{"c":"x"}"#, Value::Missing),
        ] {
            let line = format!(r#"{{"a":{{"b":"x"}},"a":{last}}}"#);
            assert_eq!(read(&["a.b"], &line).unwrap(), [left], "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_one_json_object_is_refused() {
        for line in ["", "1", "[]", "{", r#"{"a":1}x"#, r#"{"b":tru}"#, r#"{"b":1,}"#, "{} {}"] {
            assert!(read(&["a"], line).is_err(), "{line}");
            assert!(read(&[], line).is_err(), "{line}, where nothing is wanted");
        }
        // Out of range and lone surrogates: refused where the field is wanted.
        assert!(read(&["a"], r#"{"a":1e400}"#).is_err());
        assert!(read(&["a"], r#"{"a":"\ud800"}"#).is_err());
    }

    const LINE: &str = r#" {"a":{"b":"x\n\u00e9\ud83d\ude00","s":[1,{"b":-2.5e+3}]},"k\u0065y" : "café",
        "n":-0,"big":18446744073709551616,"t":true,"f":false,"z":null,"a":{"b":0.5}} "#;

    proptest! {
        /// Both agree on what is an object, and on what is in it, however it is damaged.
        #[test]
        fn a_damaged_line_is_read_as_serde_json_reads_it(
            damage in proptest::collection::vec((0..LINE.len(), 0..4, any::<u8>()), 1..4)
        ) {
            let mut bytes = LINE.as_bytes().to_vec();
            for (at, kind, byte) in damage {
                let (at, other) = (at % bytes.len(), usize::from(byte) % bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, bytes[other]),
                    _ => bytes[at] = b"\"\\{}[],:0-.e u"[other % 14],
                }
            }
            let line = String::from_utf8_lossy(&bytes).replace('\n', " ");
            fuzz::fields(format!("a.b,a,key,n,big,t,f,z\n{line}").as_bytes());
        }
    }

    #[test]
    fn one_value_has_one_form_and_is_compared_exactly() {
        for (text, value) in
            [("503.0", 503), ("-0.0", 0), ("-0", 0), ("1e3", 1000), ("1e20", 10_i128.pow(20))]
        {
            let line = format!(r#"{{"n":{text}}}"#);
            let values = read(&["n"], &line).unwrap();
            let Value::Number(Number::Integer(number)) = values[0] else { panic!("{values:?}") };
            assert_eq!(number, value, "{text}");
        }
        // 2^64 and the integer before it, which as floating point are one.
        let values = read(&["a", "b"], r#"{"a":18446744073709551615,"b":18446744073709551616}"#);
        let values = values.unwrap();
        assert_ne!(values[0], values[1]);
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        let large = |n: i128| Number::Integer(n);
        assert!(large(9_007_199_254_740_993) > large(9_007_199_254_740_992));
        assert!(large(1) < Number::Float(1.5));
    }
}
