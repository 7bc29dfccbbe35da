//! Checks the links between HTML pages. Links to the web are left out: a check must not depend on
//! other people's servers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use crate::Result;

/// Follows every link of every page in a folder.
///
/// # Errors
///
/// If one leads to a file or a heading that is not there.
pub fn check(folder: &Path) -> Result {
    check_some(folder, &|_| true)
}

/// The same for the pages that `wanted` names, by their paths in the folder.
///
/// # Errors
///
/// As [`check`].
pub fn check_some(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result {
    let files = files(folder)?;
    let html = files.iter().filter(|file| file.extension().is_some_and(|end| end == "html"));
    let mut pages = BTreeMap::new();
    for file in html {
        pages.insert(file.clone(), read(&fs::read_to_string(folder.join(file))?));
    }
    let mut total = 0;
    let mut broken = Vec::new();
    for (file, page) in pages.iter().filter(|(file, _)| wanted(file)) {
        for link in &page.links {
            total += 1;
            if !leads_somewhere(&files, &pages, file, link) {
                broken.push(format!("{} links to {link}", file.display()));
            }
        }
    }
    println!("{total} links, {} of them broken", broken.len());
    if total == 0 {
        return Err(format!("{} has no pages", folder.display()).into());
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}

/// What the check needs of a page: the anchors in it, and its links to other files and anchors.
struct Html {
    anchors: BTreeSet<String>,
    links: BTreeSet<String>,
}

fn read(text: &str) -> Html {
    let attribute = Regex::new(r#"\s(href|src|id)="([^"]*)""#).expect("it is a pattern");
    let scheme = Regex::new(r"^([a-z]+:|//)").expect("it is a pattern");
    // The links in a page that shows another page's source are not followed.
    let code = Regex::new(r"(?s)<pre>.*?</pre>").expect("it is a pattern");
    let text = code.replace_all(text, "");
    let mut html = Html { anchors: BTreeSet::new(), links: BTreeSet::new() };
    for found in attribute.captures_iter(&text) {
        let value = found[2].replace("&#x27;", "'").replace("&amp;", "&");
        if &found[1] == "id" {
            html.anchors.insert(value);
        } else if !value.is_empty() && value != "#" && !scheme.is_match(&value) {
            html.links.insert(value);
        }
    }
    html
}

fn leads_somewhere(
    files: &BTreeSet<PathBuf>,
    pages: &BTreeMap<PathBuf, Html>,
    from: &Path,
    link: &str,
) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = path.split('?').next().unwrap_or(path);
    let (folder, path) = match path.strip_prefix('/') {
        Some(path) => (Path::new(""), path),
        None => (from.parent().unwrap_or(Path::new("")), path),
    };
    let mut to = if link.starts_with('#') { from.to_owned() } else { plain(&folder.join(path)) };
    if path.ends_with('/') || to.as_os_str().is_empty() {
        to.push("index.html");
    }
    if anchor.is_empty() {
        return files.contains(&to);
    }
    // A line of a source, such as `#12-34`, is found by a script.
    let is_lines = anchor.chars().all(|c| c.is_ascii_digit() || c == '-');
    pages.get(&to).is_some_and(|page| is_lines || page.anchors.contains(anchor))
        || (files.contains(&to) && !pages.contains_key(&to))
}

/// `a/b/../c` as `a/c`.
pub fn plain(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.file_name().is_some() => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// The way from a folder to a file, both from the same place.
pub fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

/// All files of a folder, by their paths in it.
pub fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    collect(folder, folder, &mut files)?;
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result {
    for entry in fs::read_dir(folder).map_err(|err| format!("{}: {err}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.insert(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(pages: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in pages {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_link_to_a_file_or_a_heading_that_is_missing_is_broken() {
        let two = r#"<h2 id="here"><a href="../one.html">up</a> <img src="p.svg">"#;
        for (link, is_there) in [
            ("a/two.html", true),
            ("a/two.html#here", true),
            ("a/b/../two.html?x=1#here", true),
            ("https://example.org/none.html", true),
            ("a/two.html#there", false),
            ("a/three.html", false),
            ("#here", false),
        ] {
            let one = format!(r#"<a href="{link}">x</a> <a href="a/two.html">y</a>"#);
            let folder = folder(&[("one.html", &one), ("a/two.html", two), ("a/p.svg", "")]);
            assert_eq!(check(folder.path()).is_ok(), is_there, "{link}");
        }
    }

    #[test]
    fn the_way_to_a_file_goes_up_as_far_as_it_must() {
        let way = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(way("a/b", "a/c/d.md"), Path::new("../c/d.md"));
        assert_eq!(way("", "a.md"), Path::new("a.md"));
        assert_eq!(way("a", "a/b.md"), Path::new("b.md"));
    }
}
