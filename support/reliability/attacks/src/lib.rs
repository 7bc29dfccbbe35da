//! What the attacks share: a program that runs in a folder of its own, events and servers to feed
//! it, and a table for the results.

mod events;
mod program;
mod server;
mod table;

pub use events::{differs, lines};
pub use program::{Ended, Programs, Running, status_value};
pub use server::Server;
pub use table::{head, row};

/// An error here is reported and ends the attack.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What stands behind `name` on the command line.
pub fn text(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// The number behind `name` on the command line, or `default`.
pub fn number(name: &str, default: u64) -> Result<u64> {
    text(name).map_or(Ok(default), |text| {
        text.parse().map_err(|_| format!("{name} {text} is not a number").into())
    })
}
