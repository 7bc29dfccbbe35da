#![doc = include_str!("../README.md")]

mod failure;
mod group;
mod processing;
mod results;

pub use failure::{Failure, Summary, TaskFailed};
pub use group::{Group, GroupError, Spawner};
pub use processing::{FAILURE_RATE, MAX_MILLIS, ProcessingError, Unlucky, draw};
pub use results::{Results, TaskResult, process_all};
