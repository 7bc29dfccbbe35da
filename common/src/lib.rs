#![doc = include_str!("../README.md")]

#[cfg(feature = "tasks")]
mod context;
#[cfg(feature = "demo")]
mod demo;
mod interrupt;
mod output;
mod panics;
mod program;
#[cfg(feature = "tasks")]
mod sync;

#[cfg(feature = "tasks")]
pub use context::{Cause, Context};
#[cfg(feature = "demo")]
pub use demo::{Demo, Seed};
#[cfg(feature = "tasks")]
pub use interrupt::interrupted;
pub use interrupt::interrupted_channel;
pub use output::{Stdout, print_line, stdout};
pub use panics::{discard, panic_message, resume_panic};
pub use program::{Result, duration, parse, run};
#[cfg(feature = "record")]
pub use timeline::RecordFlags;
pub use timeline::{Ending, Work, bar, moment};
