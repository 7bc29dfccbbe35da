//! For build scripts: a section's own source with one bug in it, which a model must find. It shows
//! that the models can find what they look for.

use std::path::Path;
use std::{env, fs};

/// Writes `source` to `NAME.rs` in the build's output, with the text `good` replaced by `bad`.
///
/// # Panics
///
/// If `good` does not stand in `source` exactly once: then the bug has to be fitted to the new
/// source.
pub fn write(source: &str, name: &str, good: &str, bad: &str) {
    println!("cargo::rerun-if-changed={source}");
    let text = fs::read_to_string(source).expect("the section has this source");
    assert_eq!(text.matches(good).count(), 1, "`{good}` in {source}");
    // What is included cannot have documentation of its own at the top.
    let text = text.replace(good, bad).replace("\n//!", "\n//").replacen("//!", "//", 1);
    let out = env::var_os("OUT_DIR").expect("a build script has a place for its output");
    fs::write(Path::new(&out).join(format!("{name}.rs")), text).expect("it can be written to");
}
