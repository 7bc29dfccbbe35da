//! Lays every page of the book out on a phone and on a desktop, and finds what is cut off there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::links::files;

/// In pixels: a phone and a desktop.
const WIDTHS: [u32; 2] = [390, 1280];
const BROWSER: &str = "/usr/bin/chromium";

/// Opens every page of a folder in Chromium. It is skipped where there is none, except under CI.
///
/// # Errors
///
/// If a page is wider than the window, or a part of it is cut off and does not scroll.
pub fn check(folder: &Path) -> Result {
    if !Path::new(BROWSER).exists() {
        println!("widths: skipped, there is no {BROWSER} here");
        return if std::env::var_os("CI").is_none() { Ok(()) } else { Err("no Chromium".into()) };
    }
    let is_page = |file: &PathBuf| file.extension() == Some(OsStr::new("html"));
    let pages: Vec<_> = files(folder)?.into_iter().filter(is_page).collect();
    let look = include_str!("widths.html").replace("WIDTHS", &format!("{WIDTHS:?}"));
    let start = folder.join("widths.html");
    fs::write(&start, look.replace("PAGES", &format!("{pages:?}")))?;
    let args = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"];
    let output = Command::new(BROWSER)
        .args(args)
        .args(["--virtual-time-budget=600000", "--dump-dom"])
        .arg(format!("file://{}", start.canonicalize()?.display()))
        .output();
    fs::remove_file(start)?;
    let html = String::from_utf8(output?.stdout)?;
    let found =
        html.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    match found.and_then(|found| found.strip_suffix("looked at all")) {
        Some("") => println!("{} pages, none cut off at {WIDTHS:?} pixels", pages.len()),
        Some(cut) => return Err(format!("cut off:\n{cut}").into()),
        None => return Err(format!("Chromium did not look at all pages: {html}").into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_wider_than_a_phone_is_found_unless_it_scrolls() {
        if !Path::new(BROWSER).exists() {
            return;
        }
        let wide = "<div style='width: 500px'>a table</div>";
        let folder = tempfile::tempdir().unwrap();
        for (name, body) in [
            ("narrow", "a word".to_owned()),
            ("scrolls", format!("<main><div style='overflow-x: auto'>{wide}</div></main>")),
            ("wide", format!("<main>{wide}</main>")),
            ("main-scrolls", format!("<main style='overflow-x: auto'>{wide}</main>")),
            ("hidden", format!("<main><div style='overflow: hidden'>{wide}</div></main>")),
        ] {
            let path = folder.path().join(name).with_extension("html");
            fs::write(path, format!("<!doctype html>{body}")).unwrap();
        }
        let cut = check(folder.path()).unwrap_err().to_string();
        let mut pages: Vec<_> =
            cut.lines().filter_map(|line| line.split(".html at 390").next()).collect();
        pages.dedup();
        assert_eq!(pages, ["cut off:", "hidden", "main-scrolls", "wide"]);
    }
}
