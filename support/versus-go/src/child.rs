use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::row::{Row, Run, Work};
use performance::peak_memory_of;

/// The first argument of a process that runs one row and reports it, as in `--run ROW ITEMS`.
pub const RUN: &str = "--run";

type Failure = Box<dyn Error + Send + Sync>;

/// Runs our side of a row in a process of its own, so that neither the memory nor the threads of
/// another row are in its figures.
///
/// # Errors
///
/// If the process cannot be started, fails, or prints no measurement.
pub fn this_program(row: &Row, items: u64) -> Result<Run, Failure> {
    let this = env::current_exe()?;
    match row.work {
        Work::Function(_) => {
            let mut command = Command::new(this);
            report(command.args([RUN, row.name, &items.to_string()]))
        }
        Work::Program(name) => {
            whole_program(Command::new(this.with_file_name(name)).arg("-"), items)
        }
    }
}

/// Builds the program that the row measures, if it is one and is not beside this one yet.
///
/// # Errors
///
/// If it does not build.
pub fn ensure_built(row: &Row) -> Result<(), Failure> {
    let Work::Program(name) = row.work else { return Ok(()) };
    if env::current_exe()?.with_file_name(name).exists() {
        return Ok(());
    }
    let mut build = Command::new("cargo");
    build.args(["build", "--package", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    match build.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the program {name} does not build: {status}").into()),
        Err(err) => Err(format!("cannot build the program {name} with cargo: {err}").into()),
    }
}

/// Runs a command that reports its run as the last line on stderr.
pub(super) fn report(command: &mut Command) -> Result<Run, Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8(output.stderr)?;
    if !output.status.success() {
        return Err(format!("{command:?} failed, {}: {text}", output.status).into());
    }
    text.lines().last().unwrap_or_default().parse()
}

/// Runs a command over the numbers from 1 to `items` on stdin, one a line, from its start to its
/// end. Its check value is a hash of everything that it prints.
///
/// # Errors
///
/// If the command cannot be started or fails.
pub fn whole_program(command: &mut Command, items: u64) -> Result<Run, Failure> {
    let numbers = numbers_file(items)?;
    command.stdin(File::open(&numbers)?).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let (mut check, mut memory) = (0xcbf2_9ce4_8422_2325_u64, 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // The memory of an ended process cannot be read, so the last look while it ran counts.
        memory = peak_memory_of(child.id()).unwrap_or(memory);
        match stdout.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                for byte in &buffer[..length] {
                    check = (check ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err.into()),
        }
    }
    let status = child.wait()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{command:?} failed: {status}").into());
    }
    Ok(Run { seconds, memory, check })
}

/// A file with the numbers from 1 to `items`, made once.
fn numbers_file(items: u64) -> io::Result<PathBuf> {
    let path = env::current_exe()?.with_file_name(format!("numbers-{items}.txt"));
    if !path.exists() {
        let mut text = String::new();
        for number in 1..=items {
            writeln!(text, "{number}").expect("a string takes everything");
        }
        fs::write(&path, text)?;
    }
    Ok(path)
}
