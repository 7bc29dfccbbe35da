//! Runs every program and every example to its end. The arguments that a program needs for that are
//! in its manifest:
//!
//! ```toml
//! [package.metadata.run]
//! shutdown = "--for 1s"
//! ```
//!
//! A program that ends only at a signal is interrupted:
//!
//! ```toml
//! [package.metadata]
//! waits-for-a-signal = ["plain-shutdown"]
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::workspace::{Manifest, cargo, members, name_of, root, run, sections, target, tracked};

/// The longest time that a program may run before it counts as hanging.
const LIMIT: Duration = Duration::from_mins(1);

/// How long a program runs that waits for a signal.
pub const BEFORE_THE_SIGNAL: Duration = Duration::from_millis(1200);

/// Runs them one after the other.
///
/// # Errors
///
/// If a program fails or hangs.
pub fn run_all() -> Result {
    cargo(&["build", "--quiet", "--workspace", "--bins", "--examples"])?;
    let (mut args, mut waiting) = (BTreeMap::new(), Vec::new());
    for member in members() {
        let manifest = Manifest::read(member);
        let names = manifest.metadata("waits-for-a-signal").and_then(toml::Value::as_array);
        waiting
            .extend(names.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned));
        let table = manifest.metadata("run").and_then(toml::Value::as_table).cloned();
        args.extend(table.into_iter().flatten());
    }
    let built = target().join("debug");
    for (kind, name) in targets()? {
        let program = match kind.as_str() {
            "bin" if name == "xtask" => continue, // this one
            "bin" => built.join(&name),
            "example" => built.join("examples").join(&name),
            _ => continue,
        };
        let args = args.get(&name).and_then(toml::Value::as_str).unwrap_or_default();
        println!("--- {name} {args}");
        let mut command = Command::new(program);
        command.args(args.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.current_dir(root()).spawn()?;
        let started = Instant::now();
        if waiting.contains(&name) {
            sleep(BEFORE_THE_SIGNAL);
            run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        }
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if started.elapsed() > LIMIT => {
                    child.kill()?;
                    return Err(format!("{name} {args} hangs").into());
                }
                None => sleep(Duration::from_millis(10)),
            }
        };
        if !status.success() {
            return Err(format!("{name} {args}: {status}").into());
        }
    }
    Ok(())
}

/// Runs the tests of the sections and of `common` one at a time, so that `leak_check` can also
/// count a test's threads and open descriptors.
///
/// # Errors
///
/// If a test fails.
pub fn test_for_leaks() -> Result {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--no-fail-fast", "--lib"]).env("LEAK_CHECK_PROCESS", "1");
    for member in sections().into_iter().chain(["common".to_owned()]) {
        command.args(["-p", name_of(&member)]);
        for test in tracked(&format!("{member}/tests/*.rs"))? {
            let name = test.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
            let checked = fs::read_to_string(root().join(&test))?.contains("leak_check");
            command.args(name.filter(|_| checked).iter().flat_map(|name| ["--test", name]));
        }
    }
    run(command.args(["--", "--test-threads=1"]))
}

/// The kind and the name of each target of the workspace.
fn targets() -> Result<Vec<(String, String)>> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    let output = Command::new("cargo").args(args).current_dir(root()).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let all = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let packages = all(&metadata["packages"]);
    let targets = packages.iter().flat_map(|package| all(&package["targets"]));
    let named = targets.filter_map(|target| {
        Some((target["kind"][0].as_str()?.to_owned(), target["name"].as_str()?.to_owned()))
    });
    Ok(named.collect())
}
