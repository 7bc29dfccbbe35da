//! What users write about fields: `status>=500 and path~^/api` keeps events, `seconds=latency_ms/1000`
//! adds a field. A derived field is seen by later expressions and by the windows, never by `--out`.

mod syntax;

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;

use super::rows::NO_KEY;
use super::value::{Fields, Number, Value};

/// One `--where`.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Or(Box<[Condition; 2]>),
    And(Box<[Condition; 2]>),
    Not(Box<Condition>),
    Exists(Field),
    Compare { left: Operand, sign: Sign, right: Literal },
    In(Operand, Vec<Literal>),
    Matches { left: Operand, regex: Regex, negated: bool },
}

/// What gives a value of an event: a field, or what is made of fields.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a value is compared with: of the same type, or it is another value.
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
            Self::Compare { left, sign, right } => sign.holds(right.order(&left.get(slots))),
            Self::In(left, list) => {
                let value = left.get(slots);
                list.iter().any(|literal| literal.order(&value) == Some(Ordering::Equal))
            }
            Self::Matches { left, regex, negated } => {
                let matches =
                    matches!(&*left.get(slots), Value::Text(text) if regex.is_match(text));
                matches != *negated
            }
        }
    }
}

impl Sign {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "=" | "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    /// Whether it holds for the order of its two sides, if they have one.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Unequal => order != Some(Ordering::Equal),
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
            // No boolean is less than the other.
            (Value::Bool(value), Self::Bool(ours)) => (value == ours).then_some(Ordering::Equal),
            (Value::Null, Self::Null) => Some(Ordering::Equal),
            _ => None,
        }
    }
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
    fn of(name: &str) -> Option<Self> {
        match name {
            "num" => Some(Self::Num),
            "text" => Some(Self::Text),
            "lower" => Some(Self::Lower),
            _ => None,
        }
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
            Self::Call(function, inner) => Cow::Owned(function.apply(&inner.get(slots))),
            Self::Sum(sum) => {
                let (left, sign, right) = &**sum;
                let result = left.number(slots).zip(right.number(slots));
                let result = result.map(|(left, right)| match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    '/' => left / right,
                    _ => left % right,
                });
                let finite = result.filter(|result| result.is_finite()).map(Number::from);
                Cow::Owned(finite.map_or(Value::Missing, Value::Number))
            }
        }
    }

    pub(crate) fn number(&self, slots: &[Value<'_>]) -> Option<f64> {
        match &*self.get(slots) {
            Value::Number(number) => Some(number.as_f64()),
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

/// `NAME=FORMULA`, one `--derive`.
#[derive(Clone, Debug)]
pub(crate) struct Derive {
    slot: usize,
    formula: Operand,
}

impl Derive {
    /// The derived field is missing where an operand is, or where the result is not finite.
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
    /// The field with this path.
    pub(crate) fn field<S: AsRef<str>>(&mut self, names: &[S]) -> Field {
        let whole = names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".");
        let derived = self.derived.iter().rev().find(|(derived, _)| *derived == whole);
        if let Some((_, slot)) = derived {
            return Field { slot: *slot, by_whole_name: None };
        }
        let slot = self.fields.slot(names.iter().map(AsRef::as_ref));
        let by_whole_name = (names.len() > 1).then(|| self.fields.slot([&*whole]));
        Field { slot, by_whole_name }
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
        Value::Missing | Value::Null | Value::Opaque => Cow::Borrowed(NO_KEY),
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
    use proptest::prelude::*;

    use super::*;

    fn met(condition: &str, line: &str) -> bool {
        let mut scope = Scope::default();
        let condition = Condition::parse(condition, &mut scope).unwrap();
        let mut slots = Vec::new();
        scope.fields.read(line, &mut slots).unwrap();
        condition.is_met(&slots)
    }

    fn refused(condition: &str) -> String {
        Condition::parse(condition, &mut Scope::default()).unwrap_err()
    }

    const LINE: &str = r#"{"status":503,"path":"/api/x","ok":true,"code":"503","empty":"","nil":null,
        "list":[1],"http":{"method":"GET"},"x.y":1,"content-length":2048,"Agent":"Curl","n":-2}"#;

    #[test]
    fn conditions_that_hold() {
        for yes in [
            "status>=500",
            "status >= 503",
            "status<=503",
            "status>502.5",
            "status<504",
            "status=503",
            "status==503",
            "status!=500",
            "path~^/api",
            "path=/api/x",
            "path>\"/a\"",
            "ok=true",
            r#"code="503""#,
            "code~^5",
            "empty=",
            "none!=1",
            "none!~1",
            "nil=null",
            "none!=null",
            "http.method=GET",
            "http.\"method\"=GET",
            "x.y=1",
            "\"x.y\"=1",
            "content-length>=2048",
            "\"content-length\"/1024=2",
            "num(code)>=500",
            "text(status)=503",
            "text(status)=\"503\"",
            "lower(Agent)=curl",
            "exists(nil) and exists(list) and not exists(none)",
            "status in [500, 503]",
            "http.method in [POST,\"GET\"]",
            "status>=500 && http.method=GET",
            "status<500 || http.method=GET",
            "status<500 or status>=500 and ok=true",
            "(status<500 or status>=500) and not (ok=false)",
            "!(status=1) and !exists(none)",
            "status + 2 * 3 - 9 = 500",
            "(status + 1) * 2 = 1008",
            "status % 100 = 3",
            "-n=2",
            "path~^/(api|img)/x$ and ok=true",
            "(path~(api|img))",
            "path~\"^/api/x$\"",
            "not not ok=true",
        ] {
            // A number in quotes is a text, and `text()` gives texts: so both may stand there.
            let is_text = yes == "text(status)=503";
            assert_eq!(met(yes, LINE), !is_text, "{yes}");
        }
    }

    #[test]
    fn conditions_that_do_not_hold() {
        for no in [
            "status>503",
            "status<503",
            "status=504",
            "status!=503",
            "path~^api",
            "path!~^/api",
            "ok=false",
            "ok=\"true\"",
            "code=503",
            "none=1",
            "none<1",
            "none=null",
            "list=null",
            "status~5",
            "status=\"503\"",
            "status in [500,\"503\"]",
            "exists(http.none)",
            "status>=500 and http.method=POST",
            "not status>=500",
            "num(path)>0",
            "status/0>0",
        ] {
            assert!(!met(no, LINE), "{no}");
        }
    }

    #[test]
    fn a_slip_is_refused_with_its_place_and_the_right_form() {
        for (text, column, why) in [
            ("", 0, "expected FIELD OP VALUE"),
            ("status", 6, "expected FIELD OP VALUE"),
            (">=500", 0, "expected FIELD OP VALUE"),
            ("status>=5OO", 8, "`5OO` is no number"),
            ("ok>true", 3, "`true` is no number"),
            ("status=>500", 6, "`=>` is no operator"),
            ("status>>5", 6, "`>>` is no operator"),
            ("path=~^/api", 4, "`=~` is no operator"),
            ("status<>5", 6, "`<>` is no operator"),
            ("a= =1", 3, "one more behind it"),
            ("status>=500 && ", 15, "expected FIELD OP VALUE"),
            ("status>=500 m=GET", 12, "expected `and`, `or` or the end"),
            ("msg=hello world", 10, "goes into quotes"),
            ("len(path)>3", 0, "unknown function `len`; there are num, text, lower and exists"),
            (".status=1", 0, "expected FIELD OP VALUE"),
            ("a[0=1", 1, "expected FIELD OP VALUE"),
            ("path~(", 5, "not a regular expression"),
            ("path=\"x", 5, "the quotes are not closed"),
            ("(a=1", 4, "expected FIELD OP VALUE"),
            ("a in [1,]", 8, "expected a value"),
            ("a in [1", 7, "expected FIELD OP VALUE"),
        ] {
            let refusal = refused(text);
            let lines: Vec<_> = refusal.lines().collect();
            assert!(
                lines[0].starts_with("invalid condition: ") && lines[0].contains(why),
                "{refusal}"
            );
            assert_eq!(lines[1], format!("  {text}"), "{refusal}");
            assert_eq!(lines[2], format!("{:1$}^", "", column + 2), "{refusal}");
        }
    }

    #[test]
    fn an_expression_without_end_is_refused_and_not_a_crash() {
        for text in ["(".repeat(4000), "-".repeat(4000), "!".repeat(4000), "not ".repeat(1000)] {
            assert!(refused(&text).contains("nested too deep"));
            assert!(Derive::parse(&format!("a={text}"), &mut Scope::default()).is_err());
        }
        assert!(refused(&"a=1 or ".repeat(1000)).contains("longer than the 4096"));
        assert!(met(&("a=1 or ".repeat(500) + "none!=1"), "{}"));
    }

    #[test]
    fn a_derived_field_is_computed_and_used_like_any_other() {
        let mut scope = Scope::default();
        let derive = Derive::parse("seconds = num(latency_ms) / 1000", &mut scope).unwrap();
        let condition = Condition::parse("seconds>=1.5", &mut scope).unwrap();
        let test = |line| {
            let mut slots = Vec::new();
            scope.fields.read(line, &mut slots).unwrap();
            derive.apply(&mut slots);
            condition.is_met(&slots)
        };
        assert!(test(r#"{"latency_ms":1500}"#));
        assert!(test(r#"{"latency_ms":"1500"}"#));
        assert!(!test(r#"{"latency_ms":1499}"#));
        assert!(!test(r#"{"latency_ms":"slow"}"#));
        // The line's own field of that name is hidden.
        assert!(!test(r#"{"seconds":9}"#));
    }

    #[test]
    fn what_derives_nothing_is_refused() {
        for text in ["", "a", "=b", "a=", "a=b+", "a=b c"] {
            assert!(Derive::parse(text, &mut Scope::default()).is_err(), "{text}");
        }
        let refusal = Derive::parse("a = b + ", &mut Scope::default()).unwrap_err();
        assert!(
            refusal.starts_with("invalid --derive: expected fields") && refusal.ends_with(" ^")
        );
    }

    #[test]
    fn equal_values_have_equal_keys() {
        let key = |value| key(&value).into_owned();
        assert_eq!(key(Value::Text("a\"b".into())), r#""a\"b""#);
        assert_eq!(key(Value::Number(Number::Integer(503))), "503");
        assert_eq!(key(Value::Missing), "null");
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
                let (a, b) = (fields.slot(["a"]), fields.slot(["b"]));
                let mut slots = Vec::new();
                fields.read(&line, &mut slots).unwrap();
                let same = key(&slots[a]) == key(&slots[b]);
                assert_eq!(same, met(&format!("a={right}"), &line), "{line}");
            }
        }
    }

    /// A condition as text, and what it gives for each of the lines, computed in another way.
    type Case = (String, Vec<bool>);

    const LINES: [&str; 5] = [
        r#"{"a":1,"b":"x","c":{"d":2}}"#,
        r#"{"a":"1","b":"y"}"#,
        r#"{"a":2.5,"b":true,"c":{"d":"2"}}"#,
        r#"{"b":null}"#,
        r#"{"c.d":2,"a":-1}"#,
    ];

    fn lookup<'j>(path: &str, line: &'j serde_json::Value) -> Option<&'j serde_json::Value> {
        let nested = path.split('.').try_fold(line, |value, name| value.get(name));
        nested.or_else(|| line.get(path))
    }

    fn on_all(holds: impl Fn(&serde_json::Value) -> bool) -> Vec<bool> {
        LINES.map(|line| holds(&serde_json::from_str(line).unwrap())).to_vec()
    }

    fn leaf() -> impl Strategy<Value = Case> {
        let path = prop_oneof![Just("a"), Just("b"), Just("c.d"), Just("none")];
        let number = (
            path.clone(),
            prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("="), Just("!=")],
            -2..4_i32,
        );
        let number = number.prop_map(|(path, sign, number)| {
            let holds = on_all(|line| {
                let order = lookup(path, line)
                    .and_then(serde_json::Value::as_f64)
                    .map(|left| left.total_cmp(&f64::from(number)));
                match sign {
                    "<" => order == Some(Ordering::Less),
                    "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    ">" => order == Some(Ordering::Greater),
                    ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                    "=" => order == Some(Ordering::Equal),
                    _ => order != Some(Ordering::Equal),
                }
            });
            (format!("{path}{sign}{number}"), holds)
        });
        let text = (path.clone(), prop_oneof![Just("x"), Just("y"), Just("1")]).prop_map(
            |(path, text)| {
                let holds = on_all(|line| {
                    lookup(path, line).and_then(|value| value.as_str()) == Some(text)
                });
                (format!("{path} = \"{text}\""), holds)
            },
        );
        let exists = path.prop_map(|path| {
            (format!("exists({path})"), on_all(|line| lookup(path, line).is_some()))
        });
        prop_oneof![number, text, exists]
    }

    fn case() -> impl Strategy<Value = Case> {
        leaf().prop_recursive(4, 24, 2, |inner| {
            let pair = (
                inner.clone(),
                inner.clone(),
                prop_oneof![Just("and"), Just("&&"), Just("or"), Just("||")],
            );
            let pair = pair.prop_map(|((left, of_left), (right, of_right), joint)| {
                let holds = of_left.iter().zip(of_right).map(|(left, right)| match joint {
                    "and" | "&&" => *left && right,
                    _ => *left || right,
                });
                (format!("({left}) {joint} ({right})"), holds.collect())
            });
            let not = inner.prop_map(|(text, holds)| {
                (format!("not ({text})"), holds.into_iter().map(|holds| !holds).collect())
            });
            prop_oneof![pair, not]
        })
    }

    proptest! {
        #[test]
        fn a_condition_holds_where_a_slow_evaluation_says_so((text, holds) in case()) {
            let ours: Vec<_> = LINES.iter().map(|line| met(&text, line)).collect();
            prop_assert_eq!(ours, holds, "{}", text);
        }
    }
}
