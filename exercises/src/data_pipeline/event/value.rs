//! Reads the wanted fields out of a line of JSON, borrowed where they hold no escapes, and skips
//! the rest. The whole line is still validated.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A field of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// Not there.
    #[default]
    Missing,
    Null,
    /// An array or an object, which cannot be compared.
    Opaque,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// The values of a path with `[*]`: at least one, and none is `Missing` or `Many`.
    Many(Vec<Value<'a>>),
}

impl Value<'_> {
    /// Whether it holds for the value, or for any of several.
    pub(crate) fn any(&self, holds: impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::Many(values) => values.iter().any(holds),
            value => holds(value),
        }
    }

    /// Converts the value, or each of several.
    pub(crate) fn map(&self, made: impl Fn(&Self) -> Self) -> Self {
        match self {
            Self::Many(values) => {
                let mut all = Self::Missing;
                for value in values {
                    all.append(made(value));
                }
                all
            }
            value => made(value),
        }
    }

    fn append(&mut self, more: Self) {
        let more = match more {
            Self::Missing => return,
            Self::Many(values) => values,
            value => vec![value],
        };
        match self {
            Self::Many(values) => values.extend(more),
            none => *none = Self::Many(more),
        }
    }
}

/// A number: a whole one exactly, any other as `f64`, so that equal values have the same form.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Number {
    Integer(i128),
    /// Not a whole number, or one beyond 2^126.
    Float(f64),
}

/// The largest magnitude kept as a whole number. Integers of the input have at most 64 bits; larger
/// ones come as floating point.
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
    pub(super) root: Node,
    slots: usize,
    /// Some path leads into an array: then all lines are left to `serde_json`.
    pub(super) into_arrays: bool,
}

/// A step of a path: into the field of an object, or into an item of an array or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Field(Box<str>),
    Item(usize),
    Items,
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Field(name.into())
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) slot: Option<usize>,
    children: Vec<(Box<str>, Node)>,
    items: Option<Box<Items>>,
}

/// What is wanted of the items of an array.
#[derive(Clone, Debug, Default)]
struct Items {
    /// Of each item.
    fields: Fields,
    /// Which slot of an item goes into which of ours: from one item, or from all.
    wanted: Vec<(usize, Option<usize>, usize)>,
}

impl Fields {
    /// The slot in which [`read`](Fields::read) puts the field with this path, step by step.
    pub(crate) fn slot(&mut self, path: impl IntoIterator<Item: Into<Step>>) -> usize {
        let path: Vec<Step> = path.into_iter().map(Into::into).collect();
        self.into_arrays |= path.iter().any(|step| !matches!(step, Step::Field(_)));
        self.root.slot(&path, &mut self.slots)
    }

    /// A new slot for a derived field, which no field of the line fills.
    pub(crate) fn spare_slot(&mut self) -> usize {
        next(&mut self.slots)
    }

    /// Reads `line` into `slots`, one for each wanted field, by `serde_json` alone, which says what is
    /// wrong with a line. Of a repeated field the last counts.
    pub(crate) fn read_with_serde<'a>(
        &self,
        line: &'a str,
        slots: &mut Vec<Value<'a>>,
    ) -> Result<(), serde_json::Error> {
        self.clear(slots);
        let mut json = serde_json::Deserializer::from_str(line);
        if self.slots == 0 && line.trim_ascii_start().starts_with('{') {
            IgnoredAny::deserialize(&mut json)?; // the same, but faster: no field is wanted
        } else {
            json.deserialize_map(Field { node: &self.root, slots })?;
        }
        json.end() // otherwise trailing garbage would pass
    }

    pub(super) fn clear(&self, slots: &mut Vec<Value<'_>>) {
        slots.clear();
        slots.resize_with(self.slots, Value::default);
    }
}

fn next(slots: &mut usize) -> usize {
    *slots += 1;
    *slots - 1
}

impl Node {
    /// The slot at the end of a path; `slots` are there so far.
    fn slot(&mut self, path: &[Step], slots: &mut usize) -> usize {
        match path {
            [] => *self.slot.get_or_insert_with(|| next(slots)),
            [Step::Field(name), rest @ ..] => {
                let known = self.children.iter().position(|(child, _)| child == name);
                let at = known.unwrap_or_else(|| {
                    self.children.push((name.clone(), Self::default()));
                    self.children.len() - 1
                });
                self.children[at].1.slot(rest, slots)
            }
            [step, rest @ ..] => {
                let only = if let Step::Item(at) = step { Some(*at) } else { None };
                let Items { fields, wanted } = &mut **self.items.get_or_insert_default();
                let inner = fields.slot(rest.iter().cloned());
                let known = wanted.iter().find(|(slot, at, _)| (*slot, *at) == (inner, only));
                if let Some((.., slot)) = known {
                    return *slot;
                }
                let slot = next(slots);
                wanted.push((inner, only, slot));
                slot
            }
        }
    }

    /// The field of this name below this one, if it is wanted.
    pub(super) fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children.iter().find(|(child, _)| child.as_bytes() == name).map(|(_, node)| node)
    }

    /// Empties the slots below this field.
    #[inline]
    pub(super) fn forget(&self, slots: &mut [Value<'_>]) {
        for (_, child) in &self.children {
            if let Some(slot) = child.slot {
                slots[slot] = Value::Missing;
            }
            child.forget(slots);
        }
        for (.., slot) in self.items.iter().flat_map(|items| &items.wanted) {
            slots[*slot] = Value::Missing;
        }
    }
}

impl Items {
    /// Reads the items of an array, and puts what is wanted of them into `slots`.
    fn read<'a, A: SeqAccess<'a>>(
        &self,
        seq: &mut A,
        slots: &mut [Value<'a>],
    ) -> Result<(), A::Error> {
        let all = self.wanted.iter().any(|(_, only, _)| only.is_none());
        let last = self.wanted.iter().filter_map(|(_, only, _)| *only).max();
        let mut inner = Vec::new();
        for at in 0.. {
            if !all && last < Some(at) {
                break; // the rest is skipped
            }
            self.fields.clear(&mut inner);
            let item = Field { node: &self.fields.root, slots: &mut inner };
            if seq.next_element_seed(item)?.is_none() {
                break;
            }
            for (slot, only, outer) in &self.wanted {
                match only {
                    None => slots[*outer].append(inner[*slot].clone()),
                    Some(only) if *only == at => slots[*outer] = inner[*slot].clone(),
                    Some(_) => {}
                }
            }
        }
        Ok(())
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
        Ok(self.0.child(name.as_bytes()))
    }
}

/// Reads a value into its slot, and the objects below it into theirs.
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
        f.write_str("an object") // only a line itself must be an object
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
        if let Some(items) = &self.node.items {
            items.read(&mut seq, self.slots)?;
        }
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
                    node.forget(self.slots); // a repeated field replaces its value
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
    fn one_item_or_all_items_of_an_array_are_found() {
        use Step::{Item, Items};
        let line =
            r#"{"a":[{"b":1,"t":["x","y"]},7,{"b":2,"b":3,"t":["z"]},{"c":1}],"n":[[1,2],[3]]}"#;
        let number = |number| Value::Number(Number::Integer(number));
        let of = |line: &'static str, path: &[Step]| {
            let mut fields = Fields::default();
            let (first, slot) =
                (fields.slot([Step::from("a"), Item(0), "b".into()]), fields.slot(path.to_vec()));
            assert_eq!(fields.slot(path.to_vec()), slot, "one path has one slot");
            let mut slots = Vec::new();
            fields.read(line, &mut slots).unwrap();
            (slots[first].clone(), slots[slot].clone())
        };
        let (a, b, t, n) = (Step::from("a"), Step::from("b"), Step::from("t"), Step::from("n"));
        for (path, value) in [
            (vec![a.clone(), Item(2), b.clone()], number(3)),
            (vec![a.clone(), Item(1)], number(7)),
            (vec![a.clone(), Item(0)], Value::Opaque),
            (vec![a.clone(), Item(4)], Value::Missing),
            (vec![a.clone(), Items, b.clone()], Value::Many(vec![number(1), number(3)])),
            (
                vec![a.clone(), Items, t.clone(), Items],
                Value::Many(["x", "y", "z"].map(text).to_vec()),
            ),
            (
                vec![a.clone(), Items, t.clone(), Item(0)],
                Value::Many(["x", "z"].map(text).to_vec()),
            ),
            (vec![a.clone(), Items, "none".into()], Value::Missing),
            (vec![n.clone(), Item(0), Item(1)], number(2)),
            (vec![n, Items, Items], Value::Many([1, 2, 3].map(number).to_vec())),
        ] {
            assert_eq!(of(line, &path), (number(1), value), "{path:?}");
        }
        // Of a repeated array the last counts.
        let (_, last) = of(r#"{"a":[{"b":1},{"b":2}],"a":[{"b":3}]}"#, &[a, Items, b]);
        assert_eq!(last, Value::Many(vec![number(3)]));
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
        "n":-0,"big":18446744073709551616,"t":true,"f":false,"z":null,"a":{"b":0.5},"l":[1,{"b":2},[3]]} "#;

    proptest! {
        /// The two readers agree on whether a line is an object and on its fields, however it is
        /// damaged.
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
            fuzz::fields(format!("a.b,a,key,n,big,t,f,z,l.0,l.*.b,l.2.0,l.*.*,l.*,a.s.*.b\n{line}").as_bytes());
        }
    }

    /// Values of all kinds as they may be written, and some that are invalid.
    fn json() -> BoxedStrategy<String> {
        let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
        let odd = r"[-+.0-9eE]{1,6}|tru|nul|NaN|\{|\[|,|:";
        let part = r#"[ !#-Z^-~]{0,70}|é😀|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00"#;
        let text = proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat());
        let text = text.prop_map(|text| format!("\"{text}\"")).boxed();
        let leaf = prop_oneof![
            20 => number,
            20 => text.clone(),
            20 => "true|false|null",
            1 => odd,
        ];
        let key = prop_oneof![4 => "\"[abk]\"", 1 => text];
        leaf.prop_recursive(5, 24, 4, move |inner| {
            let member = (key.clone(), "[ \t\r]{0,2}", inner.clone());
            let member =
                member.prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
            let all = |parts: Vec<String>| parts.join(" ,");
            prop_oneof![
                proptest::collection::vec(inner, 0..4)
                    .prop_map(move |parts| format!("[{}]", all(parts))),
                proptest::collection::vec(member, 0..4)
                    .prop_map(move |parts| format!("{{{}}}", all(parts))),
            ]
        })
        .boxed()
    }

    proptest! {
        #[test]
        fn lines_made_by_the_grammar_are_read_as_serde_json_reads_them(
            (first, second, third) in (json(), json(), json())
        ) {
            let line = format!("{{\"a\":{first},\"b\":{second},\"a\":{third}}}");
            fuzz::fields(format!("a,a.b,b,b.k.a\n{line}").as_bytes());
            fuzz::fields(format!("a,b\n{first}").as_bytes());
        }
    }

    /// Each rule of the grammar, kept and broken, in a wanted value, a skipped value and a key.
    #[test]
    fn every_rule_of_the_grammar_is_kept() {
        let numbers = "0 -0 1 -1 10 01 -01 00 - + +1 .5 5. 0.5 -.5 1.e1 1e 1e+ 1e5 1E-5 1e+05 0e1 0x1 \
            1_0 9223372036854775807 -9223372036854775808 -9223372036854775809 18446744073709551615 \
            18446744073709551616 1e308 1e309 -1e999 1e-999 0.1 0.30000000000000004 5e-324 \
            123456789012345678901234567890 2.2250738585072011e-308 Infinity NaN 1٣";
        let words = "true false null True tru truex nul nullx undefined 'a'";
        let nested =
            "[] [1] [1,] [,1] [1 2] [[]] [[] {} {{}} {\"a\"} {\"a\":} {\"a\":1,} {,} {1:2} ] } : ,";
        let strings = [
            r#""""#,
            r#""a"#,
            r#"a""#,
            r#""\""#,
            r#""\\""#,
            r#""\\\""#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u0000""#,
            r#""\uD83D\uDE00""#,
            r#""\uD83D""#,
            r#""\uDE00\uD83D""#,
            r#""\uD83D\u0041""#,
            r#""a" "b""#,
            "\"\u{1}\"",
            "\"\t\"",
            "\"\u{7f}\u{2028}\u{10ffff}\"",
        ];
        let cases = [numbers, words, nested].into_iter().flat_map(|cases| cases.split(' '));
        let cases = cases.chain(strings).map(str::to_owned);
        let deep = [1, 62, 63, 64, 65, 126, 127, 128, 129, 500].into_iter().flat_map(|depth| {
            let nest = |open: &str, close: &str| open.repeat(depth) + "1" + &close.repeat(depth);
            [nest("[", "]"), nest("{\"a\":", "}")]
        });
        let lengths = (0..140).flat_map(|length| {
            let text = "x".repeat(length);
            [
                format!("\"{text}\""),
                format!("\"{text}\\n\""),
                format!("\"{text}é\""),
                format!("\"{text}"),
            ]
        });
        for value in cases.chain(deep).chain(lengths) {
            for line in [
                format!("{{\"a\":{value}}}"),
                format!("{{\"b\":{value},\"a\":1}}"),
                format!(" {{ \"b\" : [ {value} , {value} ] , \"c\":{{\"a\":{value}}} }}\r\n"),
                format!("{{{value}:1}}"),
                format!("{{\"a\":1}}{value}"),
                value.clone(),
            ] {
                for paths in ["a", "a.a", "c.a", "b,a", "z"] {
                    fuzz::fields(format!("{paths}\n{line}").as_bytes());
                }
            }
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
