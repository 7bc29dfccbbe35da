//! What the pages quote: rows of the race against Go, and tables of other pages.

use std::fs;

use crate::Result;
use crate::markdown::{Page, pages};
use crate::workspace::root;

/// Updates the figures and tables that pages quote.
///
/// # Errors
///
/// If a page quotes what is not there, or cannot be written.
pub fn update() -> Result {
    let rows = rows();
    for page in pages() {
        let text =
            up_to_date(&page, &rows).map_err(|err| format!("{}: {err}", page.path.display()))?;
        if text != page.text {
            println!("{}", page.path.display());
            fs::write(root().join(&page.path), text)?;
        }
    }
    Ok(())
}

/// A row of `support/versus-go/VERSUS-GO.md`, in the words in which a page quotes it.
#[derive(Debug)]
pub struct Row {
    /// What was raced.
    pub name: String,
    /// The quotation, without the name.
    pub figures: String,
}

/// The rows of the race against Go.
///
/// # Panics
///
/// If there is no such table.
pub fn rows() -> Vec<Row> {
    let page = Page::read("support/versus-go/VERSUS-GO.md");
    let mut table = page.text.lines().filter(|line| line.starts_with("| ")).map(cells);
    let headings = table.next().expect("the page has a table");
    let column = |name| {
        let found = headings.iter().position(|heading| *heading == name);
        found.unwrap_or_else(|| panic!("the race has no column `{name}`"))
    };
    let [name, time, memory] = ["workload", "time", "memory"].map(column);
    let row = |cells: Vec<&str>| {
        let figures = format!("{} of Go's time, {} of its memory", cells[time], cells[memory]);
        Row { name: cells[name].to_owned(), figures }
    };
    table.map(row).collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// Returns the text of a page with its quotations brought up to date. A page can quote a row of the
/// race, on a line ``> `name`: figures``, and a table of another page, between the comments
/// `<!-- from PATH: HEADING -->` and `<!-- end -->`.
///
/// # Errors
///
/// What is quoted and not there.
pub fn up_to_date(page: &Page, rows: &[Row]) -> Result<String> {
    let mut text = String::new();
    let mut lines = page.text.lines();
    while let Some(line) = lines.next() {
        let figures = line.strip_prefix("> `").and_then(|line| line.split_once("`: "));
        let table = line.strip_prefix("<!-- from ").and_then(|line| line.strip_suffix(" -->"));
        if let Some((name, _)) = figures {
            let row = rows.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| format!("the race has no row `{name}`"))?;
            text += &format!("> `{name}`: {}\n", row.figures);
        } else if let Some(source) = table {
            text += &format!("{line}\n\n{}\n<!-- end -->\n", table_of(source)?);
            lines.by_ref().find(|line| *line == "<!-- end -->").ok_or("a table has no `end`")?;
        } else {
            text += &format!("{line}\n");
        }
    }
    Ok(text)
}

/// The first table below a heading of another page.
fn table_of(source: &str) -> Result<String> {
    let (path, heading) = source.split_once(": ").ok_or("a source is `PATH: HEADING`")?;
    let page = Page::read(path);
    let under = page.under(heading).ok_or_else(|| format!("{path} has no heading `{heading}`"))?;
    let table = under.lines().skip_while(|line| !line.starts_with('|'));
    let table = table.take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n"));
    let table: String = table.collect();
    if table.is_empty() {
        return Err(format!("{path} has no table below `{heading}`").into());
    }
    Ok(table)
}
