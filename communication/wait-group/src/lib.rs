#![doc = include_str!("../README.md")]

mod panics;
mod sync;
mod tasks;
mod threads;

pub use panics::Panicked;
pub use tasks::TaskGroup;
pub use threads::ThreadGroup;

#[cfg(test)]
mod tests;
