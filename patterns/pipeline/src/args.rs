use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use common::Demo;

const PACE: &str = "Scale all simulated time: 2 takes twice as long, 0 does not wait at all \
                    [default: 1 without numbers, 0 with numbers]";

/// Squares numbers, adds 10, and prints the even results, in stages joined by channels.
///
/// Without numbers it is the chapter's program, with simulated work.
#[derive(Parser)]
#[command(version, mut_arg("pace", |pace| pace.help(PACE)))]
pub struct Args {
    /// Whole numbers, or `-` for numbers from stdin, one a line [default: the chapter's 1 to 10]
    #[arg(allow_negative_numbers = true, conflicts_with = "range")]
    numbers: Vec<Number>,

    /// All whole numbers from A to B
    #[arg(long, value_name = "A..=B", allow_hyphen_values = true, value_parser = range)]
    range: Option<RangeInclusive<i64>>,

    /// The most items that wait between two stages
    #[arg(long, value_name = "N", default_value = "1024")]
    buffer: NonZeroUsize,

    /// Print items, seconds and items per second to stderr
    #[arg(long)]
    pub summary: bool,

    #[command(flatten)]
    pub demo: Demo,
}

/// Where the numbers come from.
pub enum Input {
    Chapter,
    Numbers(Vec<i64>),
    Range(RangeInclusive<i64>),
    Stdin,
}

impl Args {
    /// Ends the program with a usage error if `-` stands beside numbers.
    pub fn input(&self) -> Input {
        if let Some(range) = &self.range {
            return Input::Range(range.clone());
        }
        if matches!(self.numbers[..], [Number::Stdin]) {
            return Input::Stdin;
        }
        if self.numbers.is_empty() {
            return Input::Chapter;
        }
        let given = self.numbers.iter().map(|number| match number {
            Number::Given(number) => Some(*number),
            Number::Stdin => None,
        });
        Input::Numbers(given.collect::<Option<_>>().unwrap_or_else(|| {
            let alone = "`-` reads the numbers from stdin and stands alone";
            Self::command().error(ErrorKind::ArgumentConflict, alone).exit()
        }))
    }

    pub fn bound(&self) -> usize {
        self.buffer.get()
    }
}

#[derive(Clone)]
enum Number {
    Given(i64),
    Stdin,
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        text.parse().map(Self::Given).map_err(|err| err.to_string())
    }
}

fn range(text: &str) -> Result<RangeInclusive<i64>, String> {
    let (first, last) = text.split_once("..=").ok_or("a range is A..=B, such as 1..=1000000")?;
    let number = |text: &str| text.parse().map_err(|err| format!("`{text}`: {err}"));
    Ok(number(first)?..=number(last)?)
}
