#![doc = include_str!("../README.md")]

#[cfg(feature = "api-client")]
pub mod api_client;
