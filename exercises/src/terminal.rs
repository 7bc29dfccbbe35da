//! Shows untrusted text safely on a terminal.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter, Write};
use std::os::unix::ffi::OsStrExt;

/// Shows an untrusted name, pattern or message on one line, so that it can do no harm: control
/// characters and what [`is_harmful`] names are escaped as Rust writes them, bytes that are not
/// UTF-8 as `\xFF`, and a backslash as `\\`, so that two texts never look the same.
pub(crate) struct Plain<'a>(&'a [u8]);

/// See [`Plain`].
pub(crate) fn plain<T: AsRef<OsStr> + ?Sized>(text: &T) -> Plain<'_> {
    Plain(text.as_ref().as_bytes())
}

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    _ if is_harmful(character) => write!(f, "{}", character.escape_default())?,
                    _ => f.write_char(character)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?;
        }
        Ok(())
    }
}

/// Whether a character can move the cursor, break the line or turn the direction of text, or is
/// forbidden in XML.
pub(crate) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' // line and paragraph separator
            | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            | '\u{FFFE}' | '\u{FFFF}'
        )
}

/// Shows a message of several lines, such as clap's, as [`plain`] shows one line.
pub(crate) fn plain_lines(text: &str) -> String {
    text.split('\n').map(|line| plain(line).to_string()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_each_escape_can_be_read_back() {
        let text =
            OsStr::from_bytes(b"a\x1b[2J\n\t\\n \xC2\x9B\xE2\x80\xAE\xE2\x80\xA8\xFF \xC3\xA9");
        let shown = plain(text).to_string();
        assert_eq!(shown, r"a\u{1b}[2J\n\t\\n \u{9b}\u{202e}\u{2028}\xFF é");
    }
}
