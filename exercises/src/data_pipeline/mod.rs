#![doc = include_str!("README.md")]

mod budget;
mod cell;
mod checkpoint;
mod chunk;
#[cfg(feature = "nats")]
mod compression;
mod config;
mod core;
mod demo;
mod expr;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod job;
mod lanes;
mod ledger;
mod monitor;
#[cfg(feature = "nats")]
mod nats;
mod order;
mod outlets;
mod parse;
mod pool;
mod run;
mod secrets;
mod sink;
mod source;
mod splitter;
mod time;
mod value;
mod warnings;
mod windows;
mod workers;

pub use config::{Config, Policy};
pub use demo::demo;
pub use ledger::{Counts, SinkCounts};
pub use run::{Ended, check, report, run};
pub use secrets::without_users;
