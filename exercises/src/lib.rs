#![doc = include_str!("../README.md")]

#[cfg(feature = "data-pipeline")]
pub mod data_pipeline;
