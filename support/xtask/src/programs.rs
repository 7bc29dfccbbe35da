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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::workspace::{Manifest, cargo, members, root, run, sections, target};

/// The longest time that a program may run before it counts as hanging, in seconds.
const LIMIT: &str = "60";

/// The time after which a program that waits for a signal gets one.
pub const BEFORE_THE_SIGNAL: Duration = Duration::from_millis(1200);

/// How many run at a time: most of them wait for most of their time.
const AT_A_TIME: usize = 4;

/// Runs them.
///
/// # Errors
///
/// If a program fails or hangs.
pub fn run_all() -> Result {
    cargo(&["build", "--quiet", "--workspace", "--bins", "--examples"])?;
    each(programs()?, |program| {
        program.run().map_err(|err| format!("{program}: {err}"))?;
        println!("--- {program}");
        Ok(())
    })
}

/// Does `work` with each item, some at a time, until one fails.
fn each<T: Send>(items: Vec<T>, work: impl Fn(T) -> Result + Sync) -> Result {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().ok()?.next();
    let some = || {
        while let Some(item) = next() {
            work(item).map_err(|err| err.to_string())?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let some: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(some)).collect();
        let mut ends = some.into_iter().map(|some| some.join().expect("it does not panic"));
        ends.find(std::result::Result::is_err).unwrap_or(Ok(()))
    })
    .map_err(|err: String| err.into())
}

struct Program {
    path: PathBuf,
    args: String,
    waits_for_a_signal: bool,
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().unwrap_or_default().display();
        write!(f, "{name} {}", self.args)
    }
}

impl Program {
    fn run(&self) -> Result {
        // `timeout` passes a signal on.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", LIMIT]).arg(&self.path);
        command.args(self.args.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.current_dir(root()).spawn()?;
        if self.waits_for_a_signal {
            thread::sleep(BEFORE_THE_SIGNAL);
            run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        }
        let status = child.wait()?;
        match status.code() {
            Some(0) => Ok(()),
            Some(124) => Err("it hangs".into()),
            _ => Err(status.to_string().into()),
        }
    }
}

fn programs() -> Result<Vec<Program>> {
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
    let mut programs = Vec::new();
    for (kind, name) in targets()? {
        let path = match kind.as_str() {
            "bin" if name == "xtask" => continue, // this one
            "bin" => built.join(&name),
            "example" => built.join("examples").join(&name),
            _ => continue,
        };
        let args = args.get(&name).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        programs.push(Program { path, args, waits_for_a_signal: waiting.contains(&name) });
    }
    Ok(programs)
}

/// Runs the tests of the sections and of `common`, one at a time in each process, so that
/// `leak_check` can also count a test's threads and open descriptors.
///
/// # Errors
///
/// If a test fails.
pub fn test_for_leaks() -> Result {
    let checked: BTreeSet<_> = sections()
        .into_iter()
        .chain(["common".to_owned()])
        .map(|member| root().join(member))
        .collect();
    let mut tests = Vec::new();
    for (source, program) in test_programs()? {
        let folder = source.ancestors().nth(2).expect("a target is in a folder of its package");
        let wanted = source.ends_with("src/lib.rs")
            || source.starts_with(folder.join("tests"))
                && fs::read_to_string(&source)?.contains("leak_check");
        if checked.contains(folder) && wanted {
            tests.push((folder.to_owned(), source, program));
        }
    }
    if tests.is_empty() {
        return Err("cargo names no tests of the sections".into());
    }
    each(tests, |(folder, source, program)| {
        let mut command = Command::new(program);
        command.args(["--quiet", "--test-threads=1"]).env("LEAK_CHECK_PROCESS", "1");
        let output = command.current_dir(folder).output()?;
        let source = source.strip_prefix(root()).unwrap_or(&source).display();
        if !output.status.success() {
            let [out, err] =
                [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
            return Err(format!("{source}:\n{out}{err}").into());
        }
        println!("--- {source}");
        Ok(())
    })
}

/// The main source and the program of each library's and each folder's tests. Builds all packages
/// of the workspace, as its tests do: with fewer, cargo would recompile the dependencies.
fn test_programs() -> Result<Vec<(PathBuf, PathBuf)>> {
    let args = ["test", "--workspace", "--no-run", "--quiet", "--message-format", "json"];
    let output = Command::new("cargo").args(args).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests = messages.filter(|message| message["profile"]["test"] == true);
    let programs = tests.filter_map(|message| {
        let source = message["target"]["src_path"].as_str()?;
        Some((source.into(), message["executable"].as_str()?.into()))
    });
    Ok(programs.collect())
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
