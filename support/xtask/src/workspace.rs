use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use crate::Result;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is `support/xtask`").to_owned()
}

/// The folders of the workspace's members, in reading order.
///
/// # Panics
///
/// If the root manifest cannot be read.
pub fn members() -> Vec<String> {
    let manifest = Manifest::read("");
    let members = manifest.0["workspace"]["members"].as_array().expect("members are an array");
    members.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The folders of the sections: the members before the exercises.
pub fn sections() -> Vec<String> {
    members().into_iter().take_while(|member| member != "exercises").collect()
}

/// The package in this folder, which has its name.
pub fn name_of(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

/// A `Cargo.toml`.
#[derive(Clone, Debug)]
pub struct Manifest(pub Table);

impl Manifest {
    /// Reads the package in a folder of the workspace.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn read(folder: impl AsRef<Path>) -> Self {
        let path = root().join(folder).join("Cargo.toml");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        Self(text.parse().unwrap_or_else(|err| panic!("{}: {err}", path.display())))
    }

    /// The names in one of its tables of dependencies.
    pub fn names(&self, table: &str) -> Vec<String> {
        let table = self.0.get(table).and_then(Value::as_table);
        table.into_iter().flat_map(|table| table.keys().cloned()).collect()
    }

    /// What stands under `[package.metadata]`: how xtask treats this crate.
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.0.get("package")?.get("metadata")?.get(key)
    }
}

/// The files of the workspace that git knows or would add, from its folder, sorted.
///
/// # Errors
///
/// If there is no git.
pub fn tracked(pattern: &str) -> Result<Vec<String>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "--", pattern];
    let output = Command::new("git").args(args).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(format!("git: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut files: Vec<_> = text.lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).exists());
    files.sort();
    files.dedup();
    Ok(files)
}

/// What git says is changed or new.
///
/// # Errors
///
/// If there is no git.
pub fn changes() -> Result<String> {
    let status =
        Command::new("git").args(["status", "--porcelain"]).current_dir(root()).output()?;
    Ok(String::from_utf8(status.stdout)?)
}

/// Runs a command in the workspace's folder, and shows what it says.
///
/// # Errors
///
/// If it cannot be started or fails.
pub fn run(command: &mut Command) -> Result {
    let shown = format!("{} {:?}", command.get_program().to_string_lossy(), command.get_args());
    let status = command.current_dir(root()).status().map_err(|err| format!("{shown}: {err}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

/// The same for cargo, with the workspace's own toolchain.
///
/// # Errors
///
/// As [`run`].
pub fn cargo(args: &[&str]) -> Result {
    run(Command::new("cargo").args(args))
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
