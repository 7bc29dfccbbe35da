//! Stands in for tokio-util, for shuttle.

pub mod task;
