#![doc = include_str!("README.md")]

mod config;
mod demo;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod monitor;
#[cfg(feature = "nats")]
mod nats;
mod run;
mod secrets;
mod sink;
mod source;
mod state;
mod window;

pub use config::{Config, HttpBody, HttpCompression, WhenFull, located};
pub use demo::demo;
pub use run::{Ended, Failure, check, compile, report, run, sample};
pub use secrets::without_users;
pub use state::ledger::{Counts, SinkCounts};
