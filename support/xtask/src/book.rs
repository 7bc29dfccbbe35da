//! The book of all pages, in the order of the workspace's members. Each folder with a page is followed
//! by its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::links::{check, plain, relative};
use crate::markdown::Page;
use crate::widths;
use crate::workspace::{cargo, members, root, run, tracked};
use crate::{Result, name_of};

/// Pages that a reader of the chapter wants before its first section.
const IN_FRONT: [&str; 2] = ["docs/from-go.md", "docs/README.md"];

/// Pages after the chapter, in this order. All other pages follow.
const BEHIND: [&str; 7] = [
    "docs/programs.md",
    "docs/install.md",
    "docs/glossary.md",
    "docs/reliability.md",
    "docs/reliability-runs.md",
    "docs/race-notes.md",
    "CONTRIBUTING.md",
];

const MDBOOK: &str = "mdbook@0.5.4";

/// Makes the book in `target/book/html`, and checks its links and the width of its pages.
///
/// # Errors
///
/// If mdbook cannot be installed, a link leads nowhere, or a page is cut off on a phone.
pub fn build() -> Result {
    let out = root().join("target/book");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    for (path, text) in Book::read()?.files() {
        let path = out.join("src").join(path);
        fs::create_dir_all(path.parent().expect("a page is in a folder"))?;
        fs::write(path, text)?;
    }
    for picture in tracked("*.svg")? {
        let to = out.join("src").join(&picture);
        fs::create_dir_all(to.parent().expect("a picture is in a folder"))?;
        fs::copy(root().join(picture), to)?;
    }
    run(Command::new(mdbook()?).args(["build", "docs"]))?;
    check(&out.join("html"))?;
    widths::check(&out.join("html"))
}

/// The path of mdbook: installed anywhere, by `.ci/packages`, or else here, which compiles it.
fn mdbook() -> Result<PathBuf> {
    let tools = root().join("target/tools");
    let program = tools.join("bin/mdbook");
    let ready = [PathBuf::from("mdbook"), tools.join("python/bin/mdbook"), program.clone()];
    let answers = |program: &PathBuf| Command::new(program).arg("--version").output().is_ok();
    if let Some(ready) = ready.into_iter().find(answers) {
        return Ok(ready);
    }
    let to = tools.to_str().ok_or("the path of the workspace is not UTF-8")?;
    cargo(&[
        "install",
        "--quiet",
        "--locked",
        "--root",
        to,
        MDBOOK,
        "--no-default-features",
        "--features",
        "search",
    ])?;
    Ok(program)
}

struct Book {
    pages: BTreeMap<PathBuf, Page>,
    /// For each folder with a page, the files that are shown there.
    sources: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Book {
    fn read() -> Result<Self> {
        let pages = tracked("*.md")?.into_iter().filter(|path| !path.starts_with('.'));
        let pages: BTreeMap<_, _> =
            pages.map(|path| (PathBuf::from(&path), Page::read(&path))).collect();
        let mut shown: BTreeSet<_> = tracked("*.rs")?.into_iter().map(PathBuf::from).collect();
        for page in pages.values() {
            let linked = page.links.iter().filter_map(|link| target(page, &link.target));
            let file = |path: &PathBuf| !is_page_or_picture(path) && root().join(path).is_file();
            shown.extend(linked.map(|(path, _)| path).filter(file));
        }
        let mut book = Book { pages, sources: BTreeMap::new() };
        let mut shown: Vec<_> = shown.into_iter().collect();
        shown.sort_by_key(|path| entry_first(path));
        for file in shown {
            book.sources.entry(book.folder_of(&file)).or_default().push(file);
        }
        Ok(book)
    }

    /// The files of the book's source, by their paths in it.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let pages = self.pages.values().map(|page| (indexed(&page.path), self.copied(page)));
        let sources =
            self.sources.keys().map(|folder| (shown_in(folder), self.source_page(folder)));
        let summary = [(PathBuf::from("SUMMARY.md"), self.summary())];
        pages.chain(sources).chain(summary).collect()
    }

    /// The folder nearest to a file that has a page.
    fn folder_of(&self, file: &Path) -> PathBuf {
        let folders = file.ancestors().skip(1);
        let mut with_page =
            folders.filter(|folder| self.pages.contains_key(&folder.join("README.md")));
        with_page.next().unwrap_or(Path::new("")).to_owned()
    }

    /// A page with its links as the book needs them: a `README.md` is the index of its folder, and a
    /// source is a heading on the page that shows it.
    fn copied(&self, page: &Page) -> String {
        let folder = page.path.parent().unwrap_or(Path::new(""));
        let mut text = page.text.clone();
        let targets: BTreeSet<_> = page.links.iter().map(|link| &link.target).collect();
        for link in targets {
            let Some((path, anchor)) = target(page, link) else { continue };
            let to = if self.pages.contains_key(&path) {
                indexed(&path).display().to_string() + &anchor
            } else if is_page_or_picture(&path) || !root().join(&path).is_file() {
                continue;
            } else {
                let shown = self.folder_of(&path);
                let heading = path.strip_prefix(&shown).unwrap_or(&path).display().to_string();
                format!("{}#{}", shown_in(&shown).display(), anchor_of(&heading))
            };
            let (path, anchor) =
                to.split_once('#').map_or((&*to, ""), |(path, _)| (path, &to[path.len()..]));
            let to = format!("{}{anchor}", relative(folder, Path::new(path)).display());
            text = text.replace(&format!("]({link})"), &format!("]({to})"));
        }
        text
    }

    fn source_page(&self, folder: &Path) -> String {
        let mut text = format!("# Source of {}\n", self.title(&folder.join("README.md")));
        for file in &self.sources[folder] {
            let name = file.strip_prefix(folder).unwrap_or(file).display();
            let language = match file.extension().and_then(|end| end.to_str()) {
                Some("rs") => "rust,noplayground",
                Some("toml") => "toml",
                _ => "bash",
            };
            let path = root().join(file);
            let include = format!("#include {}", path.display());
            let _ = write!(text, "\n## {name}\n\n~~~~~{language}\n{{{{{include}}}}}\n~~~~~\n");
        }
        text
    }

    fn title(&self, page: &Path) -> &str {
        let page = self.pages.get(page);
        page.and_then(|page| page.headings.first()).map_or("the workspace", String::as_str)
    }

    fn summary(&self) -> String {
        let mut summary = Summary { book: self, text: String::new(), listed: BTreeSet::new() };
        summary.entry("README.md", None);
        for page in IN_FRONT {
            summary.entry(page, None);
        }
        let members = members();
        let (chapter, behind) = members
            .split_at(members.iter().position(|name| name == "common").unwrap_or(members.len()));
        summary.text += "\n# The chapter\n\n";
        for member in chapter {
            summary.member(member);
        }
        summary.text += "\n# Behind it\n\n";
        for member in behind {
            summary.member(member);
        }
        for page in BEHIND {
            summary.entry(page, Some(0));
        }
        for page in self.pages.keys() {
            if summary.entry(&page.display().to_string(), Some(0)) && page.ends_with("README.md") {
                summary.source(&page.parent().unwrap_or(page).display().to_string(), 1);
            }
        }
        summary.source("", 0);
        summary.text
    }
}

/// The contents of the book, as written so far.
struct Summary<'a> {
    book: &'a Book,
    text: String,
    listed: BTreeSet<String>,
}

impl Summary<'_> {
    /// A member of the workspace, below the page of its folder if that has one.
    fn member(&mut self, member: &str) {
        let above = member.strip_suffix(name_of(member)).unwrap_or("").trim_end_matches('/');
        let has_page = |folder: &str| {
            !folder.is_empty() && self.book.pages.contains_key(&Path::new(folder).join("README.md"))
        };
        let depth = usize::from(has_page(above));
        if depth == 1 {
            self.entry(&format!("{above}/README.md"), Some(0));
        }
        self.entry(&format!("{member}/README.md"), Some(depth));
        let page = self.book.pages.get(&Path::new(member).join("README.md"));
        let named = page.into_iter().flat_map(|page| &page.links);
        for link in named
            .filter(|link| link.target.starts_with("src/") && link.target.ends_with("/README.md"))
        {
            let program = format!("{member}/{}", link.target);
            if self.entry(&program, Some(depth + 1)) {
                let folder = program.trim_end_matches("/README.md");
                self.beside(folder, depth + 2);
                self.source(folder, depth + 2);
            }
        }
        self.beside(member, depth + 1);
        self.source(member, depth + 1);
    }

    /// The other pages of a folder that has one.
    fn beside(&mut self, folder: &str, depth: usize) {
        let book = self.book;
        for page in book.pages.keys().filter(|page| page.parent() == Some(Path::new(folder))) {
            self.entry(&page.display().to_string(), Some(depth));
        }
    }

    /// Adds a page, once; `None` puts it before the numbered ones.
    fn entry(&mut self, page: &str, depth: Option<usize>) -> bool {
        let path = Path::new(page);
        if !self.book.pages.contains_key(path) || !self.listed.insert(page.to_owned()) {
            return false;
        }
        let link = format!("[{}]({})", self.book.title(path), indexed(path).display());
        self.text += &depth
            .map_or(format!("{link}\n\n"), |depth| format!("{}- {link}\n", "  ".repeat(depth)));
        true
    }

    fn source(&mut self, folder: &str, depth: usize) {
        if self.book.sources.contains_key(Path::new(folder)) {
            let shown = shown_in(Path::new(folder));
            let what = if folder.is_empty() { "Source of the workspace" } else { "Source" };
            self.text += &format!("{}- [{what}]({})\n", "  ".repeat(depth), shown.display());
        }
    }
}

/// The path, from the workspace's folder, that a link of a page leads to, and its anchor with the `#`.
pub fn target(page: &Page, link: &str) -> Option<(PathBuf, String)> {
    if link.contains("://") || link.starts_with("mailto:") || link.starts_with('#') {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.path.parent().unwrap_or(Path::new(""));
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
    Some((plain(&folder.join(path)), anchor))
}

fn is_page_or_picture(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "md" || end == "svg")
}

/// The page of the book for a page of the workspace.
fn indexed(page: &Path) -> PathBuf {
    if page.ends_with("README.md") { page.with_file_name("index.md") } else { page.to_owned() }
}

/// The page of the book that shows a folder's sources.
fn shown_in(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() {
        return "source/workspace.md".into();
    }
    Path::new("source").join(format!("{}.md", folder.display()))
}

/// mdbook's anchor for the heading of a source file.
fn anchor_of(heading: &str) -> String {
    heading.to_lowercase().replace(['/', '.'], "")
}

/// In a folder the library comes before its program, and then their modules.
fn entry_first(path: &Path) -> (PathBuf, u8, PathBuf) {
    let rank = match path.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "mod.rs") => 1,
        Some("main.rs") => 2,
        _ => 3,
    };
    (path.parent().unwrap_or(Path::new("")).to_owned(), rank, path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the contents, without their links.
    fn contents() -> Vec<String> {
        let summary = Book::read().unwrap().summary();
        summary.lines().map(|line| line.split("](").next().unwrap().replace('[', "")).collect()
    }

    #[test]
    fn the_contents_follow_the_members_and_upkeep_comes_last() {
        let contents = contents();
        let at = |title: &str| {
            let found =
                contents.iter().position(|line| line.trim_start_matches([' ', '-']) == title);
            found.unwrap_or_else(|| panic!("no {title} in {contents:#?}"))
        };
        let order = [
            "From Go to Rust",
            "creating",
            "channels",
            "pipeline",
            "performance",
            "exercises",
            "data-pipeline",
            "common",
            "xtask",
            "Contributing",
        ];
        assert!(order.is_sorted_by_key(|title| at(title)), "{contents:#?}");
    }

    #[test]
    fn every_page_and_every_source_is_in_the_contents_once() {
        let book = Book::read().unwrap();
        let summary = book.summary();
        for path in book.files().into_keys().filter(|path| !path.ends_with("SUMMARY.md")) {
            let link = format!("]({})", path.display());
            assert_eq!(summary.matches(&link).count(), 1, "{}", path.display());
        }
    }

    #[test]
    fn the_link_to_a_source_leads_to_its_heading() {
        let book = Book::read().unwrap();
        let text =
            "[a](src/main.rs) [b](../../docs/README.md) [c](../../context/README.md#x)".to_owned();
        let page = Page::parse(Path::new("patterns/pipeline/README.md"), text);
        let to = "[a](../../source/patterns/pipeline.md#srcmainrs) [b](../../docs/index.md) [c](../../context/index.md#x)";
        assert_eq!(book.copied(&page), to);
    }
}
