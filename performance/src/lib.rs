#![doc = include_str!("../README.md")]

mod designs;
mod gauge;
mod measure;
mod memory;
mod report;

pub use designs::{limited, pool, threads, unlimited};
pub use gauge::{Gauge, Running};
pub use measure::{Design, Load, Measured, measure};
pub use memory::{peak_memory, peak_memory_of};
pub use report::{apart, json, table};
