//! No page names a thing that is not there.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::{fs, iter};

use xtask::{Page, Span, commands, files, pages, root, without_remark};

/// Names and flags of other libraries and programs that our sources do not use, and commands that
/// take too long to run here.
const ELSEWHERE: &str = include_str!("elsewhere.txt");

#[test]
fn every_link_and_picture_is_there() {
    let mut wrong = Vec::new();
    for page in pages() {
        let links = page.links.iter().filter(|link| !link.target.starts_with("http"));
        for link in links {
            if !leads_somewhere(&page, &link.target) {
                wrong.push(format!("{}:{}: {}", page.path.display(), link.line, link.target));
            }
            if link.image && link.text.is_empty() {
                wrong.push(format!(
                    "{}:{}: a picture without a text",
                    page.path.display(),
                    link.line
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn leads_somewhere(page: &Page, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.parent().expect("a page is in a folder");
    let to = if path.is_empty() { page.path.clone() } else { folder.join(path) };
    if anchor.is_empty() {
        return root().join(to).exists();
    }
    root().join(&to).is_file() && Page::read(to).anchors().any(|found| found == anchor)
}

#[test]
fn every_name_is_in_the_sources() {
    let sources = Sources::read();
    let mut wrong = Vec::new();
    // The changes name what is gone, too.
    for page in pages().into_iter().filter(|page| !page.path.ends_with("CHANGELOG.md")) {
        for span in page.spans.iter().filter(|span| !is_go(span)) {
            for name in sources.missing(&page, &span.text) {
                wrong.push(format!("{}:{}: {name}", page.path.display(), span.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_package_and_program_is_there() {
    let sources = Sources::read();
    let mut wrong = Vec::new();
    for page in pages() {
        let blocks = page.blocks.iter().map(|block| (&block.text, block.line));
        for (code, line) in blocks.chain(page.spans.iter().map(|span| (&span.text, span.line))) {
            let words: Vec<&str> = code.split_whitespace().collect();
            let named =
                words.windows(2).filter(|pair| code.contains("cargo") && is_target(pair[0]));
            for pair in named {
                if pair[1] != "…" && !sources.targets.contains(pair[1]) {
                    wrong.push(format!("{}:{line}: {}", page.path.display(), pair[1]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The blocks are what `.ci/pages` runs.
#[test]
fn every_command_in_a_sentence_stands_in_a_block_too() {
    let pages = pages();
    let steps = pages.iter().flat_map(commands).flat_map(|(_, steps)| steps);
    let run: HashSet<_> = steps.map(|(command, _)| without_remark(&command).to_owned()).collect();
    let mut wrong = Vec::new();
    for page in &pages {
        for span in page.spans.iter().filter(|span| span.text.starts_with("cargo ")) {
            let with_flags = format!("{} -- ", span.text);
            let is_run = |run: &String| *run == span.text || run.starts_with(&with_flags);
            if !run.iter().any(is_run) && !is_elsewhere(&span.text) && !is_task(&span.text) {
                wrong.push(format!("{}:{}: {}", page.path.display(), span.line, span.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether it is `cargo xtask`, with one of its tasks or a placeholder behind it.
fn is_task(command: &str) -> bool {
    let Some(task) = command.strip_prefix("cargo xtask ") else { return false };
    let name = task.split(' ').next().unwrap_or(task);
    let help = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--help").output();
    let help = String::from_utf8(help.expect("it is built").stdout).expect("its help is a text");
    let known = help.lines().any(|line| line.trim_start().starts_with(&format!("{name} ")));
    known || name == "--help" || name.chars().all(char::is_uppercase)
}

fn is_target(flag: &str) -> bool {
    ["-p", "--example", "--bin", "--bench", "--test"].contains(&flag)
}

#[test]
fn every_name_in_the_list_is_still_used() {
    let all: String = pages().iter().map(|page| page.text.as_str()).collect();
    let unused = ELSEWHERE.lines().filter(|name| !all.contains(name));
    assert_eq!(unused.collect::<Vec<_>>(), [""; 0]);
}

fn is_go(span: &Span) -> bool {
    span.column.as_deref().is_some_and(|column| column.contains("Go") || column == "instead of")
}

/// What a page may name.
#[derive(Default)]
struct Sources {
    words: HashSet<String>,
    targets: HashSet<String>,
    /// The names of all files, without their folders.
    names: HashSet<String>,
}

impl Sources {
    fn read() -> Self {
        let mut sources = Sources::default();
        for path in files("rs").iter().chain(&files("toml")) {
            let text = fs::read_to_string(path).expect("a source is UTF-8");
            sources.take_words(&text);
            if path.ends_with("Cargo.toml") {
                let names = text.lines().filter_map(|line| line.strip_prefix("name = \""));
                sources.targets.extend(names.map(|name| name.trim_end_matches('"').to_owned()));
                sources.targets.extend(path.parent().map(name_of));
            } else {
                sources.targets.extend(path.file_stem().map(Path::new).map(name_of));
            }
        }
        for page in pages() {
            let compiled = page.blocks.iter().filter(|block| block.info.starts_with("rust"));
            compiled.for_each(|block| sources.take_words(&block.text));
        }
        for extension in ["rs", "md"] {
            sources.names.extend(files(extension).iter().map(|path| name_of(path)));
        }
        sources
    }

    fn take_words(&mut self, text: &str) {
        self.words.extend(identifiers(text).map(|(_, word)| word.to_owned()));
    }

    /// The names in `code`, on this page, that do not exist.
    fn missing(&self, page: &Page, code: &str) -> Vec<String> {
        let identifiers = identifiers(code).filter(|(_, word)| !self.words.contains(*word));
        let identifiers = identifiers.filter(|(before, word)| {
            let snake = word.contains('_') && !word.contains(char::is_uppercase);
            let camel = word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
            (snake || (camel && *before != '.')) && !is_elsewhere(word)
        });
        let flags = code.split([' ', '=', '[', ']']).filter(|word| word.starts_with("--"));
        let flags = flags.filter(|flag| {
            let flag = flag.trim_matches('-');
            let known = self.words.contains(&flag.replace('-', "_")) || flag.is_empty();
            !known && !is_elsewhere(&format!("--{flag}"))
        });
        let paths =
            code.split_whitespace().filter(|word| is_path(word) && !self.is_there(page, word));
        let paths = paths.filter(|path| !is_elsewhere(path));
        identifiers.map(|(_, word)| word).chain(flags).chain(paths).map(str::to_owned).collect()
    }

    fn is_there(&self, page: &Page, path: &str) -> bool {
        if !path.contains('/') {
            return self.names.contains(path);
        }
        let folder = page.path.parent().expect("a page is in a folder");
        [folder, &folder.join("src"), Path::new("")]
            .iter()
            .any(|from| root().join(from).join(path).exists())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether it is on the list of what is elsewhere.
fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.lines().any(|known| known == name)
}

/// A path from here, or a file that a page may name without its folder. `NAME/` is not a path, nor
/// is `50/s`.
fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let source = [".rs", ".md"].iter().any(|end| word.len() > end.len() && word.ends_with(end));
    let starts = |c: char| c.is_ascii_lowercase() || c == '.';
    let folder = word.contains('/') && word.starts_with(starts) && !word.starts_with("./");
    plain && (source || folder) && !word.starts_with("target/")
}

/// The identifiers of a text, each with the character before it.
fn identifiers(text: &str) -> impl Iterator<Item = (char, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        let end = text[start..].find(|c| !is_part(c)).map_or(text.len(), |len| start + len);
        at = end;
        Some((text[..start].chars().next_back().unwrap_or(' '), &text[start..end]))
    })
}
