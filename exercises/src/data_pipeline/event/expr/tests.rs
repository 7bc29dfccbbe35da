use proptest::prelude::*;

use super::*;
use crate::data_pipeline::event::value::{Fields, Number};

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
        "status * 2e3 = 1.006E6",
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
fn a_mistake_is_refused_with_its_place_and_the_right_form() {
    for (text, column, why) in [
        ("", 0, "expected FIELD OP VALUE"),
        ("status", 6, "expected FIELD OP VALUE"),
        (">=500", 0, "expected FIELD OP VALUE"),
        ("status>=5OO", 8, "`5OO` is not a number"),
        ("ok>true", 3, "`true` is not a number"),
        ("status=>500", 6, "unknown operator `=>`"),
        ("status>>5", 6, "unknown operator `>>`"),
        ("path=~^/api", 4, "unknown operator `=~`"),
        ("status<>5", 6, "unknown operator `<>`"),
        ("a= =1", 3, "`=1` begins like an operator"),
        ("status>=500 && ", 15, "expected FIELD OP VALUE"),
        ("status>=500 m=GET", 12, "expected an operator, `and`, `or` or the end"),
        ("503=status", 0, "a field stands left"),
        ("5<status", 0, "a field stands left"),
        ("status>1 and (1+1=2)", 14, "a field stands left"),
        ("msg=hello world", 10, "into quotes"),
        ("len(path)>3", 0, "unknown function `len`; there are num, text, lower and exists"),
        (".status=1", 0, "a path begins with a name"),
        ("a[0=1", 2, "a[*] is any of them"),
        ("a[-1]=1", 2, "a[*] is any of them"),
        ("a[]=1", 2, "a[*] is any of them"),
        ("a.=1", 2, "expected FIELD OP VALUE"),
        ("a[*]+b[*]>1", 5, "a comparison may have one"),
        ("'a'=1", 0, "in double quotes"),
        ("a='GET'", 2, "a text stands in double quotes, \"GET\""),
        ("a in ['GET', 'PUT']", 6, "a text stands in double quotes, \"GET\""),
        ("a~'^x'", 2, "a text stands in double quotes, \"^x\""),
        ("status=503,ok=true", 7, "join conditions with `and`"),
        ("path~^/api&&m=GET", 5, "put a space before `&&`"),
        ("path~^/api||m=GET", 5, "put a space before `||`"),
        ("path~(", 5, "not a regular expression"),
        ("path=\"x", 5, "the quotes are not closed"),
        ("(a=1", 4, "expected FIELD OP VALUE"),
        ("a in [1,]", 8, "expected a value"),
        ("a in [1", 7, "expected FIELD OP VALUE"),
    ] {
        let refusal = refused(text);
        let lines: Vec<_> = refusal.lines().collect();
        assert!(lines[0].starts_with("invalid condition: ") && lines[0].contains(why), "{refusal}");
        assert_eq!(lines[1], format!("  {text}"), "{refusal}");
        assert_eq!(lines[2], format!("{:1$}^", "", column + 2), "{refusal}");
    }
}

#[test]
fn an_endless_expression_is_refused() {
    assert!(refused(&"(".repeat(4000)).contains("nested too deep"));
    for text in ["(".repeat(4000), "-".repeat(4000), "!".repeat(4000), "not ".repeat(1000)] {
        assert!(!refused(&text).is_empty());
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
fn only_conditions_take_several_values() {
    let line = r#"{"a":[{"b":1,"t":["x"]},{"b":"5","t":["y","z"]}],"c.d":[7],"e":[]}"#;
    for (condition, is_met) in [
        ("a[0].b=1", true),
        ("a[1].b=1", false),
        ("a[2].b=1", false),
        ("a[*].b=1", true),
        ("a[*].b=2", false),
        ("a[*].b!=1", false), // this is not the same as `not a[*].b=1`
        ("a[*].b!=2", true),
        ("num(a[*].b)>4", true),
        ("num(a[*].b)*2+1=11", true),
        ("100-num(a[*].b)<96", true),
        ("a[*].t[*]=z", true),
        ("a[*].t[*] in [q, y]", true),
        ("a[*].t[*]~^[xq]$", true),
        ("a[*].t[*]!~^[xq]$", false),
        ("a[1].t[1]=z", true),
        ("a[*].t[0]=z", false),
        ("exists(a[*].b) and not exists(a[*].c) and not exists(e[*])", true),
        ("e[*]=1", false),
        ("e[*]!=1", true),
        ("c.d[0]=7 and c.d[*]=7", true),
        ("a[*].b=1 and a[*].t[*]=y", true),
        ("(a[*].b=1) and (a[*].b=\"5\")", true),
    ] {
        assert_eq!(met(condition, line), is_met, "{condition}");
    }
    let refusal = Operand::parse("--by", "lower(a[*].t)", &mut Scope::default()).unwrap_err();
    assert!(refusal.contains("write [0]\n  lower(a[*].t)\n        ^"), "{refusal}");
    assert!(Derive::parse("x=a[*]", &mut Scope::default()).is_err());
    assert!(Field::parse("--time", "a[*]", &mut Scope::default()).is_err());
}

#[test]
fn the_fields_that_decide_are_named() {
    for (condition, is_met, names) in [
        ("a=1 and b=1", false, &["b"][..]),
        ("a=1 and b=2", true, &["a", "b"]),
        ("a=1 or b=1", true, &["a"]),
        ("a=2 or not b=2", false, &["a", "b"]),
        ("not (a=1 and b.\"c d\"[*]+text(x[0])=1)", true, &["b.\"c d\"[*]", "x[0]"]),
        ("exists( a )", true, &["a"]),
    ] {
        let mut scope = Scope::default();
        let condition = Condition::parse(condition, &mut scope).unwrap();
        let mut slots = Vec::new();
        scope.fields.read(r#"{"a":1,"b":2}"#, &mut slots).unwrap();
        let fields = condition.decided(&slots);
        let ours: Vec<_> = fields.iter().map(|field| &*field.name).collect();
        assert_eq!((condition.is_met(&slots), &ours[..]), (is_met, names));
    }
}

#[test]
fn an_invalid_derive_is_refused() {
    for text in ["", "a", "=b", "a=", "a=b+", "a=b c"] {
        assert!(Derive::parse(text, &mut Scope::default()).is_err(), "{text}");
    }
    let refusal = Derive::parse("a = b + ", &mut Scope::default()).unwrap_err();
    assert!(
        refusal.starts_with("invalid --derive: expected NAME=FORMULA") && refusal.ends_with(" ^")
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

const LINES: [&str; 7] = [
    r#"{"l":[1,"x",{"d":3}],"a":3,"c":{"l":[{"d":1},{"d":[2]}]}}"#,
    r#"{"l":[{"d":"y"},2.5,null],"c.l":[{"d":2},4]}"#,
    r#"{"a":1,"b":"x","c":{"d":2}}"#,
    r#"{"a":"1","b":"y"}"#,
    r#"{"a":2.5,"b":true,"c":{"d":"2"}}"#,
    r#"{"b":null}"#,
    r#"{"c.d":2,"a":-1}"#,
];

/// All values that a path leads to.
fn lookup<'j>(path: &str, line: &'j serde_json::Value) -> Vec<&'j serde_json::Value> {
    let steps: Vec<_> = path.split(['.', '[']).collect();
    let nested = follow(&steps, vec![line]);
    match steps[..] {
        [first, second, ref rest @ ..] if nested.is_empty() && !second.ends_with(']') => {
            let whole = line.get(format!("{first}.{second}"));
            follow(rest, whole.into_iter().collect())
        }
        _ => nested,
    }
}

fn follow<'j>(steps: &[&str], from: Vec<&'j serde_json::Value>) -> Vec<&'j serde_json::Value> {
    steps.iter().fold(from, |values, step| {
        let of = |value: &'j serde_json::Value| match step.strip_suffix(']') {
            Some("*") => value.as_array().map(|items| items.iter().collect()).unwrap_or_default(),
            Some(at) => value.get(at.parse::<usize>().unwrap()).into_iter().collect::<Vec<_>>(),
            None => value.get(step).into_iter().collect(),
        };
        values.into_iter().flat_map(of).collect()
    })
}

fn on_all(holds: impl Fn(&serde_json::Value) -> bool) -> Vec<bool> {
    LINES.map(|line| holds(&serde_json::from_str(line).unwrap())).to_vec()
}

fn leaf() -> impl Strategy<Value = Case> {
    let path = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c.d"),
        Just("none"),
        Just("l[0]"),
        Just("l[*]"),
        Just("l[*].d"),
        Just("c.l[*].d"),
        Just("c.l[1]"),
        Just("c.l[*].d[0]"),
    ];
    let number = (
        path.clone(),
        prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("="), Just("!=")],
        -2..4_i32,
    );
    let number = number.prop_map(|(path, sign, number)| {
        let holds = on_all(|line| {
            let orders = lookup(path, line)
                .into_iter()
                .filter_map(|left| Some(left.as_f64()?.total_cmp(&f64::from(number))));
            let orders: Vec<_> = orders.collect();
            match sign {
                "<" => orders.contains(&Ordering::Less),
                "<=" => orders.iter().any(|order| order.is_le()),
                ">" => orders.contains(&Ordering::Greater),
                ">=" => orders.iter().any(|order| order.is_ge()),
                "=" => orders.contains(&Ordering::Equal),
                _ => !orders.contains(&Ordering::Equal),
            }
        });
        (format!("{path}{sign}{number}"), holds)
    });
    let text =
        (path.clone(), prop_oneof![Just("x"), Just("y"), Just("1")]).prop_map(|(path, text)| {
            let holds =
                on_all(|line| lookup(path, line).iter().any(|value| value.as_str() == Some(text)));
            (format!("{path} = \"{text}\""), holds)
        });
    let exists = path.prop_map(|path| {
        (format!("exists({path})"), on_all(|line| !lookup(path, line).is_empty()))
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
    fn conditions_agree_with_a_slow_evaluation((text, holds) in case()) {
        let ours: Vec<_> = LINES.iter().map(|line| met(&text, line)).collect();
        prop_assert_eq!(ours, holds, "{}", text);
    }
}
