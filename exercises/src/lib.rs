#![doc = include_str!("../README.md")]

#[cfg(feature = "api-client")]
pub mod api_client;
#[cfg(feature = "data-pipeline")]
pub mod data_pipeline;
#[cfg(feature = "file-processor")]
pub mod file_processor;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod installed;
mod terminal;
