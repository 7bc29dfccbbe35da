#![doc = include_str!("../README.md")]

#[cfg(test)]
extern crate self as leaks; // where the attribute looks for the function

mod chapter;
mod check;
mod monitor;
mod named;
pub mod practices;
mod process;

pub use chapter::{Best, bad, best, good, literal};
pub use check::{GRACE, leak_check, live_tasks, settled};
pub use leak_check::leak_check;
pub use monitor::serve_count;
pub use named::{NamedTasks, Spawned};
