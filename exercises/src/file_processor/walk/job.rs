use std::path::PathBuf;

/// A file to be read.
pub(crate) struct Job {
    /// Its place in the listing.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// The length in bytes of the part of the path that names the walked directory.
    pub(crate) root: usize,
    pub(crate) origin: Origin,
}

/// Where a path comes from: it decides how carefully the path is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Stdin,
    Named,
    Walked,
}
