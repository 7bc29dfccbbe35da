//! Counting: the workers, who counts which chunk of a large file, and what is counted.

mod buffer;
mod frequency;
mod kernel;
mod lines;
mod partial;
mod reassembly;
pub mod scalar;
mod whitespace;
mod worker;

pub(crate) use buffer::Buffer;
pub(crate) use frequency::{Frequencies, LONGEST_WORD, top};
pub use partial::Counter;
pub use whitespace::Whitespace;
pub(crate) use worker::{CHUNK, Shared, Worker};
