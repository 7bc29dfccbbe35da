//! Dependencies point downwards only: modules form no circle, folders form no circle, and a crate
//! depends only on crates below it.

mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use modules::{Name, Uses, uses};
use xtask::{Manifest, members, root};

#[test]
fn modules_and_folders_form_no_circle() {
    let mut found = Vec::new();
    for member in members() {
        let lib = root().join(&member).join("src/lib.rs");
        let circles = if lib.exists() { circles_of(&uses(&lib)) } else { continue };
        found.extend(circles.into_iter().map(|(names, uses)| (format!("{member}: {names}"), uses)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_circle_is_found_between_modules_and_between_folders() {
    let uses = |pairs: &[(&str, &str)]| {
        let name = |text: &str| text.split("::").map(str::to_owned).collect::<Name>();
        let mut uses = Uses::new();
        for (from, to) in pairs {
            uses.entry(name(to)).or_default();
            uses.entry(name(from)).or_default().insert(name(to));
        }
        circles_of(&uses).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(uses(&[("a", "b"), ("b", "c"), ("a", "c")]), [""; 0]);
    assert_eq!(uses(&[("a", "b"), ("b", "c"), ("c", "a")]), ["a - b - c"]);
    assert_eq!(uses(&[("a::x", "b::y"), ("b::z", "a::w")]), ["a - b"]);
}

/// The rule, for each kind of crate: which members it may depend on, and which in its tests as well.
#[test]
fn a_crate_depends_on_what_lies_below_it_alone() {
    let members = members();
    let named = |member: &String| member.rsplit('/').next().unwrap_or_default().to_owned();
    let all: BTreeSet<_> = members.iter().map(named).collect();
    let mut wrong = Vec::new();
    for member in &members {
        let name = named(member);
        let allowed: &[&str] = match name.as_str() {
            "timeline" | "testkit" | "leak-check" | "xtask" => &[],
            "leaks" => &["common", "leak-check"],
            "common" => &["timeline"],
            "versus-go" => continue, // measures them all
            _ => &["common"],
        };
        let in_tests: &[&str] = match name.as_str() {
            "xtask" => &["common", "errors", "leaks"], // the code of pages that belong to no crate
            _ => &["common", "leaks", "testkit", "timeline"],
        };
        let manifest = Manifest::read(member);
        let check = |table: &str, allowed: &[&str]| {
            let of = manifest.names(table).into_iter().filter(|name| all.contains(name));
            let of = of.filter(|name| !allowed.contains(&name.as_str()));
            of.map(|other| format!("{name} depends on {other}")).collect::<Vec<_>>()
        };
        wrong.extend(check("dependencies", allowed));
        wrong.extend(check("build-dependencies", allowed));
        wrong.extend(check("dev-dependencies", &[allowed, in_tests].concat()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Most crates that `cargo install` compiles for the file processor alone, its own included: a minute
/// on two cores.
const MOST_CRATES: usize = 70;

#[test]
fn the_file_processor_alone_needs_few_crates_and_no_runtime() {
    let line = "tree --locked -p exercises --no-default-features --features file-processor \
                -e normal,build --prefix none --format {p}";
    let tree = Command::new("cargo").args(line.split(' ')).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.len() > 20, "{text}");
    assert!(crates.len() <= MOST_CRATES, "{}: {crates:#?}", crates.len());
    assert!(!text.contains("tokio"), "{crates:#?}");
}

/// The circles between modules, and between folders: a folder is a module with everything below it.
fn circles_of(uses: &Uses) -> BTreeMap<String, String> {
    let mut found = circles(uses);
    let above =
        |name: &Name| (0..name.len()).map(|depth| name[..depth].to_vec()).collect::<Vec<_>>();
    let folders: BTreeSet<Name> = uses.keys().flat_map(above).collect();
    for folder in folders {
        let inside = |name: &Name| {
            let below = name.len() > folder.len() && name.starts_with(&folder);
            below.then(|| name[..=folder.len()].to_vec())
        };
        let mut rooms = Uses::new();
        for (name, used) in uses {
            let Some(room) = inside(name) else { continue };
            let others = used.iter().filter_map(inside).filter(|other| *other != room);
            rooms.entry(room.clone()).or_default().extend(others);
        }
        found.extend(circles(&rooms));
    }
    found
}

/// The strongly connected sets of modules, with the uses among them.
fn circles(uses: &Uses) -> BTreeMap<String, String> {
    let reach: BTreeMap<&Name, BTreeSet<&Name>> =
        uses.keys().map(|name| (name, reachable(uses, name))).collect();
    let leads = |from: &Name, to: &Name| reach.get(from).is_some_and(|all| all.contains(to));
    let mut circles = BTreeMap::new();
    for name in uses.keys().filter(|name| leads(name, name)) {
        let circle: Vec<_> =
            uses.keys().filter(|other| leads(name, other) && leads(other, name)).collect();
        let within = circle.iter().flat_map(|from| {
            let to = uses[*from].iter().filter(|to| circle.contains(to));
            to.map(|to| format!("{} -> {}", shown(from), shown(to)))
        });
        let names: Vec<_> = circle.iter().map(|name| shown(name)).collect();
        circles.insert(names.join(" - "), within.collect::<Vec<_>>().join(", "));
    }
    circles
}

fn reachable<'a>(uses: &'a Uses, from: &Name) -> BTreeSet<&'a Name> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&Name> = uses[from].iter().collect();
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(uses.get(name).into_iter().flatten());
        }
    }
    found
}

fn shown(name: &Name) -> String {
    if name.is_empty() { "the root".to_owned() } else { name.join("::") }
}
