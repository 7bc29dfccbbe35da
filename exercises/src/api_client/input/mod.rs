//! What comes in: requests, one a line.

mod header;
mod id;
mod json;
pub(super) mod lines;
mod request;

pub(super) use header::{Values, checked_header};
pub use id::Id;
pub use request::Request;
pub(super) use request::{masked, sendable, without_user};
