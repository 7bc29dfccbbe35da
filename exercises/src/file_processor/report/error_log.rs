use std::fs::File;
use std::io::{self, BufWriter, Error, Write};
use std::path::{Path, PathBuf};

use super::object::{FailedPath, write_json};
use crate::file_processor::row::Failure;

/// `--errors`: writes each failure at once, as a line of JSON. If a write fails, counting goes on.
pub(crate) struct ErrorLog {
    name: PathBuf,
    out: Box<dyn Write>,
    written: io::Result<()>,
}

impl ErrorLog {
    /// To a new file, or to stderr if it is called `-`.
    pub(crate) fn create(name: &Path) -> io::Result<Self> {
        let out: Box<dyn Write> = match name.to_str() {
            Some("-") => Box::new(io::stderr()),
            _ => Box::new(BufWriter::new(File::create(name)?)),
        };
        Ok(Self { name: name.into(), out, written: Ok(()) })
    }

    pub(crate) fn push(&mut self, path: &Path, failure: &Failure) {
        if self.written.is_ok() {
            self.written = write_json(&mut self.out, &FailedPath { path, failure })
                .and_then(|()| writeln!(self.out));
        }
    }

    /// Writes what is left. The error names the file.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.written.and_then(|()| self.out.flush()).map_err(|err| {
            let what = format!("cannot write --errors {}: {err}", self.name.display());
            Error::new(err.kind(), what)
        })
    }
}
