#![doc = include_str!("../README.md")]

mod console;
mod markdown;
mod quotes;
mod workspace;

pub use console::{Steps, Transcript, commands, without_remark};
pub use markdown::{Block, Link, Page, Span};
pub use quotes::{Row, rows, up_to_date};

pub use workspace::{Manifest, members, root};

use std::path::PathBuf;

/// The code blocks of the pages that belong to no crate are documentation tests here.
#[cfg(doctest)]
mod doctests {
    #[doc = include_str!("../../../README.md")]
    mod root {}
    #[doc = include_str!("../../../docs/from-go.md")]
    mod go {}
    #[doc = include_str!("../../../docs/glossary.md")]
    mod glossary {}
}

/// All files below the workspace's folder with this extension, sorted by path, without those that
/// are built or hidden.
///
/// # Panics
///
/// If a folder cannot be read.
pub fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder of the workspace can be read") {
            let path = entry.expect("so can its entries").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The pages: every Markdown file of the workspace.
pub fn pages() -> Vec<Page> {
    files("md").into_iter().map(Page::read).collect()
}
