#![doc = include_str!("../README.md")]

pub mod book;
mod console;
pub mod docs;
pub mod figures;
pub mod follow;
pub mod go;
pub mod links;
mod markdown;
pub mod pictures;
pub mod programs;
pub mod take;
mod widths;
mod workspace;

pub use console::{Steps, Transcript, commands, without_remark};
pub use markdown::{Block, Link, Page, Span, files, pages};
pub use workspace::{Manifest, members, name_of, root, sections, tracked};

/// The result of a task. An error is reported on stderr.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The code blocks of the pages that belong to no crate are documentation tests here.
#[cfg(doctest)]
mod doctests {
    #[doc = include_str!("../../../README.md")]
    mod root {}
    #[doc = include_str!("../../../docs/from-go.md")]
    mod go {}
    #[doc = include_str!("../../../docs/glossary.md")]
    mod glossary {}
    #[doc = include_str!("../../../communication/README.md")]
    mod communication {}
}
