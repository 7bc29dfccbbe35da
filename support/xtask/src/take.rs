//! Takes a section away: its folder, those of the few crates that it needs, and a manifest for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use toml::Value;

use crate::Result;
use crate::workspace::{Manifest, members, name_of, root, sections, target, tracked};

const TABLES: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// Copies the section to `to/NAME`, and beside it what it and its tests need of the workspace.
///
/// # Errors
///
/// If there is no such section, or if `to` is there already.
pub fn take(section: &str, to: &Path) -> Result {
    let sections = sections();
    let folder = sections.iter().find(|folder| name_of(folder) == section).ok_or_else(|| {
        let names: Vec<_> = sections.iter().map(|folder| name_of(folder)).collect();
        format!("no section {section}: expected one of {}", names.join(", "))
    })?;
    if to.exists() {
        return Err(format!("{} is there already", to.display()).into());
    }
    let needed = needed(folder);
    for member in &needed {
        for file in tracked(&format!("{member}/*"))? {
            let inside = file.strip_prefix(member.as_str()).expect("git was asked for this folder");
            let copy = to.join(place(member)).join(inside.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().expect("a file is in a folder"))?;
            fs::copy(root().join(&file), &copy)?;
            let modified = fs::metadata(root().join(&file))?.modified()?; // cargo rebuilds by it
            File::open(copy)?.set_modified(modified)?;
        }
    }
    fs::write(to.join("Cargo.toml"), manifest(&needed))?;
    fs::write(to.join(".gitignore"), "/target\n")?;
    for file in ["Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(root().join(file), to.join(file))?;
    }
    Ok(())
}

/// What to do with the copy.
pub fn next(section: &str, to: &Path) -> String {
    let to = to.display();
    format!(
        "{section}, and what it and its tests need, are in {to}. Go on there:\n    cd {to}\n    cargo run"
    )
}

/// Takes each section to an empty folder, and builds and tests it there. The folder is always the
/// same, so that shared crates are compiled once, and dependencies have the workspace's profiles,
/// so that its compiled ones are reused.
///
/// # Errors
///
/// If a section does not build, or its tests fail.
pub fn check_all() -> Result {
    let folder = target().join("standalone");
    let away = folder.join("away");
    let profiles =
        toml::Table::from_iter([("profile".to_owned(), Manifest::read("").0["profile"].clone())]);
    for section in sections() {
        let name = name_of(&section);
        println!("--- {name}");
        if away.exists() {
            fs::remove_dir_all(&away)?;
        }
        take(name, &away)?;
        fs::create_dir(away.join(".cargo"))?;
        fs::write(away.join(".cargo/config.toml"), profiles.to_string())?;
        for args in [
            vec!["test", "--quiet", "-p", name],
            vec!["run", "--quiet", "-p", name, "--", "--version"],
        ] {
            let mut cargo = Command::new("cargo");
            cargo
                .args(&args)
                .current_dir(&away)
                .env("CARGO_TARGET_DIR", folder.join("target"))
                .env("CARGO_BUILD_BUILD_DIR", target());
            let status = cargo.status()?;
            if !status.success() {
                return Err(
                    format!("{name}, taken away: cargo {}: {status}", args.join(" ")).into()
                );
            }
        }
    }
    Ok(())
}

/// The members that this one depends on, in its tests too, itself first, in the order in which they are
/// found.
fn needed(folder: &str) -> Vec<String> {
    let members = members();
    let mut needed = vec![folder.to_owned()];
    let mut at = 0;
    while at < needed.len() {
        let manifest = Manifest::read(&needed[at]);
        for name in TABLES.iter().flat_map(|table| manifest.names(table)) {
            let member = members.iter().find(|member| name_of(member) == name);
            if let Some(member) = member.filter(|member| !needed.contains(member)) {
                needed.push(member.clone());
            }
        }
        at += 1;
    }
    needed
}

/// Where a member is put: a section's own folder has no folder above it.
fn place(member: &str) -> &str {
    if member.starts_with("support/") { member } else { name_of(member) }
}

/// The root manifest for these members: what they inherit from the workspace's, and nothing else.
fn manifest(needed: &[String]) -> String {
    let all = Manifest::read("");
    let workspace = &all.0["workspace"];
    let used: BTreeSet<String> = needed
        .iter()
        .map(Manifest::read)
        .flat_map(|manifest| TABLES.map(|table| manifest.names(table)))
        .flatten()
        .collect();
    let mut text = "[workspace]\nresolver = \"3\"\nmembers = [\n".to_owned();
    for member in needed {
        let _ = writeln!(text, "    \"{}\",", place(member));
    }
    let _ = writeln!(text, "]\ndefault-members = [\"{}\"]", place(&needed[0]));
    lines(&mut text, "workspace.package", &workspace["package"], |_| true);
    text += "\n[workspace.dependencies]\n";
    for member in needed {
        let _ = writeln!(text, "{} = {{ path = \"{}\" }}", name_of(member), place(member));
    }
    let ours = |name: &str| needed.iter().any(|member| name_of(member) == name);
    if let Some(table) = workspace["dependencies"].as_table() {
        for (name, value) in table.iter().filter(|(name, _)| used.contains(*name) && !ours(name)) {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    for lints in ["rust", "clippy"] {
        lines(&mut text, &format!("workspace.lints.{lints}"), &workspace["lints"][lints], |_| true);
    }
    text
}

fn lines(text: &mut String, heading: &str, table: &Value, wanted: impl Fn(&str) -> bool) {
    let _ = writeln!(text, "\n[{heading}]");
    for (name, value) in table.as_table().into_iter().flatten().filter(|(name, _)| wanted(name)) {
        let _ = writeln!(text, "{name} = {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_needs_what_its_tests_need_and_no_other_section() {
        let mut needed = needed("patterns/pipeline");
        assert_eq!(needed.remove(0), "patterns/pipeline");
        needed.sort();
        assert_eq!(
            needed,
            ["common", "leaks", "support/leak-check", "support/testkit", "support/timeline"]
        );
    }

    #[test]
    fn the_manifest_has_what_the_members_inherit_and_no_more() {
        let text = manifest(&needed("context/values"));
        let table: toml::Table = text.parse().unwrap();
        let dependencies = table["workspace"]["dependencies"].as_table().unwrap();
        assert!(
            dependencies.contains_key("tokio") && dependencies.contains_key("common"),
            "{text}"
        );
        assert!(!dependencies.contains_key("pipeline"), "{text}");
        assert!(!dependencies.contains_key("reqwest"), "{text}");
        assert_eq!(table["workspace"]["members"][0].as_str(), Some("values"));
        assert_eq!(table["workspace"]["default-members"][0].as_str(), Some("values"));
        assert_eq!(table["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    }

    #[test]
    fn an_existing_folder_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let told = take("values", folder.path()).unwrap_err().to_string();
        assert!(told.contains("is there already"), "{told}");
        let told = take("no-such", &folder.path().join("new")).unwrap_err().to_string();
        assert!(
            told.starts_with("no section no-such: expected one of creating, anonymous"),
            "{told}"
        );
    }
}
