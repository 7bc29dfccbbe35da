#![doc = include_str!("../README.md")]

mod context;
mod demo;
mod interrupt;
mod latch;
mod output;
mod sync;

pub use context::{Cause, Context};
pub use demo::{Demo, Outcome, duration, parse, run};
pub use interrupt::{interrupted, interrupted_channel};
#[doc(hidden)]
pub use output::print_line;
pub use output::{Stdout, stdout};
pub use timeline::{Ending, RecordFlags, Work, bar};
