//! Every section's page has its parts, in their order.

use std::fs;
use std::path::Path;

use xtask::{Page, files, root};

/// The folders of the sections' crates, in reading order, and of the page that comes after them.
fn sections() -> Vec<String> {
    [xtask::sections(), vec!["exercises".to_owned()]].concat()
}

/// Calls `check` with the page of every section, and fails with all that it finds.
fn on_every_page(check: impl Fn(&Page, &str) -> Vec<String>) {
    let mut wrong = Vec::new();
    for pair in sections().windows(2) {
        let page = Page::read(Path::new(&pair[0]).join("README.md"));
        wrong.extend(check(&page, &pair[1]).into_iter().map(|what| format!("{}: {what}", pair[0])));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_parts_are_there_and_in_order() {
    const PARTS: [&str; 17] = [
        "# ",
        "[source](src/",
        "[the Go program](go/main.go)",
        "\n## The program\n",
        "\n```rust",
        "\n```go\n",
        "\n## Run it\n",
        "\n```console",
        "](timeline.svg)",
        "\n## What is different\n",
        "\n```rust,compile_fail",
        "\n## With an owner\n",
        "\n## What bites\n",
        "\n## What it costs\n",
        "\n## Threads, tasks or neither\n",
        "\n## Try it\n",
        "\nNext: [",
    ];
    on_every_page(|page, _| {
        let mut at = 0;
        let mut missing = Vec::new();
        for part in PARTS {
            match page.text[at..].find(part) {
                Some(found) => at += found,
                None => missing.push(format!("no {part:?} after the part before it")),
            }
        }
        missing
    });
}

#[test]
fn a_page_opens_with_its_program_as_it_is_in_its_file() {
    on_every_page(|page, _| {
        let folder = page.path.parent().expect("a page is in a folder");
        let read = |path| fs::read_to_string(root().join(folder).join(path)).expect("it is there");
        let mut wrong = Vec::new();
        let first = page.blocks.iter().find(|block| block.info.starts_with("rust"));
        let first = first.expect("a page has a program");
        if first.text != read("examples/plain.rs") {
            wrong.push("its program is not examples/plain.rs".to_owned());
        }
        if first.line > 45 || first.text.lines().count() > 40 {
            wrong.push("its program comes late, or has more than 40 lines".to_owned());
        }
        let go = page.blocks.iter().find(|block| block.info == "go").expect("a page has Go");
        if go.text != read("go/main.go") {
            wrong.push("its Go program is not go/main.go".to_owned());
        }
        wrong
    });
}

/// A reader who copies the program is told which crates it needs.
#[test]
fn a_page_names_every_crate_of_its_program() {
    const CRATES: [&str; 4] = ["tokio", "tokio_util", "crossbeam", "async_channel"];
    on_every_page(|page, _| {
        let program = page.blocks.iter().find(|block| block.info.starts_with("rust"));
        let program = &program.expect("a page has a program").text;
        let add = page.text.split_once("`cargo add ").map_or("", |(_, rest)| rest);
        let added: Vec<_> = add.split('`').next().unwrap_or_default().split(' ').collect();
        let uses = |name: &&&str| program.contains(&format!("{name}::"));
        let missing = CRATES.iter().filter(uses).map(|name| name.replace('_', "-"));
        missing
            .filter(|name| !added.contains(&name.as_str()))
            .map(|name| format!("no `cargo add` names {name}"))
            .collect()
    });
}

#[test]
fn no_page_hides_a_line_of_code() {
    let mut hidden = Vec::new();
    for page in xtask::pages() {
        for block in page.blocks.iter().filter(|block| block.info.starts_with("rust")) {
            if block.text.lines().any(|line| line == "#" || line.starts_with("# ")) {
                hidden.push(format!("{}:{}", page.path.display(), block.line));
            }
        }
    }
    assert!(hidden.is_empty(), "a forge shows hidden lines: {hidden:#?}");
}

#[test]
fn the_text_of_a_picture_is_ten_pixels_high_on_a_phone() {
    const PHONE: f64 = 390.0 - 2.0 * 16.0; // without the margins of the page
    let mut looked_at = 0;
    for path in files("svg") {
        let svg = fs::read_to_string(root().join(&path)).expect("it is UTF-8");
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse::<f64>().expect("a size is a number")
        };
        let width = number(svg.split_once("viewBox=\"0 0 ").expect("it has a viewBox").1);
        let sizes = svg.split("font: ").skip(1).chain(svg.split("font-size: ").skip(1));
        for size in sizes.map(number) {
            assert!(size * PHONE / width >= 10.0, "{}: {size} of {width}", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 18, "the pictures say how large their text is: {looked_at}");
}

#[test]
fn each_page_leads_to_the_next() {
    on_every_page(|page, next| {
        let link = page.links.last().expect("there is one");
        let folder = root().join(page.path.parent().expect("a page is in a folder"));
        let to = folder.join(&link.target).canonicalize().ok();
        let wanted = root().join(next).join("README.md").canonicalize().ok();
        let last =
            page.text.trim_end().ends_with(&format!("Next: [{}]({})", link.text, link.target));
        if last && to == wanted { vec![] } else { vec![format!("it does not end at {next}")] }
    });
}

#[test]
fn what_does_not_compile_has_a_code_and_a_twin() {
    on_every_page(|page, _| {
        let mut wrong = Vec::new();
        let mut refused = 0;
        for (at, block) in page.blocks.iter().enumerate() {
            if !block.info.contains("compile_fail") {
                continue;
            }
            refused += 1;
            let code = block.info.strip_prefix("rust,compile_fail,E");
            if !code.is_some_and(|code| code.len() == 4 && page.text.contains(&format!("E{code})")))
            {
                wrong.push(format!("{}: no code, or the text does not name it", block.line));
            }
            if page.blocks.get(at + 1).is_none_or(|twin| twin.info != "rust") {
                wrong.push(format!("{}: no twin that compiles", block.line));
            }
        }
        if refused == 0 {
            wrong.push("nothing that does not compile".to_owned());
        }
        wrong
    });
}

#[test]
fn every_trap_has_its_test() {
    let sources =
        files("rs").into_iter().map(|path| fs::read_to_string(path).expect("it is UTF-8"));
    let sources: Vec<_> = sources.collect();
    on_every_page(|page, _| {
        let traps = page.under("What bites").unwrap_or_default().split("\n- ").skip(1);
        let untested = traps.filter(|trap| {
            let mut names = trap.split('`').skip(1).step_by(2);
            !names.any(|name| sources.iter().any(|source| has_test(source, name)))
        });
        untested
            .map(|trap| format!("no test shows `{}`", trap.lines().next().unwrap_or("")))
            .collect()
    });
}

/// Whether a function of this name, in this source, is a test.
fn has_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else { return false };
    let attributes = before.rsplit('\n').skip(1).take_while(|line| line.trim().starts_with("#["));
    attributes.into_iter().any(|line| line.contains("test"))
}

#[test]
fn each_recommended_tool_stands_on_its_page() {
    let page = Page::read("docs/README.md");
    let (table, _) = page.text.split_once("\n## ").expect("the table stands before the practices");
    let rows: Vec<_> = table.lines().filter(|line| line.contains("/README.md)")).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.split(" | ").collect();
        let (_, path) = cells[2].split_once("](").expect("a page is a link");
        let path = Path::new("docs").join(path.split(')').next().expect("a link ends"));
        let text = fs::read_to_string(root().join(path)).expect("it is there");
        for tool in cells[1].split('`').skip(1).step_by(2) {
            let name = tool.rsplit([':', '.']).next().expect("a name").trim_end_matches("()");
            assert!(text.contains(name), "the page does not show {tool}: {row}");
        }
    }
}

#[test]
fn each_takeaway_leads_to_its_crate_and_its_test() {
    let page = Page::read("docs/README.md");
    let takeaways = page.under("The chapter's takeaways").expect("the page ends with them");
    let rows: Vec<_> = takeaways.lines().filter(|line| line.contains("](")).collect();
    assert_eq!(rows.len(), 9, "the chapter has nine");
    for row in rows {
        let cells: Vec<_> = row.split(" | ").collect();
        assert!(cells[1].contains("/README.md)"), "{row}");
        for test in cells[2].split("[`").skip(1) {
            let (name, rest) = test.split_once("`](").expect("a test is a link");
            let (path, _) = rest.split_once(')').expect("a link ends");
            let source = fs::read_to_string(root().join("docs").join(path)).expect("it is there");
            assert!(has_test(&source, name), "{path} has no test {name}");
        }
    }
}

/// The root page is the table of contents, in the members' order; From Go to Rust has an answer for each
/// section, and a folder's page has its sections.
#[test]
fn the_contents_know_every_section() {
    let root_page = Page::read("README.md");
    let links: Vec<_> = root_page.links.iter().map(|link| link.target.clone()).collect();
    let contents = root_page.under("The chapter").expect("the root page has the contents");
    let answers = Page::read("docs/from-go.md");
    let answers = answers.under("The sections").expect("it answers a Go programmer");
    let mut at = 0;
    for section in xtask::sections() {
        let (folder, name) = section.rsplit_once('/').unwrap_or(("", &section));
        let page = format!("{section}/README.md");
        assert!(links.contains(&page), "README.md does not lead to {name}");
        let row = contents.find(&format!("| [{name}]({page}) |")).expect("it has a row");
        assert!(row >= at, "{name} is not in the members' order");
        at = row;
        let command = format!("-p {name}` |");
        let line = answers.lines().find(|line| line.ends_with(&command));
        let linked = line.is_some_and(|line| line.contains(&format!("(../{page})")));
        assert!(linked, "docs/from-go.md does not say what {name} is for");
        if !folder.is_empty() {
            let page = Page::read(Path::new(folder).join("README.md"));
            let line = page.text.lines().find(|line| line.ends_with(&command));
            let linked = line.is_some_and(|line| line.contains(&format!("({name}/README.md)")));
            assert!(linked, "{folder}/README.md does not say what {name} is for");
        }
    }
}
