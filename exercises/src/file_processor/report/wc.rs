use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use unicode_width::UnicodeWidthChar;

use super::format::{Format, Listing, TotalWhen};
use crate::file_processor::columns::Counts;
use crate::file_processor::row::Summary;
use crate::file_processor::walk::Inputs;
use crate::terminal::plain;

/// The width that `wc` gives its columns when it cannot know the size of a file beforehand.
const UNKNOWN_SIZE: usize = 7;

/// The spaces that one write may need: a column and the gap before it. A number has 20 digits at
/// most.
const SPACES: [u8; 21] = [b' '; 21];

/// `wc` looks at the files that a list names beforehand, if the list is not longer than this.
const LONGEST_LIST: u64 = 10 * 1024 * 1024;

/// `--format wc`: byte for byte what GNU `wc` prints for the same files.
pub(crate) struct Wc {
    listing: Listing,
    /// Whether stdin is counted because no path was given: then it has no name.
    unnamed: bool,
    width: usize,
    rows: u64,
}

impl Wc {
    pub(crate) fn new(listing: Listing, inputs: &Inputs) -> Self {
        let width = if listing.total == TotalWhen::Only { 1 } else { width(&listing, inputs) };
        Self { listing, unnamed: *inputs == Inputs::Stdin, width, rows: 0 }
    }

    fn line(&self, out: &mut dyn Write, counts: &Counts, name: Option<&[u8]>) -> io::Result<()> {
        for (at, column) in self.listing.columns.iter().enumerate() {
            let number = counts.get(column);
            // `{number:>width$}` writes each space by itself.
            let spaces = usize::from(at > 0) + self.width.saturating_sub(digits(number));
            out.write_all(&SPACES[..spaces])?;
            write!(out, "{number}")?;
        }
        if let Some(name) = name {
            out.write_all(b" ")?;
            out.write_all(name)?;
        }
        out.write_all(b"\n")
    }
}

impl Format for Wc {
    fn row(&mut self, out: &mut dyn Write, path: &Path, counts: &Counts) -> io::Result<()> {
        self.rows += 1;
        let name =
            if self.listing.terminal { plain(path).to_string().into_bytes() } else { quoted(path) };
        self.line(out, counts, (!self.unnamed).then_some(&name))
    }

    fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        let name: Option<&[u8]> = match self.listing.total {
            TotalWhen::Auto if self.rows + summary.failed > 1 => Some(b"total"),
            TotalWhen::Always => Some(b"total"),
            TotalWhen::Only => None,
            TotalWhen::Auto | TotalWhen::Never => return Ok(()),
        };
        self.line(out, &summary.total.counts, name)
    }
}

/// The width of all columns: that of the sizes of all regular files together, and at least
/// [`UNKNOWN_SIZE`] if one of the inputs is something else. One number alone has no width.
fn width(listing: &Listing, inputs: &Inputs) -> usize {
    let one_column = listing.columns.iter().count() == 1;
    let of = |files: &[Option<Metadata>]| {
        if files.len() == 1 && one_column {
            return 1;
        }
        let files = files.iter().flatten();
        let least = if files.clone().all(Metadata::is_file) { 1 } else { UNKNOWN_SIZE };
        digits(files.filter(|file| file.is_file()).map(Metadata::len).sum()).max(least)
    };
    let path = |path: &[u8]| match path {
        b"-" => stdin().ok()?.metadata().ok(),
        _ => fs::metadata(std::ffi::OsStr::from_bytes(path)).ok(),
    };
    match inputs {
        Inputs::Stdin => of(&[path(b"-")]),
        Inputs::Paths(paths) if paths.is_empty() => of(&[path(b".")]),
        Inputs::Paths(paths) => {
            of(&paths.iter().map(|it| path(it.as_os_str().as_bytes())).collect::<Vec<_>>())
        }
        Inputs::Listed(list) => match names(list) {
            Ok(Some(names)) if !names.is_empty() => {
                let names = names.strip_suffix(&[0]).unwrap_or(&names);
                of(&names.split(|byte| *byte == 0).map(path).collect::<Vec<_>>())
            }
            _ => 1,
        },
    }
}

/// The content of a list, if it is a regular file and not too long. Stdin stays where it is.
fn names(list: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = if list.as_os_str() == "-" { stdin()? } else { File::open(list)? };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LONGEST_LIST {
        return Ok(None);
    }
    let start = if list.as_os_str() == "-" { io::Seek::stream_position(&mut &file)? } else { 0 };
    let mut names = vec![0; metadata.len().saturating_sub(start) as usize];
    file.read_exact_at(&mut names, start)?;
    Ok(Some(names))
}

fn stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// How many digits a number has.
const fn digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(digits) => digits as usize + 1,
        None => 1,
    }
}

/// A name with a line feed in it is quoted for the shell, as GNU's `shell-escape` style does it in
/// a UTF-8 locale: `'` around what can be shown, `$'…'` around the rest.
fn quoted(path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    if !name.contains(&b'\n') {
        return name.to_vec();
    }
    let parts = parts(name);
    let escapes = |part: Option<&Part>| matches!(part, Some(Part::Escaped(_)));
    // GNU scans a name with a quote in it twice (seen in 9.1), and begins as if the `$'` at its end
    // stood in front of it: an empty pair of quotes too many. (If the name begins with an escape,
    // GNU's output names another file; here it is quoted correctly.)
    let twice = name.contains(&b'\'') && escapes(parts.last()) && !escapes(parts.first());
    let mut quoted = Quoted { text: b"'".to_vec(), escaping: twice };
    for part in parts {
        match part {
            Part::Shown('\'') => quoted.quote(),
            Part::Shown(character) => quoted.show(character),
            Part::Escaped(byte) => quoted.escape(byte),
        }
    }
    quoted.text.push(b'\'');
    quoted.text
}

enum Part {
    Shown(char),
    Escaped(u8),
}

/// The characters of a name that can be shown, and the bytes of all others.
fn parts(name: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.width().is_some() {
                parts.push(Part::Shown(character));
            } else {
                let mut bytes = [0; 4];
                parts.extend(character.encode_utf8(&mut bytes).bytes().map(Part::Escaped));
            }
        }
        parts.extend(chunk.invalid().iter().copied().map(Part::Escaped));
    }
    parts
}

struct Quoted {
    text: Vec<u8>,
    /// Whether `$'` is open rather than `'`.
    escaping: bool,
}

impl Quoted {
    fn show(&mut self, character: char) {
        if std::mem::take(&mut self.escaping) {
            self.text.extend(b"''");
        }
        self.text.extend(character.encode_utf8(&mut [0; 4]).bytes());
    }

    /// Ends the quotes, `'` or `$'`, and goes on in new ones behind an escaped quote.
    fn quote(&mut self) {
        self.escaping = false;
        self.text.extend(b"'\\''");
    }

    fn escape(&mut self, byte: u8) {
        if !std::mem::replace(&mut self.escaping, true) {
            self.text.extend(b"'$'");
        }
        let letter = b"abtnvfr".get(usize::from(byte.wrapping_sub(7)));
        match letter {
            Some(letter) => self.text.extend([b'\\', *letter]),
            None => self.text.extend(format!("\\{byte:03o}").bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_name_with_a_line_feed_is_quoted_as_wc_does_it() {
        let quoted = |name: &[u8]| String::from_utf8(quoted(Path::new(OsStr::from_bytes(name))));
        assert_eq!(quoted(b"a\tb\\'").unwrap(), "a\tb\\'");
        assert_eq!(quoted(b"a\nb").unwrap(), r"'a'$'\n''b'");
        assert_eq!(quoted(b"\n\t\x1b\xFFx'\n'").unwrap(), r"''$'\n\t\033\377''x'\'''$'\n'\'''");
        assert_eq!(quoted("\né\u{7f}".as_bytes()).unwrap(), r"''$'\n''é'$'\177'");
    }
}
