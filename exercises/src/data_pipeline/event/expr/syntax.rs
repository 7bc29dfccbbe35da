//! How `--where` and `--derive` are written: one grammar, read by winnow.
//!
//! ```text
//! condition = and ("or" and)*        and = not ("and" not)*        not = "not"* test
//! test      = sum SIGN LITERAL | sum "~" REGEX | sum "in" "[" LITERAL ("," LITERAL)* "]"
//!           | "exists" "(" path ")" | "(" condition ")"
//! sum       = product (("+" | "-") product)*      product = unary (("*" | "/" | "%") unary)*
//! unary     = "-"? (NUMBER | FUNCTION "(" sum ")" | "(" sum ")" | path)
//! path      = NAME ("." NAME | "[" NUMBER "]" | "[" "*" "]")*
//! ```
//!
//! `&&`, `||` and `!` stand for `and`, `or` and `not` as well. Left of a sign a word is a field, right of
//! it a value.

use std::cmp::Ordering;

use regex::Regex;
use winnow::ascii::{digit1, float, multispace0, take_escaped};
use winnow::combinator::{
    alt, cut_err, delimited, eof, opt, peek, preceded, repeat, separated, terminated,
};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::{LocatingSlice, Location, Stateful, Stream};
use winnow::token::{any, none_of, one_of, take_till, take_while};
use winnow::{ModalParser, Parser};

use super::operand::Function;
use super::{Condition, Derive, Field, Holds, Operand, Scope, parse_number};
use crate::data_pipeline::event::value::{Step, Value};

type Input<'i, 's> = Stateful<LocatingSlice<&'i str>, Place<'s>>;
type Parsed<T> = Result<T, ErrMode<Refusal>>;

/// The state of a parse: what names stand for, and what is allowed here.
#[derive(Debug)]
struct Place<'s> {
    scope: &'s mut Scope,
    /// A hyphen inside a word is part of it, as in `content-length`; otherwise it is a minus.
    hyphens: bool,
    /// How many `[*]` may still stand here: one in a comparison, and none elsewhere.
    several: usize,
    /// How many parentheses are open.
    depth: usize,
}

/// The longest expression in bytes, far more than anyone writes: it bounds what is built from it.
const LONGEST: usize = 4096;

/// The deepest nesting of parentheses, so that the stack stays small.
const DEEPEST: usize = 64;

/// An error: from which byte on, and why.
#[derive(Debug)]
struct Refusal {
    at: usize,
    /// Empty if only the place is known.
    why: String,
}

impl<'i, 's> ParserError<Input<'i, 's>> for Refusal {
    type Inner = Self;

    fn from_input(input: &Input<'i, 's>) -> Self {
        Self { at: input.current_token_start(), why: String::new() }
    }

    /// Of two failed ways to read it, the one that came further has the better message.
    fn or(self, other: Self) -> Self {
        if (self.at, !self.why.is_empty()) > (other.at, !other.why.is_empty()) {
            self
        } else {
            other
        }
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

fn refuse<T>(at: usize, why: impl Into<String>) -> Parsed<T> {
    Err(ErrMode::Cut(Refusal { at, why: why.into() }))
}

impl Condition {
    pub(crate) fn parse(text: &str, scope: &mut Scope) -> Result<Self, String> {
        let hint = "expected FIELD OP VALUE with one of = != < <= > >= ~ !~, or FIELD in [VALUE, ..], \
                    joined by and, or, not";
        whole("condition", text, scope, true, either, hint)
    }
}

impl Operand {
    /// What `--by` and `--p` name; `flag` is for messages.
    pub(crate) fn parse(flag: &str, text: &str, scope: &mut Scope) -> Result<Self, String> {
        let hint = "expected fields, numbers, + - * / %, num(FIELD), text(FIELD) or lower(FIELD)";
        whole(flag, text, scope, true, sum, hint)
    }
}

impl Field {
    /// What `--time` names.
    pub(crate) fn parse(flag: &str, text: &str, scope: &mut Scope) -> Result<Self, String> {
        let hint = r#"expected a field, such as ts, log.time, "log.time" or times[0]"#;
        whole(flag, text, scope, true, path, hint)
    }
}

impl Derive {
    pub(crate) fn parse(text: &str, scope: &mut Scope) -> Result<Self, String> {
        let hint = "expected NAME=FORMULA, such as ms=num(request_time)*1000";
        let parser = (terminated(take_till(1.., '='), token("=")), sum);
        let (name, formula) = whole("--derive", text, scope, false, parser, hint)?;
        Ok(Self { slot: scope.derive(name.trim()), formula })
    }
}

/// Reads all of the text.
fn whole<'i, 's, T>(
    kind: &str,
    text: &'i str,
    scope: &'s mut Scope,
    hyphens: bool,
    parser: impl ModalParser<Input<'i, 's>, T, Refusal>,
    hint: &str,
) -> Result<T, String> {
    if text.len() > LONGEST {
        return Err(format!("this {kind} is longer than the {LONGEST} bytes that are read"));
    }
    let state = Place { scope, hyphens, several: 0, depth: 0 };
    let mut input = Stateful { input: LocatingSlice::new(text), state };
    let read = delimited(multispace0, parser, end).parse_next(&mut input);
    read.map_err(|err| {
        let Refusal { at, why } = err.into_inner().expect("the text is all there");
        let why = if why.is_empty() { hint } else { &why };
        let before = text[..at].chars().count();
        let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("invalid {kind}: {why}\n  {shown}\n  {:before$}^", "")
    })
}

/// Fails if something is left over.
fn end(input: &mut Input<'_, '_>) -> Parsed<()> {
    let rest: &str = input.input.as_ref();
    if rest.is_empty() {
        return Ok(());
    }
    let why = "expected an operator, `and`, `or` or the end; put a text with spaces or brackets into quotes";
    refuse(input.current_token_start(), why)
}

/// A token, and the white space behind it.
fn token<'i, 's, T>(
    parser: impl ModalParser<Input<'i, 's>, T, Refusal>,
) -> impl ModalParser<Input<'i, 's>, T, Refusal> {
    terminated(parser, multispace0)
}

/// A keyword of the grammar; if something else follows, the word is a name.
fn keyword<'i, 's>(word: &'static str) -> impl ModalParser<Input<'i, 's>, (), Refusal> {
    let end = alt((one_of(|c: char| c.is_whitespace() || "([!".contains(c)).void(), eof.void()));
    token((word, peek(end))).void()
}

/// What stands in parentheses, one level deeper.
fn group<'i, 's, T>(
    parser: fn(&mut Input<'i, 's>) -> Parsed<T>,
) -> impl ModalParser<Input<'i, 's>, T, Refusal> {
    delimited(
        token("("),
        move |input: &mut Input<'i, 's>| {
            if input.state.depth == DEEPEST {
                return refuse(input.current_token_start(), "nested too deep");
            }
            input.state.depth += 1;
            let parsed = parser(input);
            input.state.depth -= 1;
            parsed
        },
        token(")"),
    )
}

/// Parts with signs between them, from left to right.
fn chain<'i, 's, T, S>(
    input: &mut Input<'i, 's>,
    part: fn(&mut Input<'i, 's>) -> Parsed<T>,
    mut sign: impl ModalParser<Input<'i, 's>, S, Refusal>,
    join: fn(T, S, T) -> T,
) -> Parsed<T> {
    let mut left = part(input)?;
    while let Some(sign) = opt(sign.by_ref()).parse_next(input)? {
        left = join(left, sign, cut_err(part).parse_next(input)?);
    }
    Ok(left)
}

fn either(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    let sign = alt((keyword("or"), token("||").void()));
    chain(input, both, sign, |left, (), right| Condition::Or(Box::new([left, right])))
}

fn both(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    let sign = alt((keyword("and"), token("&&").void()));
    chain(input, negation, sign, |left, (), right| Condition::And(Box::new([left, right])))
}

fn negation(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    let not = alt((keyword("not"), token("!").void()));
    let nots: usize = repeat(0.., not).parse_next(input)?;
    input.state.several = 1;
    let exists = preceded(("exists", multispace0), group(path)).map(Condition::Exists);
    let condition = alt((exists, test, group(either))).parse_next(input)?;
    Ok(if nots.is_multiple_of(2) { condition } else { Condition::Not(Box::new(condition)) })
}

const SIGNS: [(&str, Holds); 6] = [
    ("=", |order| order == Some(Ordering::Equal)),
    ("==", |order| order == Some(Ordering::Equal)),
    ("<", |order| order == Some(Ordering::Less)),
    ("<=", |order| order.is_some_and(Ordering::is_le)),
    (">", |order| order == Some(Ordering::Greater)),
    (">=", |order| order.is_some_and(Ordering::is_ge)),
];

fn test(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    input.state.several = 1;
    let start = input.current_token_start();
    let left = sum(input)?;
    if left.fields().is_empty() {
        return refuse(start, "a field stands left, and a value right: status>=500");
    }
    if opt(keyword("in")).parse_next(input)?.is_some() {
        return Ok(Condition::In(left, cut_err(list).parse_next(input)?));
    }
    let at = input.current_token_start();
    let sign = token(take_while(1..=2, ['=', '!', '<', '>', '~'])).parse_next(input)?;
    let plain = if let "!=" | "!~" = sign { &sign[1..] } else { sign };
    let condition = if plain == "~" {
        Condition::Matches(left, regex(input)?)
    } else if let Some((_, holds)) = SIGNS.iter().find(|(known, _)| *known == plain) {
        Condition::Compare { left, holds: *holds, right: right(input, sign)? }
    } else {
        return refuse(at, format!("unknown operator `{sign}`: expected = != < <= > >= ~ !~"));
    };
    Ok(if plain == sign { condition } else { Condition::Not(Box::new(condition)) })
}

fn regex(input: &mut Input<'_, '_>) -> Parsed<Regex> {
    let at = input.current_token_start();
    let (pattern, is_quoted) = word(input, &[])?;
    let joint = ["&&", "||"].into_iter().find(|joint| pattern.contains(joint));
    if let (false, Some(joint)) = (is_quoted, joint) {
        let why = format!("put a space before `{joint}`, or quotes around the regular expression");
        return refuse(at, why);
    }
    Regex::new(&pattern).or_else(|err| {
        let reason = err.to_string().lines().last().unwrap_or_default().to_owned();
        refuse(at, format!("not a regular expression, {reason}"))
    })
}

/// The right side of this sign.
fn right(input: &mut Input<'_, '_>, sign: &str) -> Parsed<Value<'static>> {
    let at = input.current_token_start();
    let (text, is_quoted) = word(input, &["&&", "||"])?;
    if is_quoted {
        return Ok(Value::Text(text.into()));
    }
    if text.starts_with(['=', '!', '<', '>', '~']) {
        return refuse(at, format!("`{text}` begins like an operator; put it into quotes"));
    }
    if text.split_once(',').is_some_and(|(_, next)| next.contains(['=', '<', '>', '~'])) {
        let why = "join conditions with `and`; a text with a comma and a sign stands in quotes";
        return refuse(at, why);
    }
    if sign.starts_with(['<', '>']) && parse_number(&text).is_none() {
        let why = format!("`{text}` is not a number; write a text in quotes, {sign}\"{text}\"");
        return refuse(at, why);
    }
    Ok(literal(text))
}

fn list(input: &mut Input<'_, '_>) -> Parsed<Vec<Value<'static>>> {
    delimited(token("["), separated(1.., item, token(",")), token("]")).parse_next(input)
}

fn item(input: &mut Input<'_, '_>) -> Parsed<Value<'static>> {
    let at = input.current_token_start();
    match word(input, &["&&", "||", ",", "]"])? {
        (text, true) => Ok(Value::Text(text.into())),
        (text, false) if text.is_empty() => refuse(at, "expected a value; an empty text is \"\""),
        (text, false) => Ok(literal(text)),
    }
}

/// A number, `true`, `false`, `null`, or a text.
fn literal(word: String) -> Value<'static> {
    match &*word {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => parse_number(number).map_or_else(|| Value::Text(word.into()), Value::Number),
    }
}

/// A quoted text, or one up to white space, to one of `ends`, or to a bracket that was opened before
/// it; and whether it is quoted.
fn word(input: &mut Input<'_, '_>, ends: &[&str]) -> Parsed<(String, bool)> {
    if let Some(text) = opt(token(quoted)).parse_next(input)? {
        return Ok((text, true));
    }
    let rest: &str = input.input.as_ref();
    if let Some(text) = rest.strip_prefix('\'') {
        let text = text.split('\'').next().unwrap_or_default();
        let why = format!("a text stands in double quotes, \"{text}\"");
        return refuse(input.current_token_start(), why);
    }
    let (mut depth, mut last) = (0, ' ');
    let is_end = |(at, c): &(usize, char)| {
        let is_escaped = std::mem::replace(&mut last, *c) == '\\';
        match c {
            '(' | '[' if !is_escaped => depth += 1,
            ')' | ']' if !is_escaped && depth > 0 => depth -= 1,
            ')' if !is_escaped => return true,
            _ => return c.is_whitespace() || ends.iter().any(|end| rest[*at..].starts_with(end)),
        }
        false
    };
    let length = rest.char_indices().find(is_end).map_or(rest.len(), |(at, _)| at);
    let text = input.next_slice(length).to_owned();
    multispace0.parse_next(input)?;
    Ok((text, false))
}

/// A text in double quotes. `\"` stands for a quote. Any other backslash stands for itself, because
/// regular expressions use many.
fn quoted(input: &mut Input<'_, '_>) -> Parsed<String> {
    let at = input.current_token_start();
    '"'.parse_next(input)?;
    let inside = take_escaped(none_of(['"', '\\']), '\\', any);
    match opt(terminated(inside, '"')).parse_next(input)? {
        Some(text) => Ok(text.replace("\\\"", "\"")),
        None => refuse(at, "the quotes are not closed"),
    }
}

fn sum(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let join = |left, sign, right| Operand::Sum(Box::new((left, sign, right)));
    chain(input, product, token(one_of(['+', '-'])), join)
}

fn product(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let join = |left, sign, right| Operand::Sum(Box::new((left, sign, right)));
    chain(input, unary, token(one_of(['*', '/', '%'])), join)
}

fn unary(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let minus = opt(token("-")).parse_next(input)?;
    let operand = alt((number, call, group(sum), path.map(Operand::Field))).parse_next(input)?;
    Ok(match minus {
        Some(_) => Operand::Sum(Box::new((Operand::Number(0.0), '-', operand))),
        None => operand,
    })
}

fn number(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let number =
        preceded(peek(one_of('0'..='9')), token(float)).verify(|number: &f64| number.is_finite());
    number.map(Operand::Number).parse_next(input)
}

fn call(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let at = input.current_token_start();
    let name = terminated(name, (multispace0, peek("("))).parse_next(input)?;
    let Some(function) = Function::of(name) else {
        if let "exists" | "not" = name {
            return Err(ErrMode::Backtrack(Refusal::from_input(input))); // conditions, not values
        }
        let why = format!("unknown function `{name}`; there are num, text, lower and exists");
        return refuse(at, why);
    };
    let operand = cut_err(group(sum)).parse_next(input)?;
    Ok(Operand::Call(function, Box::new(operand)))
}

fn path(input: &mut Input<'_, '_>) -> Parsed<Field> {
    let at = input.current_token_start();
    let item = preceded("[", item_number);
    let more = repeat(0.., alt((preceded(".", cut_err(segment)), item)));
    let parsed = (segment, more).with_taken().parse_next(input)?;
    let ((first, mut steps), written): ((Step, Vec<Step>), &str) = parsed;
    steps.insert(0, first);
    multispace0.parse_next(input)?;
    if steps.contains(&Step::Items) {
        let Some(several) = input.state.several.checked_sub(1) else {
            let why = "`[*]` leads to several values: a comparison may have one of it, and nothing \
                       else any; write [0]";
            return refuse(at, why);
        };
        input.state.several = several;
    }
    Ok(input.state.scope.field(&steps, written))
}

/// `0]` or `*]`.
fn item_number(input: &mut Input<'_, '_>) -> Parsed<Step> {
    let at = input.current_token_start();
    let known = alt(("*".value(Step::Items), digit1.parse_to().map(Step::Item)));
    match opt(terminated(known, "]")).parse_next(input)? {
        Some(step) => Ok(step),
        None => refuse(at, "an array's items are a[0], a[1] and so on, and a[*] is any of them"),
    }
}

/// A name in a path, as it is or in double quotes.
fn segment(input: &mut Input<'_, '_>) -> Parsed<Step> {
    let at = input.current_token_start();
    let rest: &str = input.input.as_ref();
    match rest.as_bytes() {
        [b'"', b'"', ..] => refuse(at, "a field has a name"),
        [b'"', ..] => quoted.map(|name| Step::Field(name.into())).parse_next(input),
        [b'.', ..] => refuse(at, "a path begins with a name, without a dot before it: a.b"),
        [b'\'', ..] => refuse(at, "a name stands as it is, or in double quotes: a.\"b.c\""),
        _ => name.map(Step::from).parse_next(input),
    }
}

fn name<'i>(input: &mut Input<'i, '_>) -> Parsed<&'i str> {
    let part = || take_while(1.., |c: char| c.is_alphanumeric() || "_$@".contains(c));
    let is_letter = |c: char| c.is_alphabetic();
    let hyphens = if input.state.hyphens { usize::MAX } else { 0 };
    let more = repeat(0..=hyphens, ('-', peek(one_of(is_letter)), part()));
    (part(), more).map(|(_, ())| ()).take().parse_next(input)
}
