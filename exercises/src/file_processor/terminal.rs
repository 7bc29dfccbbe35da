use std::fmt::Write;
use std::path::Path;

/// A path on one line of a terminal.
pub(crate) fn plain(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

/// Control characters could move the cursor, or break the line.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, character| {
        if character.is_control() {
            let _ = write!(plain, "{}", character.escape_default()); // a String takes everything
        } else {
            plain.push(character);
        }
        plain
    })
}
