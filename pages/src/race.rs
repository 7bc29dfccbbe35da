use crate::Page;

/// A row of `performance/VERSUS-GO.md`, in the words in which a page quotes it.
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
    let page = Page::read("performance/VERSUS-GO.md");
    let mut table = page.text.lines().filter(|line| line.starts_with("| ")).map(cells);
    let headings = table.next().expect("the page has a table");
    let column = |name| {
        let found = headings.iter().position(|heading| *heading == name);
        found.unwrap_or_else(|| panic!("the race has no column `{name}`"))
    };
    let [name, time, memory, goal] = ["workload", "time", "memory", "goal"].map(column);
    let row = |cells: Vec<&str>| Row {
        name: cells[name].to_owned(),
        figures: format!(
            "{} of Go's time, {} of its memory; goal {}",
            cells[time], cells[memory], cells[goal]
        ),
    };
    table.map(row).collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The quotations of a page: its lines ``> `name`: figures``.
pub fn figures(page: &Page) -> impl Iterator<Item = (&str, &str)> {
    let lines = page.text.lines().filter_map(|line| line.strip_prefix("> `"));
    lines.filter_map(|line| line.split_once("`: "))
}
