use std::io::{self, Write};

/// Prints the head of a table as Markdown.
pub fn head(columns: &[&str]) {
    let columns: Vec<&dyn ToString> = columns.iter().map(|name| name as &dyn ToString).collect();
    row(&columns);
    row(&vec![&"---" as &dyn ToString; columns.len()]);
}

/// Prints a row of it.
pub fn row(cells: &[&dyn ToString]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.to_string()).collect();
    // If stdout is closed, the table is not wanted.
    let _ = writeln!(io::stdout().lock(), "| {} |", cells.join(" | "));
}
