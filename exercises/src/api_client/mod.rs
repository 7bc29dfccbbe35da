#![doc = include_str!("README.md")]

mod attempt;
pub mod cli;
mod client;
mod direct;
mod flight;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod journal;
mod outcome;
mod outcomes;
pub mod policy;
mod redirect;
mod request;
mod store;
mod summary;
mod transport;
mod web;

pub use attempt::Limits;
pub use client::{Client, Config, Unusable};
pub use journal::{Journal, JournalError};
pub use outcome::{Error, ErrorKind, Outcome};
pub use outcomes::{Outcomes, READ_AHEAD};
pub use request::{Id, Request};
pub use summary::{Latency, Report, Summary};
pub use transport::{Body, Call, Cure, Failure, Transport};
pub use web::{Received, Web};
