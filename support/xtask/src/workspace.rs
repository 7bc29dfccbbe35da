use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

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
    let manifest = Manifest::read(root());
    let members = manifest.0["workspace"]["members"].as_array().expect("members are an array");
    members.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A `Cargo.toml`.
#[derive(Clone, Debug)]
pub struct Manifest(pub Table);

impl Manifest {
    /// Reads that of a folder.
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
}
