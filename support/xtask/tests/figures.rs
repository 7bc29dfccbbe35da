//! The figures that the pages quote are those of the page where they were published.
//!
//! After a new measurement, `cargo xtask figures` updates them.

use xtask::figures::{rows, up_to_date};
use xtask::{Page, pages};

#[test]
fn the_pages_quote_what_was_measured() {
    let rows = rows();
    let mut wrong = Vec::new();
    for page in pages() {
        match up_to_date(&page, &rows) {
            Err(fault) => wrong.push(format!("{}: {fault}", page.path.display())),
            Ok(text) if text == page.text => {}
            Ok(_) => wrong.push(format!("{}: old; run `cargo xtask figures`", page.path.display())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_weights_of_threads_and_tasks_are_those_that_were_printed() {
    let page = Page::read("docs/from-go.md");
    let answer = page.under("What are goroutines, in Rust?").expect("it answers that");
    let performance = Page::read("performance/README.md");
    let printed = performance.blocks.iter().rfind(|block| block.text.contains("KiB"));
    let printed = printed.expect("the program prints weights").text.lines();
    for (design, kind) in [("threads ", "*thread*"), ("tasks ", "*task*")] {
        let line = printed.clone().find(|line| line.starts_with(design)).expect("it has this row");
        let weight = line.rsplit("  ").next().expect("the memory stands last");
        let row = answer.lines().find(|line| line.starts_with('|') && line.contains(kind));
        assert!(row.is_some_and(|row| row.contains(weight)), "{kind} does not weigh {weight}");
    }
}

/// Three paragraphs, each with a figure of its own program.
#[test]
fn the_figures_on_the_root_page_are_those_of_the_programs_pages() {
    let page = Page::read("README.md");
    let programs = page.under("The three programs").expect("the root page has the programs");
    let mut found = 0;
    for paragraph in programs.split("\n\n") {
        let Some((_, rest)) = paragraph.trim().strip_prefix("**[").and_then(|p| p.split_once("]("))
        else {
            continue;
        };
        let (path, text) = rest.split_once(')').expect("the link ends");
        let figures = text.split_whitespace().filter(|word| word.parse::<f64>().is_ok());
        let source = Page::read(path).text;
        for figure in figures {
            found += 1;
            assert!(source.contains(figure), "{path} does not say {figure}");
        }
    }
    assert_eq!(found, 3, "a figure for each program");
}

#[test]
fn every_section_says_what_it_costs() {
    for page in pages().iter().filter(|page| page.text.contains("\n## What it costs\n")) {
        let costs = page.under("What it costs").expect("it has that heading");
        let quotations = costs.lines().filter(|line| line.starts_with("> `")).count();
        assert_eq!(quotations, 1, "{} has one figure", page.path.display());
    }
}
