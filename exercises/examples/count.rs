//! The longest files below the paths that are given, or below the current directory, counted with
//! the library of `file-processor`.
//!
//! ```text
//! cargo run -p exercises --example count -- exercises/src
//! ```
//!
//! It uses `Options::default()`, counts all paths at once, and keeps the ten longest files, which
//! the program itself does not do.

use std::cmp::Reverse;
use std::env;
use std::io;

use exercises::file_processor::{Column, Columns, Counter, Options, Status, count};

fn main() -> io::Result<()> {
    let lines: Columns = [Column::Lines].into_iter().collect();
    let counter = Counter { columns: lines, ..Counter::default() };
    let options = Options { counter, skip_binary: true, ..Options::default() };

    // One thread for each CPU walks, reads and counts all paths. A file that cannot be read is a
    // row too, and the others are still counted.
    let report = count(env::args_os().skip(1), &options)?;

    let mut longest: Vec<_> = report
        .rows
        .iter()
        .filter_map(|row| match &row.outcome {
            Status::Counted(counts) => Some((counts.get(Column::Lines), &row.path)),
            Status::Failed(failure) => {
                common::say!("{}: {failure}", row.path.display());
                None
            }
            Status::Binary | Status::Note(_) => None,
        })
        .collect();
    longest.sort_unstable_by_key(|(lines, _)| Reverse(*lines));

    for (lines, path) in longest.iter().take(10) {
        common::say!("{lines:8}  {}", path.display());
    }
    let total = &report.summary.total;
    common::say!("{:8}  in {} files", total.counts.get(Column::Lines), total.files);
    Ok(())
}
