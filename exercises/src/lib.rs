#![doc = include_str!("../README.md")]

#[cfg(all(unix, feature = "api-client"))]
pub mod api_client;
#[cfg(all(
    unix,
    any(feature = "api-client", feature = "data-pipeline", feature = "file-processor")
))]
mod closed;
#[cfg(all(unix, feature = "data-pipeline"))]
pub mod data_pipeline;
#[cfg(all(unix, feature = "file-processor"))]
pub mod file_processor;
#[cfg(all(unix, any(test, feature = "fuzzing")))]
pub mod fuzz;
#[cfg(unix)]
pub mod installed;
#[cfg(all(unix, any(feature = "api-client", feature = "data-pipeline")))]
pub mod policy;
#[cfg(unix)]
mod terminal;

#[cfg(not(unix))]
compile_error!("the three programs need Unix: its descriptors, signals, and paths of bytes");
