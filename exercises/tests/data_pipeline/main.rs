//! `data-pipeline` as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod deploy;
mod http;
mod kit;
#[cfg(feature = "nats")]
mod nats;
mod page;
mod program;
mod rotation;
mod rotator;
mod samples;
mod server;
mod silence;
mod stall;
mod start;
mod tcp;
mod unreadable;
mod unwrap;
mod windows;
