use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::workspace::root;

/// A Markdown file, with what the tests look at.
#[derive(Debug)]
pub struct Page {
    /// Where it is, from the workspace's folder.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// The fenced code blocks.
    pub blocks: Vec<Block>,
    /// Links and images.
    pub links: Vec<Link>,
    /// The code in running text and in tables.
    pub spans: Vec<Span>,
    /// The texts of the headings.
    pub headings: Vec<String>,
}

/// A fenced code block.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the fence, such as `rust,compile_fail,E0382`.
    pub info: String,
    /// What is in it.
    pub text: String,
    /// The line of its fence, counted from 1.
    pub line: usize,
}

/// A link or an image.
#[derive(Debug)]
pub struct Link {
    /// Where it leads, as it is written.
    pub target: String,
    /// What is shown for it: an image's text alternative.
    pub text: String,
    /// Whether it is an image.
    pub image: bool,
    /// Its line, counted from 1.
    pub line: usize,
}

/// Code in running text.
#[derive(Debug)]
pub struct Span {
    /// What stands between the backticks.
    pub text: String,
    /// The heading of its column, if it stands in a table.
    pub column: Option<String>,
    /// Its line, counted from 1.
    pub line: usize,
}

impl Page {
    /// Reads a file below the workspace's folder.
    ///
    /// # Panics
    ///
    /// If it cannot be read, or is not below that folder.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = root().join(path);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        let path = path.strip_prefix(root()).expect("a page is in the workspace");
        Page::parse(path, text)
    }

    pub(crate) fn parse(path: &Path, text: String) -> Self {
        let mut reader = Reader::default();
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            reader.line = text[..range.start].matches('\n').count() + 1;
            reader.read(&event);
        }
        let Reader { blocks, links, spans, headings, .. } = reader;
        Page { path: path.to_owned(), text, blocks, links, spans, headings }
    }

    /// The last `#` part of a link to each heading, as GitHub makes it.
    pub fn anchors(&self) -> impl Iterator<Item = String> {
        self.headings.iter().map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
    }

    /// What stands under the heading `title`, up to the next one; `None` if there is no such heading.
    pub fn under(&self, title: &str) -> Option<&str> {
        let (_, below) = self.text.split_once(&format!("\n## {title}\n"))?;
        Some(below.split("\n## ").next().unwrap_or(below))
    }
}

/// The pages: every Markdown file of the workspace.
pub fn pages() -> Vec<Page> {
    files("md").into_iter().map(Page::read).collect()
}

/// All files below the workspace's folder with this extension, sorted by path, without those that
/// are built or hidden.
///
/// # Panics
///
/// If a folder cannot be read.
pub fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder of the workspace can be read") {
            let path = entry.expect("so can its entries").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Collects the parts of a page. Text goes to the parts that are open.
#[derive(Default)]
struct Reader {
    line: usize,
    blocks: Vec<Block>,
    links: Vec<Link>,
    spans: Vec<Span>,
    headings: Vec<String>,
    block: Option<Block>,
    /// A link, and the image in it.
    open: Vec<Link>,
    heading: Option<String>,
    columns: Vec<String>,
    in_head: bool,
    cell: Option<usize>,
}

impl Reader {
    fn read(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(TagEnd::CodeBlock) => self.blocks.extend(self.block.take()),
            Event::End(TagEnd::Link | TagEnd::Image) => self.links.extend(self.open.pop()),
            Event::End(TagEnd::Heading(_)) => self.headings.extend(self.heading.take()),
            Event::End(TagEnd::TableHead) => self.in_head = false,
            Event::End(TagEnd::Table) => self.cell = None,
            Event::Text(text) => self.text(text),
            Event::Code(text) => {
                self.text(text);
                let column = self.cell.and_then(|cell| self.columns.get(cell)).cloned();
                self.spans.push(Span { text: text.to_string(), column, line: self.line });
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let line = self.line;
        match tag {
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
                self.block = Some(Block { info: info.to_string(), text: String::new(), line });
            }
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let (target, image) = (dest_url.to_string(), matches!(tag, Tag::Image { .. }));
                self.open.push(Link { target, text: String::new(), image, line });
            }
            Tag::Heading { .. } => self.heading = Some(String::new()),
            Tag::TableHead => (self.columns, self.in_head, self.cell) = (Vec::new(), true, None),
            Tag::TableRow => self.cell = None,
            Tag::TableCell => {
                self.cell = Some(self.cell.map_or(0, |cell| cell + 1));
                if self.in_head {
                    self.columns.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let column = self.columns.last_mut().filter(|_| self.in_head);
        let block = self.block.as_mut().map(|block| &mut block.text);
        let links = self.open.iter_mut().map(|link| &mut link.text);
        for open in [column, block, self.heading.as_mut()].into_iter().flatten().chain(links) {
            open.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_blocks_links_spans_and_headings() {
        let text =
            "# A `b`, c!\n\nSee `d` and [e](f.md#g).\n\n[![h](i.svg)](k.md)\n\n```sh x\nj\n```\n";
        let page = Page::parse(Path::new("page.md"), text.to_owned());
        let block = &page.blocks[0];
        assert_eq!((&*block.info, &*block.text, block.line), ("sh x", "j\n", 7));
        let links =
            page.links.iter().map(|link| (&*link.target, &*link.text, link.image, link.line));
        assert!(links.eq([
            ("f.md#g", "e", false, 3),
            ("i.svg", "h", true, 5),
            ("k.md", "h", false, 5)
        ]));
        assert!(page.spans.iter().map(|span| (&*span.text, span.line)).eq([("b", 1), ("d", 3)]));
        assert!(page.anchors().eq(["a-b-c"]));
    }

    #[test]
    fn code_in_a_table_knows_its_column() {
        let text = "| Go | here |\n|---|---|\n| `a` | `b` |\n\n`c`\n";
        let page = Page::parse(Path::new("page.md"), text.to_owned());
        let spans = page.spans.iter().map(|span| (&*span.text, span.column.as_deref()));
        assert!(spans.eq([("a", Some("Go")), ("b", Some("here")), ("c", None)]));
    }

    #[test]
    fn a_heading_has_its_text_up_to_the_next_one() {
        let page = Page::parse(Path::new("page.md"), "\n## One\n\na\n\n## Two\n\nb\n".to_owned());
        assert_eq!(page.under("One"), Some("\na\n"));
        assert_eq!(page.under("Two"), Some("\nb\n"));
        assert_eq!(page.under("Three"), None);
    }
}
