use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::file_processor::row::{Failure, Operation};

/// The failures of a run, kept until the end of the listing in little memory, however many there
/// are: each text is stored without the beginning that it shares with the one before it (front
/// coding).
#[derive(Default)]
pub(crate) struct Failures {
    /// For each text, the length that it shares with the one before it, the rest, and a NUL, which
    /// none of them contains. Paths and reasons alternate.
    bytes: Vec<u8>,
    path: Vec<u8>,
    /// The operation and the reason.
    reason: Vec<u8>,
}

impl Failures {
    pub(crate) fn push(&mut self, path: &Path, failure: &Failure) {
        let operation = Operation::ALL.iter().position(|known| *known == failure.operation);
        let operation = b'1' + operation.expect("all operations are there") as u8;
        let reason = [&[operation], failure.reason.replace('\0', "\u{fffd}").as_bytes()].concat();
        encode(&mut self.bytes, &mut self.path, path.as_os_str().as_bytes());
        encode(&mut self.bytes, &mut self.reason, &reason);
    }

    /// All of them, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PathBuf, Failure)> {
        let (mut path, mut reason) = (Vec::new(), Vec::new());
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            decode(&mut rest, &mut path)?;
            decode(&mut rest, &mut reason)?;
            let (operation, reason) = reason.split_first()?;
            let operation = Operation::ALL[usize::from(operation - b'1')];
            let failure = Failure::new(operation, String::from_utf8_lossy(reason));
            Some((OsString::from_vec(path.clone()).into(), failure))
        })
    }
}

fn encode(bytes: &mut Vec<u8>, last: &mut Vec<u8>, text: &[u8]) {
    let shared = last.iter().zip(text).take(usize::from(u8::MAX)).take_while(|(a, b)| a == b);
    let shared = shared.count();
    bytes.push(shared as u8);
    bytes.extend_from_slice(&text[shared..]);
    bytes.push(0);
    last.truncate(shared);
    last.extend_from_slice(&text[shared..]);
}

fn decode(bytes: &mut &[u8], last: &mut Vec<u8>) -> Option<()> {
    let (shared, rest) = bytes.split_first()?;
    let end = memchr::memchr(0, rest)?;
    last.truncate(usize::from(*shared));
    last.extend_from_slice(&rest[..end]);
    *bytes = &rest[end + 1..];
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_come_back_as_they_were_and_take_little_memory() {
        const COUNT: u32 = 100_000;
        let path = |n: u32| {
            let long = if n.is_multiple_of(1000) { "d".repeat(300) } else { String::new() };
            PathBuf::from(OsString::from_vec(
                [long.as_bytes(), &n.to_be_bytes().map(|b| b | 1)].concat(),
            ))
        };
        let path = |n: u32| Path::new("/some/directory/of/a/tree").join(path(n));
        let failure = |n: u32| {
            let operation = Operation::ALL[(n / 100) as usize % Operation::ALL.len()];
            Failure::new(operation, format!("reason {}", n / 100))
        };
        let mut failures = Failures::default();
        for n in 0..COUNT {
            failures.push(&path(n), &failure(n));
        }
        assert!(failures.bytes.len() < 10 * COUNT as usize, "{}", failures.bytes.len());
        let back: Vec<_> = failures.iter().collect();
        assert_eq!(back, (0..COUNT).map(|n| (path(n), failure(n))).collect::<Vec<_>>());
    }
}
