//! `api-client` with a stream of URLs that does not end, at a server of which some answers are
//! failures, rejections and resets.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use attacks::{Programs, Result, Server};
use serde_json::Value;
use tempfile::TempDir;

use super::Soaked;

pub struct Fetcher {
    child: Child,
    stopped: Arc<AtomicBool>,
    /// Gives how many URLs it has written.
    writer: JoinHandle<u64>,
    /// Gives how many outcomes it has read.
    reader: JoinHandle<u64>,
    /// Outcomes so far that are not a success.
    failed: Arc<AtomicU64>,
    _server: Server,
    _dir: TempDir,
}

impl Fetcher {
    pub fn start(programs: &Programs) -> Result<Self> {
        let server = Server::start(Duration::from_millis(2), false)?;
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(programs.path("api-client"));
        command
            .args(["-i", "-", "--format", "ndjson", "-c", "20", "--rate", "300/s", "--seed", "1"]);
        command.args(["--journal", "journal", "--summary", "none"]).current_dir(dir.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicU64::new(0));
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let mut stdin = child.stdin.take().ok_or("stdin is piped")?;
        let (stop, base) = (stopped.clone(), server.url(""));
        // The pipe is the bound: it takes as many URLs as the client reads ahead.
        let writer = thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) && writeln!(stdin, "{base}{}", path(number)).is_ok()
            {
                number += 1;
            }
            number
        });
        let count = failed.clone();
        let reader = thread::spawn(move || read(stdout, &count));
        Ok(Self { child, stopped, writer, reader, failed, _server: server, _dir: dir })
    }
}

/// One of a hundred each fails, is rejected, or is cut off the first time.
fn path(number: u64) -> String {
    match number % 100 {
        17 => format!("/503/{number}"),
        41 if number % 1000 == 41 => format!("/429/{number}"),
        83 => format!("/reset/{number}"),
        _ => format!("/{number}"),
    }
}

fn read(stdout: ChildStdout, failed: &AtomicU64) -> u64 {
    let mut outcomes = 0;
    for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
        outcomes += 1;
        let is_fetched =
            serde_json::from_str::<Value>(&line).is_ok_and(|outcome| outcome["error"].is_null());
        failed.fetch_add(u64::from(!is_fetched), Ordering::Relaxed);
    }
    outcomes
}

impl Soaked for Fetcher {
    fn name(&self) -> &'static str {
        "api-client"
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn wrong(&mut self) -> Result<Option<String>> {
        let failed = self.failed.load(Ordering::Relaxed);
        Ok((failed > 0).then(|| format!("{failed} requests failed")))
    }

    fn end(mut self: Box<Self>) -> Result<(String, Option<String>)> {
        self.stopped.store(true, Ordering::Relaxed);
        let panicked = |_| "a thread of the soak panicked";
        let asked = self.writer.join().map_err(panicked)?; // and with it stdin is closed
        let outcomes = self.reader.join().map_err(panicked)?;
        let status = self.child.wait()?;
        let failed = self.failed.load(Ordering::Relaxed);
        let is_well = status.success() && asked == outcomes && failed == 0;
        let work = format!("{outcomes} requests");
        Ok((work, (!is_well).then(|| format!("{status}, {asked} asked, {failed} failed"))))
    }
}
