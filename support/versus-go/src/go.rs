use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::{report, whole_program};
use crate::row::{Row, Run, Work};

/// The same workloads as a Go program.
#[derive(Clone, Debug)]
pub struct Go {
    program: PathBuf,
    /// What `go version` says.
    pub version: String,
}

impl Go {
    /// Builds the Go program with the `go` on the PATH. `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it does not build.
    pub fn build() -> Result<Option<Self>, Box<dyn Error + Send + Sync>> {
        let Ok(version) = Command::new("go").arg("version").output() else { return Ok(None) };
        let version = String::from_utf8(version.stdout)?.trim().to_owned();
        let program = env::current_exe()?.with_file_name("go-peer");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/go");
        let mut build = Command::new("go");
        build.arg("build").arg("-o").arg(&program).arg(".").current_dir(source);
        let status = build.status()?;
        if !status.success() {
            return Err(format!("the Go program does not build: {status}").into());
        }
        Ok(Some(Self { program, version }))
    }

    /// Runs the Go side of `row` in the way called `name`.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(
        &self,
        row: &Row,
        name: &str,
        items: u64,
    ) -> Result<Run, Box<dyn Error + Send + Sync>> {
        let mut command = Command::new(&self.program);
        command.args([name, &items.to_string()]);
        match row.work {
            Work::Function(_) => report(&mut command),
            Work::Program(_) => whole_program(&mut command, items),
        }
    }
}
