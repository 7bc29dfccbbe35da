use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use crate::Result;

/// A web server on the loopback interface that answers `ok` after a while, until it is dropped. The
/// path asks for other behaviour: `/503/…` fails the first time, `/429/…` rejects it, `/reset/…`
/// hangs up.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    hits: Arc<Mutex<HashMap<String, u64>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one that takes `delay` for each answer. It counts the requests only if `counts` is
    /// set.
    pub fn start(delay: Duration, counts: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (hits, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let state = (Arc::clone(&hits), stopped.clone());
        let thread = thread::spawn(move || {
            let (hits, stopped) = state;
            thread::scope(|scope| {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let hits = &hits;
                    // Errors of a connection concern only its client, so they are ignored.
                    scope.spawn(move || stream.map(|stream| serve(&stream, delay, hits, counts)));
                }
            });
        });
        Ok(Self { address, hits, stopped, thread: Some(thread) })
    }

    /// The URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often it was asked for `url`.
    pub fn hits(&self, url: &str) -> u64 {
        let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        path.and_then(|path| hits.get(path)).copied().unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address)); // wakes it up
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    stream: &TcpStream,
    delay: Duration,
    hits: &Mutex<HashMap<String, u64>>,
    counts: bool,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let kind = path.split('/').nth(1).unwrap_or_default().to_owned();
        let first = {
            let mut hits = hits.lock().unwrap_or_else(PoisonError::into_inner);
            let hit = hits.entry(path.clone()).or_default();
            *hit += 1;
            let first = *hit == 1;
            let over = !first || !matches!(kind.as_str(), "503" | "429" | "reset");
            if !counts && over {
                hits.remove(&path); // or it would grow with every request
            }
            first
        };
        sleep(delay);
        let status = match kind.as_str() {
            "503" if first => "503 Service Unavailable\r\nX-Kind: fault",
            "429" if first => "429 Too Many Requests\r\nRetry-After: 1",
            "reset" if first => return Ok(()),
            _ => "200 OK",
        };
        write!(&*stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok")?;
    }
}
