#![doc = include_str!("../README.md")]

#[cfg(feature = "file-processor")]
pub mod file_processor;
