//! What comes in: requests, one a line.

mod json;
pub(super) mod lines;
mod request;

pub(super) use json::Values;
pub use request::{Id, Request};
pub(super) use request::{checked_header, masked, without_user};
