use std::path::PathBuf;

/// A file to be read.
pub(crate) struct Job {
    /// Its place in the listing.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// How many bytes of the path name the directory that was walked.
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
