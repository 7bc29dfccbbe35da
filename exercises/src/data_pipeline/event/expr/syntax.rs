//! How `--where` and `--derive` are written: one grammar, read by winnow.
//!
//! ```text
//! condition = and ("or" and)*        and = not ("and" not)*        not = "not" not | test
//! test      = sum SIGN LITERAL | sum "~" REGEX | sum "in" "[" LITERAL ("," LITERAL)* "]"
//!           | "exists" "(" path ")" | "(" condition ")"
//! sum       = product (("+" | "-") product)*      product = unary (("*" | "/" | "%") unary)*
//! unary     = "-" unary | NUMBER | FUNCTION "(" sum ")" | "(" sum ")" | path
//! path      = NAME ("." NAME | "[" NUMBER "]" | "[" "*" "]")*
//! ```
//!
//! `&&`, `||` and `!` stand for `and`, `or` and `not` as well. Left of a sign a word is a field, right of
//! it a value.

use regex::Regex;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, eof, opt, peek, preceded, terminated};
use winnow::error::{ErrMode, Needed, ParserError};
use winnow::stream::{LocatingSlice, Location, Stateful, Stream};
use winnow::token::{one_of, take_while};
use winnow::{ModalParser, Parser};

use super::operand::Function;
use super::{Condition, Derive, Field, Literal, Operand, Scope, Sign, parse_number};
use crate::data_pipeline::event::value::Step;

type Input<'i, 's> = Stateful<LocatingSlice<&'i str>, Place<'s>>;
type Parsed<T> = Result<T, ErrMode<Refusal>>;

/// The state of a parse: what names stand for, and what is allowed here.
#[derive(Debug)]
struct Place<'s> {
    scope: &'s mut Scope,
    /// A hyphen inside a word is part of it, as in `content-length`; otherwise it is a minus.
    hyphens: bool,
    /// Whether `[*]` may stand here: once in a comparison, and nowhere else.
    many: Many,
    /// How many parentheses and signs are open.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    Never,
    Once,
    Used,
}

impl<'s> Place<'s> {
    fn new(scope: &'s mut Scope, hyphens: bool) -> Self {
        Self { scope, hyphens, many: Many::Never, depth: 0 }
    }
}

/// The longest expression in bytes, far more than anyone writes: it bounds what is built from it.
const LONGEST: usize = 4096;

/// The deepest nesting of parentheses and signs, so that the stack stays small.
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

    fn incomplete(input: &Input<'i, 's>, _: Needed) -> Self {
        Self::from_input(input)
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
        whole("condition", text, 0, Place::new(scope, true), either, hint)
    }
}

impl Operand {
    /// What `--by` and `--p` name; `flag` is for messages.
    pub(crate) fn parse(flag: &str, text: &str, scope: &mut Scope) -> Result<Self, String> {
        operand(flag, text, 0, scope, true)
    }
}

impl Field {
    /// What `--time` names.
    pub(crate) fn parse(flag: &str, text: &str, scope: &mut Scope) -> Result<Self, String> {
        let hint = r#"expected a field, such as ts, log.time, "log.time" or times[0]"#;
        whole(flag, text, 0, Place::new(scope, true), path, hint)
    }
}

impl Derive {
    pub(crate) fn parse(text: &str, scope: &mut Scope) -> Result<Self, String> {
        let at = text.find('=').filter(|at| !text[..*at].trim().is_empty());
        let at = at.ok_or_else(|| format!("invalid --derive `{text}`: expected NAME=FORMULA"))?;
        let formula = operand("--derive", text, at + 1, scope, false)?;
        Ok(Self { slot: scope.derive(text[..at].trim()), formula })
    }
}

/// Reads a formula: `hyphens` says whether `a-b` is a name.
fn operand(
    kind: &str,
    text: &str,
    from: usize,
    scope: &mut Scope,
    hyphens: bool,
) -> Result<Operand, String> {
    let hint = "expected fields, numbers, + - * / %, num(FIELD), text(FIELD) or lower(FIELD)";
    whole(kind, text, from, Place::new(scope, hyphens), sum, hint)
}

/// Reads all of the text, from a byte on.
fn whole<'i, 's, T>(
    kind: &str,
    text: &'i str,
    from: usize,
    state: Place<'s>,
    parser: impl ModalParser<Input<'i, 's>, T, Refusal>,
    hint: &str,
) -> Result<T, String> {
    if text.len() > LONGEST {
        return Err(format!(
            "a {kind} of {} bytes is longer than the {LONGEST} that are read",
            text.len()
        ));
    }
    let mut input = Stateful { input: LocatingSlice::new(&text[from..]), state };
    let read = delimited(multispace0, parser, end).parse_next(&mut input);
    read.map_err(|err| {
        let Refusal { at, why } = err.into_inner().expect("the text is all there");
        let why = if why.is_empty() { hint } else { &why };
        let before = text[..from + at].chars().count();
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
    let why = "expected `and`, `or` or the end; put a text with spaces or brackets into quotes";
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
    terminated(terminated(word, peek(end)), multispace0).void()
}

fn either(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    let mut left = both(input)?;
    while opt(alt((keyword("or"), token("||").void()))).parse_next(input)?.is_some() {
        left = Condition::Or(Box::new([left, cut_err(both).parse_next(input)?]));
    }
    Ok(left)
}

fn both(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    let mut left = negation(input)?;
    while opt(alt((keyword("and"), token("&&").void()))).parse_next(input)?.is_some() {
        left = Condition::And(Box::new([left, cut_err(negation).parse_next(input)?]));
    }
    Ok(left)
}

/// One level deeper.
fn nested<'i, 's, T>(
    input: &mut Input<'i, 's>,
    parser: fn(&mut Input<'i, 's>) -> Parsed<T>,
) -> Parsed<T> {
    if input.state.depth == DEEPEST {
        return refuse(input.current_token_start(), "nested too deep");
    }
    input.state.depth += 1;
    let parsed = parser(input);
    input.state.depth -= 1;
    parsed
}

fn negation(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    nested(input, negated)
}

fn negated(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    if opt(alt((keyword("not"), token("!").void()))).parse_next(input)?.is_some() {
        return Ok(Condition::Not(Box::new(cut_err(negation).parse_next(input)?)));
    }
    let group = delimited(token("("), either, cut_err(token(")")));
    alt((exists, test, group)).parse_next(input)
}

fn exists(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    input.state.many = Many::Once;
    let opening = token(("exists", multispace0, "("));
    delimited(opening, path, token(")")).map(Condition::Exists).parse_next(input)
}

fn test(input: &mut Input<'_, '_>) -> Parsed<Condition> {
    input.state.many = Many::Once;
    let left = sum(input)?;
    if opt(keyword("in")).parse_next(input)?.is_some() {
        return Ok(Condition::In(left, cut_err(list).parse_next(input)?));
    }
    let at = input.current_token_start();
    let sign = token(take_while(1..=2, ['=', '!', '<', '>', '~'])).parse_next(input)?;
    let not = |condition| Condition::Not(Box::new(condition));
    match sign {
        "~" => Ok(Condition::Matches(left, regex(input)?)),
        "!~" => Ok(not(Condition::Matches(left, regex(input)?))),
        "!=" => Ok(not(Condition::Compare { left, sign: Sign::Equal, right: right(input, sign)? })),
        _ => {
            let Some(known) = Sign::of(sign) else {
                let why = format!("unknown operator `{sign}`: expected = != < <= > >= ~ !~");
                return refuse(at, why);
            };
            Ok(Condition::Compare { left, sign: known, right: right(input, sign)? })
        }
    }
}

fn regex(input: &mut Input<'_, '_>) -> Parsed<Regex> {
    let at = input.current_token_start();
    let (pattern, is_quoted) = word(input, Word::Regex)?;
    if let (false, Some(joint)) = (is_quoted, pattern.find("&&").or(pattern.find("||"))) {
        let joint = &pattern[joint..joint + 2];
        let why = format!(
            "a regular expression ends at white space: put a space before `{joint}`, or quotes \
             around an expression that has it"
        );
        return refuse(at, why);
    }
    Regex::new(&pattern).or_else(|err| {
        let reason = err.to_string().lines().last().unwrap_or_default().to_owned();
        refuse(at, format!("not a regular expression, {reason}"))
    })
}

/// The right side of this sign.
fn right(input: &mut Input<'_, '_>, sign: &str) -> Parsed<Literal> {
    let at = input.current_token_start();
    if let Some(more) = opt(peek(one_of(['=', '!', '<', '>', '~']))).parse_next(input)? {
        let why = format!(
            "the operator `{sign}` has one more behind it, `{more}`; put a text that begins \
             like this into quotes"
        );
        return refuse(at, why);
    }
    let (text, is_quoted) = word(input, Word::Value)?;
    let literal = Literal::of(text.clone(), is_quoted);
    let is_order = sign.starts_with(['<', '>']);
    if is_order && !is_quoted && !matches!(literal, Literal::Number(_)) {
        let why = format!("`{text}` is not a number; write a text in quotes, {sign}\"{text}\"");
        return refuse(at, why);
    }
    Ok(literal)
}

fn list(input: &mut Input<'_, '_>) -> Parsed<Vec<Literal>> {
    token("[").parse_next(input)?;
    let mut literals = Vec::new();
    loop {
        literals.push(item(input)?);
        if opt(token(",")).parse_next(input)?.is_none() {
            break;
        }
    }
    token("]").parse_next(input)?;
    Ok(literals)
}

fn item(input: &mut Input<'_, '_>) -> Parsed<Literal> {
    let at = input.current_token_start();
    let (text, is_quoted) = word(input, Word::Item)?;
    if text.is_empty() && !is_quoted {
        return refuse(at, "expected a value; an empty text is \"\"");
    }
    Ok(Literal::of(text, is_quoted))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Ends at `&&` and `||` as well.
    Value,
    /// Ends at `,` and `]` too.
    Item,
    /// Ends at white space.
    Regex,
}

/// A quoted text, or one up to white space or to the bracket that closes an earlier one.
fn word(input: &mut Input<'_, '_>, kind: Word) -> Parsed<(String, bool)> {
    if let Some(text) = opt(quoted).parse_next(input)? {
        return Ok((text, true));
    }
    let rest: &str = input.input.as_ref();
    if let Some(text) = rest.strip_prefix('\'') {
        let text = text.split('\'').next().unwrap_or_default();
        let why = format!("a text stands in double quotes, \"{text}\"");
        return refuse(input.current_token_start(), why);
    }
    let (mut depth, mut last) = (0_usize, ' ');
    let ends = |(at, c): &(usize, char)| {
        let is_joint =
            kind != Word::Regex && ["&&", "||"].iter().any(|j| rest[*at..].starts_with(j));
        let closes = match c {
            ')' | ']' if last == '\\' => false,
            ')' if depth == 0 => true,
            ']' if depth == 0 => kind == Word::Item,
            ',' => kind == Word::Item,
            _ => false,
        };
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' if last != '\\' => depth = depth.saturating_sub(1),
            _ => {}
        }
        last = *c;
        c.is_whitespace() || is_joint || closes
    };
    let length = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
    let text = input.next_slice(length).to_owned();
    multispace0.parse_next(input)?;
    Ok((text, false))
}

/// A text in double quotes. `\"` stands for a quote. Any other backslash stands for itself, because
/// regular expressions use many.
fn quoted(input: &mut Input<'_, '_>) -> Parsed<String> {
    let at = input.current_token_start();
    "\"".parse_next(input)?;
    let rest: &str = input.input.as_ref();
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { return refuse(at, "the quotes are not closed") };
    let text = input.next_slice(end);
    token("\"").parse_next(input)?;
    Ok(text.replace("\\\"", "\""))
}

fn sum(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    chain(input, product, &['+', '-'])
}

fn product(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    chain(input, unary, &['*', '/', '%'])
}

/// Operands with signs between them, from left to right.
fn chain<'i, 's>(
    input: &mut Input<'i, 's>,
    part: fn(&mut Input<'i, 's>) -> Parsed<Operand>,
    signs: &'static [char],
) -> Parsed<Operand> {
    let mut left = part(input)?;
    while let Some(sign) = opt(token(one_of(signs))).parse_next(input)? {
        left = Operand::Sum(Box::new((left, sign, cut_err(part).parse_next(input)?)));
    }
    Ok(left)
}

fn unary(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    nested(input, signed)
}

fn signed(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    if opt(token("-")).parse_next(input)?.is_some() {
        let operand = cut_err(unary).parse_next(input)?;
        return Ok(Operand::Sum(Box::new((Operand::Number(0.0), '-', operand))));
    }
    let group = delimited(token("("), sum, token(")"));
    alt((number, call, group, field)).parse_next(input)
}

fn number(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let text =
        preceded(peek(one_of('0'..='9')), token(take_while(1.., is_digit))).parse_next(input)?;
    let number =
        parse_number(text).ok_or_else(|| ErrMode::Backtrack(Refusal::from_input(input)))?;
    Ok(Operand::Number(number.as_f64()))
}

fn call(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    let at = input.current_token_start();
    let name = terminated(name, (multispace0, token("("))).parse_next(input)?;
    if name == "exists" || name == "not" {
        return Err(ErrMode::Backtrack(Refusal::from_input(input))); // conditions, not values
    }
    let Some(function) = Function::of(&name) else {
        return refuse(
            at,
            format!("unknown function `{name}`; there are num, text, lower and exists"),
        );
    };
    let operand = cut_err(terminated(sum, token(")"))).parse_next(input)?;
    Ok(Operand::Call(function, Box::new(operand)))
}

fn field(input: &mut Input<'_, '_>) -> Parsed<Operand> {
    path.map(Operand::Field).parse_next(input)
}

fn path(input: &mut Input<'_, '_>) -> Parsed<Field> {
    let written: &str = input.input.as_ref();
    let start = input.current_token_start();
    let mut steps = vec![segment.map(Step::Field).parse_next(input)?];
    loop {
        if opt(".").parse_next(input)?.is_some() {
            steps.push(cut_err(segment).map(Step::Field).parse_next(input)?);
        } else if opt("[").parse_next(input)?.is_some() {
            steps.push(item_number(input)?);
        } else {
            break;
        }
    }
    let written = &written[..input.current_token_start() - start];
    multispace0.parse_next(input)?;
    let is_many = steps.contains(&Step::Items);
    match input.state.many {
        Many::Never if is_many => {
            refuse(start, "`[*]` leads to several values, and here is room for one; write [0]")
        }
        Many::Used if is_many => {
            refuse(start, "there is one `[*]` in this comparison already; make it two, with `and`")
        }
        _ => {
            if is_many {
                input.state.many = Many::Used;
            }
            Ok(input.state.scope.field(&steps, written))
        }
    }
}

/// `0]` or `*]`.
fn item_number(input: &mut Input<'_, '_>) -> Parsed<Step> {
    let at = input.current_token_start();
    let inside = take_while(1.., |c: char| c == '*' || c.is_ascii_digit());
    match opt(terminated(inside, "]")).parse_next(input)?.map(|number| (number, number.parse())) {
        Some(("*", _)) => Ok(Step::Items),
        Some((_, Ok(number))) => Ok(Step::Item(number)),
        _ => refuse(at, "an array's items are a[0], a[1] and so on, and a[*] is any of them"),
    }
}

fn segment(input: &mut Input<'_, '_>) -> Parsed<Box<str>> {
    let start = input.current_token_start();
    let rest: &str = input.input.as_ref();
    match rest.chars().next() {
        Some('"') => {
            let text = quoted_name(input)?;
            if text.is_empty() { refuse(start, "a field has a name") } else { Ok(text.into()) }
        }
        Some('.') => refuse(start, "a path begins with a name, without a dot before it: a.b"),
        Some('\'') => refuse(start, "a name stands as it is, or in double quotes: a.\"b.c\""),
        _ => name.map(Into::into).parse_next(input),
    }
}

/// As [`quoted`], without the white space behind it.
fn quoted_name(input: &mut Input<'_, '_>) -> Parsed<String> {
    delimited("\"", take_while(0.., |c: char| c != '"'), "\"").map(str::to_owned).parse_next(input)
}

fn name(input: &mut Input<'_, '_>) -> Parsed<String> {
    let in_name = |c: char| c.is_alphanumeric() || "_$@".contains(c);
    let mut name = take_while(1.., in_name).parse_next(input)?.to_owned();
    while input.state.hyphens {
        let more = preceded("-", take_while(1.., in_name));
        let starts = (|c: char| c.is_alphabetic()) as fn(char) -> bool;
        let Some(more) = opt(preceded(peek(("-", one_of(starts))), more)).parse_next(input)? else {
            break;
        };
        name = format!("{name}-{more}");
    }
    Ok(name)
}
