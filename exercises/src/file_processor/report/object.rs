//! The JSON objects that more than one file writes.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;

use crate::file_processor::row::Failure;
use crate::terminal::is_harmful;

/// An error, in the listing and in `--errors`.
pub(crate) struct FailedPath<'a> {
    pub(crate) path: &'a Path,
    pub(crate) failure: &'a Failure,
}

impl Serialize for FailedPath<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        text(&mut map, "path", self.path.as_os_str())?;
        map.serialize_entry("operation", self.failure.operation.name())?;
        map.serialize_entry("reason", &self.failure.reason)?;
        map.end()
    }
}

/// Writes JSON that cannot harm a terminal: [harmful](is_harmful) characters are escaped, as JSON
/// allows, and every reader undoes that.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Harmless))?;
    Ok(())
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut start = 0;
        for (at, character) in fragment.char_indices().filter(|(_, it)| is_harmful(*it)) {
            out.write_all(&fragment.as_bytes()[start..at])?;
            write!(out, "\\u{:04x}", u32::from(character))?; // none of them is beyond U+FFFF
            start = at + character.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[start..])
    }
}

/// A text that need not be UTF-8. If it is not, it is shown lossily, and exactly in base64.
pub(crate) fn text<M: SerializeMap>(map: &mut M, key: &str, text: &OsStr) -> Result<(), M::Error> {
    map.serialize_entry(key, &text.to_string_lossy())?;
    if text.to_str().is_none() {
        map.serialize_entry(&format!("{key}_bytes"), &BASE64_STANDARD.encode(text.as_bytes()))?;
    }
    Ok(())
}
