//! A folder for one test, and the program running in it.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::Run;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_data-pipeline");

pub(crate) struct Kit(TempDir);

/// A running program that is killed when its test fails.
pub(crate) struct Running(pub(crate) Child);

impl Kit {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `data-pipeline run …` in this folder.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.command(&[&["run"], args].concat())
    }

    /// The same, and it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Run {
        self.run(args).expect_status(0)
    }

    /// `data-pipeline …` in this folder: `env -C` changes to it.
    pub(crate) fn command(&self, args: &[&str]) -> Run {
        let directory = self.0.path().to_str().unwrap();
        testkit::run("/usr/bin/env", &[&["-C", directory, PROGRAM], args].concat())
    }

    /// Starts it and lets it run.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.start_with(args, &[])
    }

    /// The same, with its stdout going to a file of this name.
    pub(crate) fn start_to_file(&self, args: &[&str], stdout: &str) -> Running {
        let stdout = File::create(self.path(stdout)).unwrap();
        Running(self.started(args, &[]).stdout(stdout).spawn().unwrap())
    }

    /// The same, in an environment with these variables.
    pub(crate) fn start_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        Running(self.started(args, variables).spawn().unwrap())
    }

    /// The same, as a user who may not read everything; `None`, with a message, if the test cannot
    /// become one.
    pub(crate) fn start_as_nobody(&self, args: &[&str]) -> Option<Running> {
        // That user need not be able to reach the target directory, and makes outputs in this one.
        let copy = self.path("data-pipeline");
        if !copy.exists() {
            fs::copy(PROGRAM, &copy).unwrap();
            fs::set_permissions(self.path("."), Permissions::from_mode(0o777)).unwrap();
        }
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let started = self.started(args, &[]);
        let mut command = Command::new(if is_root { "setpriv" } else { copy.to_str().unwrap() });
        if is_root {
            command.args(["--reuid=65534", "--clear-groups"]).arg(&copy);
        }
        command.args(started.get_args()).current_dir(self.path("."));
        let log = File::options().append(true).create(true).open(self.path("stderr")).unwrap();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                eprintln!("left out: setpriv is not installed");
                None
            }
            child => Some(Running(child.unwrap())),
        }
    }

    /// Runs it to its end with the checkpoint `ck`; before that it is killed so many times, after
    /// another delay each.
    pub(crate) fn killed(&self, args: &[&str], kills: u64) -> Run {
        let args = [args, &["--checkpoint", "ck"]].concat();
        let mut resumed = 0;
        for kill in 0..kills {
            let running = self.start(&args);
            sleep(Duration::from_millis(20 + kill * 7919 % 330)); // in another process
            running.kill();
            resumed += u32::from(self.path("ck").exists());
        }
        assert!(resumed > 0, "no kill came after a checkpoint");
        self.ok(&args)
    }

    fn started(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let log = File::options().append(true).create(true).open(self.path("stderr")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("run").args(args).current_dir(self.0.path()).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Waits until `done` holds; fails the test after a minute.
    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let started = Instant::now();
        while !done() {
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_mins(1),
                "{what} does not come: {}",
                self.read("stderr")
            );
            sleep(Duration::from_millis(10)); // another process is waited for: there is no clock to pause
        }
    }
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to stop, and gives its exit status.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that was free a moment ago.
pub(crate) fn address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Takes one connection, and returns all lines that come over it.
pub(crate) fn received(listener: &TcpListener) -> Vec<String> {
    BufReader::new(listener.accept().unwrap().0).lines().map(Result::unwrap).collect()
}

/// What a web server answers.
pub(crate) fn get(page: &str, path: &str) -> String {
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    ask(address, path, address)
}

/// The answer to a request with this `Host`.
pub(crate) fn ask(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of the first metric whose line begins like this, once the server is there.
pub(crate) fn metric(page: &str, start: &str) -> Option<f64> {
    TcpStream::connect(page.trim_start_matches("http://")).ok()?;
    let metrics = get(page, "/metrics");
    let line = metrics.lines().find(|line| line.starts_with(start))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Events with a time (100 a second), a key and a value.
pub(crate) fn lines(numbers: Range<u64>) -> String {
    let mut text = String::new();
    for n in numbers {
        let (ts, key) = (1_772_323_200_000 + n * 10, n % 7);
        writeln!(text, "{{\"ts\":{ts},\"k\":\"key-{key}\",\"v\":{n}}}").unwrap();
    }
    text
}

pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
