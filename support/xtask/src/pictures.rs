//! The pictures of the pages, drawn by the programs themselves. How a section draws its own is in its
//! manifest:
//!
//! ```toml
//! [package.metadata.picture]
//! args = "--pace 0 --seed 7"
//! exact = true # on the virtual clock: the same to the byte in every run
//! ```

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::Result;
use crate::workspace::{Manifest, cargo, name_of, root, run, sections, target};

/// Redraws all pictures; with `check`, compares those that are exact.
///
/// # Errors
///
/// If a program fails, or if a picture that was to be checked is out of date.
pub fn redraw(check: bool) -> Result {
    cargo(&["build", "--quiet", "--workspace", "--exclude", "exercises", "--bins"])?;
    let folder = tempfile::tempdir()?;
    let drawn = folder.path().join("timeline.svg");
    let mut old = Vec::new();
    for section in sections() {
        let manifest = Manifest::read(&section);
        let Some(picture) = manifest.metadata("picture") else {
            return Err(
                format!("{section}/Cargo.toml does not say how its picture is drawn").into()
            );
        };
        let exact = picture.get("exact").and_then(toml::Value::as_bool) == Some(true);
        if check && !exact {
            continue;
        }
        let args = picture.get("args").and_then(toml::Value::as_str).unwrap_or_default();
        draw(name_of(&section), args, &drawn)?;
        let kept = root().join(&section).join("timeline.svg");
        let same = if exact {
            fs::read(&kept).ok() == fs::read(&drawn).ok()
        } else {
            shape(&kept) == shape(&drawn)
        };
        if same {
            continue;
        }
        if check {
            old.push(format!("{section}/timeline.svg is out of date"));
        } else {
            fs::copy(&drawn, kept)?;
        }
    }
    if !check {
        cargo(&["build", "--quiet", "--release", "-p", "exercises", "--bins"])?;
        run(&mut Command::new("exercises/draw-pictures"))?;
    }
    if old.is_empty() { Ok(()) } else { Err(old.join("\n").into()) }
}

/// A program may end with an error that its picture shows.
fn draw(program: &str, args: &str, to: &Path) -> Result {
    let _ = fs::remove_file(to);
    let mut command = Command::new(target().join("debug").join(program));
    command.args(args.split_whitespace()).arg("--timeline").arg(to);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if to.exists() {
        Ok(())
    } else {
        Err(format!("{program} {args} draws nothing: {status}").into())
    }
}

/// The lanes and bars of a picture in their order, without their times: real time is never the same.
fn shape(picture: &Path) -> Vec<String> {
    let text = fs::read_to_string(picture).unwrap_or_default();
    let bar = Regex::new("<g><title>([^<]+)").expect("it is a pattern");
    let times = Regex::new(", [^,]* to [^,]*,").expect("it is a pattern");
    bar.captures_iter(&text).map(|bar| times.replace(&bar[1], ",").into_owned()).collect()
}
