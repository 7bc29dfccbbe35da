//! `data-pipeline` with generated events, lines over TCP from connections that come and go, windows,
//! a checkpoint, and its metrics looked at.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attacks::{Programs, Result, Running};
use rustix::process::Signal;
use tempfile::TempDir;

use super::Soaked;

/// The pause between two connections.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that come over each connection.
const LINES: u64 = 500;

pub struct Pipe {
    running: Running,
    http: String,
    feeder: Feeder,
    _dir: TempDir,
}

/// Connects, brings some lines, hangs up, over and over.
struct Feeder {
    stopped: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Pipe {
    pub fn start(programs: &Programs) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (listen, http) = (free_address()?, free_address()?);
        let args =
            ["run", "--generate", "2", "--rate", "5000", "--listen", &listen, "--http", &http];
        let job =
            ["--by", "service", "--p", "latency_ms", "--window", "1s", "--where", "status>=500"];
        let sinks = ["--out", "/dev/null", "--aggregates", "win", "--dead-letters", "dead"];
        let args = [&args[..], &job, &sinks, &["--checkpoint", "ck", "--idle", "2s"]].concat();
        let mut running = programs.start("data-pipeline", &args, dir.path())?;
        let is_there =
            || get(&http, "/metrics").is_ok_and(|text| text.contains("ledger_imbalance"));
        running.until("the metrics", is_there)?;
        Ok(Self { running, http, feeder: Feeder::start(listen), _dir: dir })
    }
}

impl Soaked for Pipe {
    fn name(&self) -> &'static str {
        "data-pipeline"
    }

    fn id(&self) -> u32 {
        self.running.id()
    }

    fn wrong(&mut self) -> Result<Option<String>> {
        let metrics = get(&self.http, "/metrics")?;
        let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(match value("ledger_imbalance ") {
            Some("0") => None,
            imbalance => Some(format!("imbalance {imbalance:?}: {metrics}")),
        })
    }

    fn end(self: Box<Self>) -> Result<(String, Option<String>)> {
        let sent = self.feeder.stop();
        self.running.signal(Signal::TERM);
        let ended = self.running.wait()?;
        let read = ended.stderr.split("read ").nth(1).and_then(|rest| rest.split(' ').next());
        let read: u64 = read.and_then(|read| read.parse().ok()).unwrap_or_default();
        let balanced = ended.status == Some(0) && ended.stderr.contains("imbalance 0");
        let wrong =
            (!balanced || read < sent).then(|| format!("{:?}, {}", ended.status, ended.stderr));
        Ok((format!("{read} events, {} connections", sent / LINES), wrong))
    }
}

impl Feeder {
    fn start(address: String) -> Self {
        let (stopped, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, count) = (stopped.clone(), sent.clone());
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if bring(&address).is_ok() {
                    count.fetch_add(LINES, Ordering::Relaxed);
                }
                sleep(PAUSE);
            }
        });
        Self { stopped, sent, thread }
    }

    fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = self.thread.join(); // it has nothing to panic about
        sleep(Duration::from_secs(1)); // for what is on its way
        self.sent.load(Ordering::Relaxed)
    }
}

/// Now and then a line is invalid, and every connection has its own keys.
fn bring(address: &str) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let mut text = String::new();
    for n in 0..LINES {
        let line = format!(
            "{{\"ts\":{now},\"service\":\"tcp-{}\",\"status\":{},\"latency_ms\":{n}}}\n",
            n % 20,
            400 + n
        );
        text.push_str(if n == 7 { "not json\n" } else { &line });
    }
    TcpStream::connect(address)?.write_all(text.as_bytes())?;
    Ok(())
}

fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
