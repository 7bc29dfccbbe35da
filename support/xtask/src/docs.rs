//! The API documentation. A crate's page is the first page of its documentation, and rustdoc copies
//! neither its pictures nor the pages that it links to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::book::target;
use crate::links::{check_some, relative};
use crate::markdown::Page;
use crate::workspace::{Manifest, members, name_of, root, run, target as built, tracked};

/// Builds the documentation, adds the pictures and links of the pages, and checks both.
///
/// # Errors
///
/// If rustdoc warns, or a link or a picture of a page leads nowhere.
pub fn build() -> Result {
    run(Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    let docs = built().join("doc");
    let pages = documented()?;
    for (page, html) in &pages {
        let page = Page::read(page);
        let to = docs.join(html);
        let mut text = fs::read_to_string(&to).map_err(|err| format!("{}: {err}", to.display()))?;
        for link in &page.links {
            let Some((path, anchor)) = target(&page, &link.target) else { continue };
            let there = pages.iter().find(|(page, _)| *page == path);
            let folder = html.parent().expect("a page of the documentation is in a folder");
            let new = match there {
                Some((_, other)) => relative(folder, other).display().to_string() + &anchor,
                None if link.image => {
                    let picture = Path::new("pictures").join(&path);
                    let copy = docs.join(&picture);
                    fs::create_dir_all(copy.parent().expect("a picture is in a folder"))?;
                    fs::copy(root().join(&path), copy)?;
                    relative(folder, &picture).display().to_string()
                }
                None => format!("{}/blob/main/{}{anchor}", repository(), path.display()),
            };
            for attribute in ["href", "src"] {
                let old = format!("{attribute}=\"{}\"", link.target);
                text = text.replace(&old, &format!("{attribute}=\"{new}\""));
            }
        }
        fs::write(to, text)?;
    }
    check_some(&docs, &|file| pages.iter().any(|(_, html)| html == file))
}

/// The pages that are in the documentation, each with its place there.
fn documented() -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut pages = Vec::new();
    for member in members() {
        let crate_name = name_of(&member).replace('-', "_");
        let lib = root().join(&member).join("src/lib.rs");
        for page in tracked(&format!("{member}/*README.md"))? {
            let page = PathBuf::from(page);
            let folder = page.parent().expect("a page is in a folder");
            let module =
                folder.strip_prefix(Path::new(&member).join("src")).unwrap_or(Path::new(""));
            let source = match module.file_name() {
                Some(_) => root().join(folder).join("mod.rs"),
                None if folder == Path::new(&member) => lib.clone(),
                None => continue,
            };
            let included =
                fs::read_to_string(source).is_ok_and(|text| text.contains("README.md\""));
            if included {
                pages.push((page.clone(), Path::new(&crate_name).join(module).join("index.html")));
            }
        }
    }
    Ok(pages)
}

fn repository() -> String {
    let manifest = Manifest::read("");
    let address = manifest.0["workspace"]["package"].get("repository");
    address.and_then(|address| address.as_str()).unwrap_or_default().to_owned()
}
