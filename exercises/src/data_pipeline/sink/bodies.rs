//! Lines as the bodies of requests and messages: cut at line ends, put into an array, compressed.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Takes the first of `lines`, at most `most` bytes unless a single line is longer. Taken one after
/// the other, the parts have about the same length.
pub(crate) fn take(lines: &mut Bytes, most: usize) -> Bytes {
    let most = lines.len().div_ceil(lines.len().div_ceil(most));
    let within = memchr::memrchr(b'\n', &lines[..most]);
    let end = within.or_else(|| memchr::memchr(b'\n', lines)).map_or(lines.len(), |end| end + 1);
    lines.split_to(end)
}

/// Names lines by their content, so that the other side recognises what it already has. `salt` makes
/// equal lines of two processes differ.
pub(crate) fn id(lines: &[u8], salt: u64) -> String {
    format!("{:032x}", xxh3_128_with_seed(lines, salt))
}

/// How many lines these are.
pub(crate) fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// The lines, each of which is a JSON value, as an array of JSON.
pub(crate) fn array(lines: &[u8]) -> Vec<u8> {
    let mut array = Vec::with_capacity(lines.len() + 1);
    array.push(b'[');
    array.extend(lines.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }));
    array.pop_if(|last| *last == b',');
    array.push(b']');
    array
}

/// The body as a gzip file.
pub(crate) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body)?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_lines_have_the_same_name() {
        assert_eq!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":1}\n", 0));
        assert_ne!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":2}\n", 0));
        assert_ne!(id(b"{\"key\":1}\n", 0), id(b"{\"key\":1}\n", 1), "another process");
    }

    #[test]
    fn lines_are_an_array_with_a_comma_between_any_two() {
        assert_eq!(array(b"{\"a\":1}\n{\"b\":\"x,y\"}\n"), b"[{\"a\":1},{\"b\":\"x,y\"}]");
        assert_eq!((array(b"{}\n"), count(b"{}\n{}\n")), (b"[{}]".to_vec(), 2));
    }
}
