//! Runs the commands of the pages, as a reader would who has just cloned the workspace, and compares
//! what they print with what the pages say.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::console::{Steps, Transcript, commands, without_remark};
use crate::markdown::{Page, pages};
use crate::workspace::{changes, root};

/// The longest time that a command may print nothing before it counts as hanging. It may have to be
/// compiled first, in release.
const HANG: Duration = Duration::from_mins(30);

/// Commands that a page shows and that `.ci/run` runs as steps of its own.
const LEFT_TO_THE_CHECK: [&str; 4] = [
    "cargo test --workspace",
    "cargo xtask book",
    "cargo xtask pictures",
    "cargo run --release -p versus-go -- --short",
];
/// How a benchmark is started: it takes minutes, and `.ci/long` runs all of them.
const BENCHMARK: &str = "cargo bench ";

/// Follows these pages, or all if none is named.
///
/// # Errors
///
/// If a command does not do what its page says, or leaves a file behind.
pub fn follow_all(named: &[PathBuf]) -> Result {
    let before = changes()?;
    let named: Vec<_> = named.iter().map(Page::read).collect();
    let pages = if named.is_empty() { pages() } else { named };
    let mut wrong = 0;
    for page in &pages {
        for (line, steps) in commands(page) {
            println!("{}:{line}", page.path.display());
            wrong += usize::from(!follow(steps));
        }
    }
    let left = changes()?;
    if left != before {
        return Err(format!("a command left files behind:\n{left}").into());
    }
    if wrong > 0 {
        return Err(format!("{wrong} blocks of commands do not do what their page says").into());
    }
    Ok(())
}

/// Does one step after the other, as in one shell: `echo $?` has the status of the one before.
fn follow(steps: Steps) -> bool {
    let mut status = 0;
    let mut steps = steps.into_iter().peekable();
    while let Some((command, said)) = steps.next() {
        let plain = without_remark(&command);
        if plain.starts_with(".ci/") || LEFT_TO_THE_CHECK.contains(&plain) {
            println!("      -    {command}: left to .ci/run");
            continue;
        }
        if plain.starts_with(BENCHMARK) {
            println!("      -    {command}: left to .ci/long");
            continue;
        }
        let started = Instant::now();
        let run = run(&command, status, &said);
        println!("{:7.1} s  {command}", started.elapsed().as_secs_f64());
        status = run.status;
        let asked = steps.peek().is_some_and(|(next, _)| next == "echo $?");
        let fault = match said.check(&run.printed) {
            Err(fault) => fault,
            Ok(()) if status != 0 && !asked => format!("exit status {status}"),
            Ok(()) => continue,
        };
        println!("           {fault}; it printed:\n{}", run.printed);
        return false;
    }
    true
}

struct Run {
    /// Both streams, as a terminal shows them.
    printed: String,
    status: i32,
}

fn run(command: &str, before: i32, said: &Transcript) -> Run {
    let installed = root().join("target/pages");
    let path = env::var("PATH").unwrap_or_default();
    let mut child = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; (exit {before}); {command}")])
        .current_dir(root())
        .env("PATH", format!("{}:{path}", installed.join("bin").display()))
        .env("CARGO_INSTALL_ROOT", installed)
        .env("CARGO_TERM_QUIET", "true")
        .env("RUST_BACKTRACE", "0")
        .envs([("DIVAN_SAMPLE_COUNT", "1"), ("ROUNDS", "1")]) // a benchmark that runs is enough
        .process_group(0) // which Ctrl-C goes to
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a bash");
    let lines = lines(&mut child);
    let mut printed = String::new();
    let mut interrupt_after = said.interrupted_after();
    loop {
        match lines.recv_timeout(HANG) {
            Ok(line) => {
                if interrupt_after.is_some_and(|shown| said.is(shown, &line)) {
                    interrupt_after = None;
                    signal(&child, "INT");
                }
                printed += &(line + "\n");
            }
            Err(RecvTimeoutError::Timeout) => {
                signal(&child, "KILL");
                printed += "(it hangs)\n";
                break;
            }
            Err(_ended) => break,
        }
    }
    let status = child.wait().expect("it was started here").code().unwrap_or(-1);
    Run { printed, status }
}

fn lines(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in output.split(b'\n') {
            let line = line.expect("a pipe can be read");
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    receiver
}

fn signal(child: &Child, name: &str) {
    let group = format!("-{}", child.id());
    let sent = Command::new("kill").args(["-s", name, "--", &group]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the command has ended already");
}
