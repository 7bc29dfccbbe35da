//! The Go programs of the pages: each is vetted, and run to its end.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;

use crate::Result;
use crate::programs::BEFORE_THE_SIGNAL;
use crate::workspace::{Manifest, name_of, root, run, sections, target};

/// Vets and runs `go/main.go` of every section. What one prints is compared with `go/output.txt` line
/// by line, in any order, and every number stands for any other one: the scheduler and the random
/// numbers decide the rest.
///
/// # Errors
///
/// If Go is not installed, if a program fails vet or fails to run, or if its output differs from
/// the recorded one.
pub fn run_all() -> Result {
    for section in sections() {
        let folder = root().join(&section).join("go");
        let program = target().join("go").join(name_of(&section));
        println!("--- {section}/go/main.go");
        let source = folder.join("main.go");
        run(Command::new("go").arg("vet").arg(&source))?;
        run(Command::new("go").args(["build", "-o"]).arg(&program).arg(&source))?;

        let child = Command::new(&program).stdout(Stdio::piped()).spawn()?;
        if Manifest::read(&section).metadata("waits-for-a-signal").is_some() {
            sleep(BEFORE_THE_SIGNAL);
            run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("{section}/go/main.go: {}", output.status).into());
        }
        let known = fs::read_to_string(folder.join("output.txt"))?;
        let known: Vec<_> = known.lines().map(form).collect();
        for line in String::from_utf8(output.stdout)?.lines() {
            if !known.contains(&form(line)) {
                return Err(format!("{section}/go/main.go: not in output.txt: {line}").into());
            }
        }
    }
    Ok(())
}

/// A line without its numbers.
fn form(line: &str) -> String {
    line.split(|c: char| c.is_ascii_digit() || c == '.').filter(|part| !part.is_empty()).collect()
}
