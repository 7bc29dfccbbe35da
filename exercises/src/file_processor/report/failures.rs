use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Error, Seek, Write};
use std::iter;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use super::object::FailedPath;
use crate::file_processor::row::{Failure, Operation};

/// Failures beyond this many bytes wait in a temporary file.
const IN_MEMORY: usize = 1024 * 1024;

/// The failures of a run, kept until the end of the listing, however many there are.
pub(crate) struct Failures {
    /// Path, operation and reason, each with a NUL behind it, which none of them contains.
    spool: BufWriter<SpooledTempFile>,
    /// `--errors`: one JSON object a line, at once.
    copy: Option<BufWriter<File>>,
}

impl Failures {
    pub(crate) fn new(copy: Option<File>) -> Self {
        let spool = BufWriter::new(SpooledTempFile::new(IN_MEMORY));
        Self { spool, copy: copy.map(BufWriter::new) }
    }

    pub(crate) fn push(&mut self, path: &Path, failure: &Failure) -> io::Result<()> {
        let fields = [
            path.as_os_str().as_bytes(),
            failure.operation.name().as_bytes(),
            failure.reason.as_bytes(),
        ];
        for field in fields {
            self.spool.write_all(field)?;
            self.spool.write_all(&[0])?;
        }
        if let Some(copy) = &mut self.copy {
            serde_json::to_writer(&mut *copy, &FailedPath { path, failure })?;
            writeln!(copy)?;
        }
        Ok(())
    }

    /// Gives all failures out, in the order of the listing. The copy is complete with that.
    pub(crate) fn drain(self) -> io::Result<impl Iterator<Item = io::Result<(PathBuf, Failure)>>> {
        if let Some(mut copy) = self.copy {
            copy.flush()?;
        }
        let mut spool = self.spool.into_inner()?;
        spool.rewind()?;
        let mut fields = BufReader::new(spool).split(0);
        Ok(iter::from_fn(move || {
            let path = fields.next()?;
            Some(path.and_then(|path| failure(path, fields.next(), fields.next())))
        }))
    }
}

type Field = Option<io::Result<Vec<u8>>>;

fn failure(path: Vec<u8>, operation: Field, reason: Field) -> io::Result<(PathBuf, Failure)> {
    let cut = || Error::other("the temporary file of failures is cut short");
    let name = operation.ok_or_else(cut)??;
    let known = Operation::ALL.into_iter().find(|known| known.name().as_bytes() == name);
    let operation = known.ok_or_else(cut)?;
    let reason = String::from_utf8(reason.ok_or_else(cut)??).map_err(Error::other)?;
    Ok((OsString::from_vec(path).into(), Failure { operation, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_come_back_in_order_and_as_they_were() {
        let path = |n: u32| PathBuf::from(OsString::from_vec(format!("f{n}\n\\").into_bytes()));
        let failure = |n: u32| {
            let operation = Operation::ALL[n as usize % Operation::ALL.len()];
            Failure::new(operation, format!("reason {n}"))
        };
        let mut failures = Failures::new(None);
        let count = IN_MEMORY as u32 / 10; // some of them go to the disk
        for n in 0..count {
            failures.push(&path(n), &failure(n)).unwrap();
        }
        let mut n = 0;
        for item in failures.drain().unwrap() {
            assert_eq!(item.unwrap(), (path(n), failure(n)));
            n += 1;
        }
        assert_eq!(n, count);
    }
}
