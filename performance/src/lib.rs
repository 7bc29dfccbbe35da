#![doc = include_str!("../README.md")]

mod designs;
mod gauge;
mod measure;
mod memory;
mod report;
pub mod versus;

pub use designs::{limited, pool, threads, unlimited};
pub use gauge::{Gauge, Running};
pub use measure::{Design, Load, Measured, measure};
pub use memory::peak_memory;
pub use report::{apart, json, table};
