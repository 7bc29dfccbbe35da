//! Counting: the workers, who counts which chunk of a large file, and what is counted.

mod frequency;
mod kernel;
mod opener;
mod partial;
mod permits;
mod reassembly;
pub mod scalar;
mod whitespace;
mod worker;

pub(crate) use frequency::{Frequencies, top};
pub(crate) use opener::DirOpener;
pub use partial::Counter;
pub(crate) use permits::Permits;
pub use whitespace::Whitespace;
pub(crate) use worker::{CHUNK, Shared, Worker};
