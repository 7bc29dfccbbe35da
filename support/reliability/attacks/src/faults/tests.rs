//! The tests of the exercises, as rows of the table.

use std::collections::HashMap;
use std::process::Command;

use attacks::Result;
use serde_json::Value;

use super::Count;

/// The test programs by the name of their target, once they are built.
#[derive(Default)]
pub struct Tests(Option<HashMap<String, String>>);

impl Tests {
    /// Builds those of the exercises, unless that is done.
    fn programs(&mut self) -> Result<&HashMap<String, String>> {
        if self.0.is_none() {
            self.0 = Some(build()?);
        }
        self.0.as_ref().ok_or_else(|| "they were just built".into())
    }

    /// Runs the tests with these names `tries` times. The tests assert that nothing is lost and
    /// nothing comes twice.
    pub fn run(&mut self, target: &str, names: &[&str], tries: u64) -> Result<Count> {
        let program =
            self.programs()?.get(target).ok_or_else(|| format!("no tests named {target}"))?;
        let mut count = Count::default();
        for _ in 0..tries {
            let mut command = Command::new(program);
            command.arg("--exact").args(names).arg("--nocapture").current_dir("exercises");
            let output = command.output()?;
            let text =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            if let Some(why) = text.lines().find(|line| line.starts_with("skipped: ")) {
                return Ok(Count::skipped(why));
            }
            count.tries += 1;
            let passed = format!("{} passed; 0 failed", names.len());
            count.expect(text.contains(&passed), || format!("{names:?}: {text}"));
        }
        Ok(count)
    }
}

fn build() -> Result<HashMap<String, String>> {
    // All packages, as in the other checks: for fewer of them cargo would recompile the dependencies.
    let args = ["test", "--workspace", "--no-run", "--quiet", "--message-format", "json"];
    let output = Command::new("cargo").args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_one = |message: &Value| {
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        message["profile"]["test"] == true && manifest.ends_with("exercises/Cargo.toml")
    };
    let tests = messages.filter(is_one);
    let programs = tests.filter_map(|message| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, message["executable"].as_str()?.to_owned()))
    });
    Ok(programs.collect())
}
