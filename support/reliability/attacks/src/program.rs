use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, text};

/// The longest time that a program may run before it counts as hanging.
const HANG: Duration = Duration::from_mins(1);

/// How often it is checked whether a program has ended: the resolution of all times here.
const LOOK: Duration = Duration::from_millis(1);

/// The folder with the programs under attack.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

/// A program that runs in `dir`. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    dir: PathBuf,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status, if it was not killed.
    pub status: Option<i32>,
    /// What killed it.
    pub signal: Option<i32>,
    /// How long the wait for its end took.
    pub took: Duration,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
}

impl Programs {
    /// Those in the folder behind `--programs`, or in `target/debug`.
    pub fn find() -> Result<Self> {
        let folder = text("--programs").unwrap_or_else(|| "target/debug".to_owned());
        let folder = std::path::absolute(folder)?;
        let missing = ["shutdown", "file-processor", "api-client", "data-pipeline"]
            .into_iter()
            .find(|name| !folder.join(name).exists());
        match missing {
            Some(name) => Err(format!("no {name} in {}: build it first", folder.display()).into()),
            None => Ok(Self(folder)),
        }
    }

    /// Where one of them is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Starts one of them in `dir`.
    pub fn start(&self, name: &str, args: &[&str], dir: &Path) -> Result<Running> {
        let mut command = Command::new(self.path(name));
        command.args(args);
        Running::start(command, dir)
    }

    /// Runs one of them to its end.
    pub fn run(&self, name: &str, args: &[&str], dir: &Path) -> Result<Ended> {
        self.start(name, args, dir)?.wait()
    }
}

impl Running {
    /// Starts `command` in `dir`, where its stdout and stderr go to files.
    pub fn start(mut command: Command, dir: &Path) -> Result<Self> {
        command.current_dir(dir).stdin(Stdio::null());
        command.stdout(File::create(dir.join("stdout"))?).stderr(File::create(dir.join("stderr"))?);
        Ok(Self { child: command.spawn()?, dir: dir.to_owned() })
    }

    /// Sends a signal. A program that has already ended gets none.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end, which must come within a minute.
    pub fn wait(self) -> Result<Ended> {
        self.wait_for(HANG)
    }

    /// Waits for its end, which must come within `limit`.
    pub fn wait_for(mut self, limit: Duration) -> Result<Ended> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if started.elapsed() > limit {
                return Err(format!("it hangs: {}", self.read("stderr")).into());
            }
            sleep(LOOK);
        };
        let took = started.elapsed();
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        Ok(Ended { status: status.code(), signal: status.signal(), took, stdout, stderr })
    }

    /// The current content of a file in its folder.
    pub fn read(&self, name: &str) -> String {
        std::fs::read(self.dir.join(name))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `done` holds, for a minute at the longest.
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
        let started = Instant::now();
        while !done() {
            if started.elapsed() > HANG || self.child.try_wait()?.is_some() {
                return Err(format!("{what} does not come: {}", self.read("stderr")).into());
            }
            sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of `/proc/PID/status`, such as `VmRSS` in KiB.
pub fn status_value(id: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| format!("no {name} of process {id}").into())
}
