use std::io;

/// Why a run could not begin, or ended early.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn unprinted(what: &str, err: &io::Error) -> Failed {
    format!("cannot print {what}: {err}").into()
}
