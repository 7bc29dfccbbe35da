//! A local server that misbehaves on purpose. The path says how.

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How often each path was asked for; the empty path counts the connections.
type Hits = Arc<Mutex<HashMap<String, u32>>>;

/// Listens on the loopback until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    hits: Hits,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let (ready, listens) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let hits = Hits::default();
        let counted = hits.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::bind(address).await.expect("a free port");
                ready.send(listener.local_addr().expect("an address")).expect("a test waits");
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, counted) => {}
                }
            });
        });
        let address = listens.recv().expect("the server starts");
        Self { address, hits, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often `path` was asked for.
    pub(crate) fn hits(&self, path: &str) -> u32 {
        self.hits.lock().expect("no panic").get(path).copied().unwrap_or(0)
    }

    /// How many bytes of a large file were sent.
    pub(crate) fn sent_of(&self, path: &str) -> usize {
        self.hits(&format!("sent {path}")) as usize
    }

    /// How many requests asked for the rest of a file, and got it.
    pub(crate) fn ranges(&self) -> u32 {
        self.hits("ranges")
    }

    pub(crate) fn connections(&self) -> u32 {
        self.hits("")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(thread::JoinHandle::join);
    }
}

async fn accept(listener: TcpListener, hits: Hits) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        *hits.lock().expect("no panic").entry(String::new()).or_default() += 1;
        // Ends with the connection, or with the runtime of this server.
        tokio::spawn(serve(stream, hits.clone()));
    }
}

async fn serve(stream: TcpStream, hits: Hits) {
    let mut stream = BufReader::new(stream);
    while let Some((path, headers)) = read_head(&mut stream).await {
        let hit = {
            let mut hits = hits.lock().expect("no panic");
            let hit = hits.entry(path.clone()).or_default();
            *hit += 1;
            *hit
        };
        let stream = stream.get_mut();
        if answer(stream, &hits, &path, &headers, hit).await.is_none() {
            return;
        }
    }
}

/// The path, and all of the head in lower case.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    if let Some(length) = length.and_then(|length| length.parse().ok()) {
        stream.read_exact(&mut vec![0; length]).await.ok()?;
    }
    Some((path, head))
}

/// `None` ends the connection.
async fn answer(
    stream: &mut TcpStream,
    hits: &Hits,
    path: &str,
    head: &str,
    hit: u32,
) -> Option<()> {
    let (kind, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match kind {
        "many-headers" => {
            let many: Vec<_> = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
            status(stream, "200 OK", &many.concat()).await
        }
        "folded" => status(stream, "200 OK", "X-Long: a\r\n  b\r\n").await,
        "nowhere" if rest == "empty" => redirect(stream, "").await,
        "nowhere" => status(stream, "302 Found", "").await,
        "raw-location" => redirect(stream, "/ziel/\u{fc}").await,
        "see-other" => status(stream, "303 See Other", &format!("Location: /{rest}\r\n")).await,
        "signed" => redirect(stream, "/files/photo.jpg?signature=secret").await,
        "breaks" => part(stream, hits, path, head, "v1", Some(4 << 20)).await,
        "snaps" => part(stream, hits, path, head, "v1", Some(100_000)).await,
        "cut" => {
            let mut numbers = rest.split(['/', '?']);
            let (length, sent) = (numbers.next()?, numbers.next()?);
            let head =
                format!("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: {length}\r\n\r\n");
            write(stream, &head).await?;
            stream.write_all(&large(0..sent.parse().ok()?)).await.ok()?;
            (sent == length).then_some(())
        }
        "changes" | "restarts" if hit == 1 || kind == "restarts" => {
            let old = format!("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: {LARGE}\r\n\r\n");
            write(stream, &(old + &"x".repeat(4 << 20))).await?;
            None
        }
        "changes" => part(stream, hits, path, head, "v2", None).await,
        "stalls" if hit == 1 => {
            part(stream, hits, path, head, "v1", Some(4 << 20)).await;
            pending().await
        }
        "stalls" => part(stream, hits, path, head, "v1", None).await,
        "odd" => odd_rest(stream, rest, head, hit).await,
        "reset-before" if hit == 1 => reset(stream),
        "reset-in-body" if hit == 1 => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
            reset(stream)
        }
        "hang-up" => {
            status(stream, "200 OK", "").await?;
            None
        }
        "truncated" => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
            None
        }
        "endless" => {
            write(stream, "HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                write(stream, &"x".repeat(8192)).await?;
            }
        }
        "trickle" => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await?;
            loop {
                write(stream, "x").await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        "silent" => pending().await,
        "loop" => redirect(stream, path).await,
        "to" => redirect(stream, &format!("http://{rest}")).await,
        "post" if hit == 1 => status(stream, "500 Internal Server Error", "").await,
        "retry-after" if hit == 1 => {
            let wait = rest.replace("%20", " ");
            status(stream, "429 Too Many Requests", &format!("Retry-After: {wait}\r\n")).await
        }
        "storm" => status(stream, "429 Too Many Requests", "").await,
        "outage" => status(stream, "503 Service Unavailable", "").await,
        "half" if hit % 2 == 1 => status(stream, "503 Service Unavailable", "").await,
        "authorized" if !head.contains("authorization: ") => {
            status(stream, "401 Unauthorized", "").await
        }
        "misdirected" if hit == 1 => status(stream, "421 Misdirected Request", "").await,
        "told-length" if !head.contains("content-length: ") => {
            status(stream, "411 Length Required", "").await
        }
        "missing" => status(stream, "404 Not Found", "").await,
        "big" => {
            let body = "x".repeat(256 * 1024);
            write(stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))
                .await?;
            write(stream, &body).await
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            status(stream, "200 OK", "").await
        }
        _ => status(stream, "200 OK", "").await,
    }
}

/// The length and the content of what `part` sends.
pub(crate) const LARGE: usize = 24 * 1024 * 1024;

pub(crate) fn large(range: Range<usize>) -> Vec<u8> {
    range.map(|n| (n * 31 % 251) as u8).collect()
}

/// A large file, or the rest of it, but no more than `most` of it before the connection ends.
async fn part(
    stream: &mut TcpStream,
    hits: &Hits,
    path: &str,
    head: &str,
    tag: &str,
    most: Option<usize>,
) -> Option<()> {
    let field = |name: &str| head.split(name).nth(1).and_then(|rest| rest.lines().next());
    let same = field("if-range: ").is_none_or(|given| given == format!("\"{tag}\""));
    let from = field("range: bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
    let from: usize = from.filter(|_| same).unwrap_or(0);
    let (line, range) = match from {
        0 => ("200 OK", String::new()),
        _ => (
            "206 Partial Content",
            format!("Content-Range: bytes {from}-{}/{LARGE}\r\n", LARGE - 1),
        ),
    };
    let left = LARGE - from;
    let head =
        format!("HTTP/1.1 {line}\r\nETag: \"{tag}\"\r\n{range}Content-Length: {left}\r\n\r\n");
    write(stream, &head).await?;
    let send = most.unwrap_or(left).min(left);
    {
        let mut hits = hits.lock().expect("no panic");
        *hits.entry(format!("sent {path}")).or_default() += send as u32;
        *hits.entry("ranges".to_owned()).or_default() += u32::from(from > 0);
    }
    stream.write_all(&large(from..from + send)).await.ok()?;
    (send == left).then_some(())
}

/// The length of what `odd_rest` sends.
pub(crate) const ODD: usize = 2_000_000;

/// `HOW/...`: a file whose first answer breaks off after two thirds, or stalls there if the path
/// says so, and an answer of this kind to each request for the rest.
async fn odd_rest(stream: &mut TcpStream, path: &str, head: &str, hit: u32) -> Option<()> {
    let how = path.split('/').next()?;
    let range = head.split("range: bytes=").nth(1).and_then(|range| range.split('-').next());
    let from: usize = range.map_or(Some(0), |from| from.parse().ok())?;
    let (mut start, mut end, mut total, mut tag) = (from, ODD, ODD, "v1");
    match how {
        _ if range.is_none() && how != "pieces" => {}
        "less" | "pieces" => end = ODD.min(from + 50_000),
        "earlier" => start -= 1000,
        "longer" => (end, total) = (ODD + 10, ODD + 10),
        "changed" => tag = "v2",
        _ => {}
    }
    let mut body = large(start..end);
    let mut headers = format!("Content-Range: bytes {start}-{}/{total}\r\n", end - 1);
    if range.is_some() && how == "unnamed" {
        headers.clear();
    } else if range.is_some() && how == "several" {
        let inner = format!("--B\r\n{headers}\r\n");
        body = [inner.as_bytes(), &body, b"\r\n--B--\r\n"].concat();
        headers = "Content-Type: multipart/byteranges; boundary=B\r\n".into();
    }
    let partial = range.is_some() || how == "pieces";
    let status = if partial { "206 Partial Content" } else { "200 OK" };
    headers = if partial { headers } else { String::new() };
    let length = if how == "shorter" && partial { 600_000 } else { body.len() };
    write(stream, &format!("HTTP/1.1 {status}\r\nETag: \"{tag}\"\r\n{headers}")).await?;
    write(stream, &format!("Content-Length: {length}\r\n\r\n")).await?;
    let breaks = hit == 1 && how != "pieces";
    stream.write_all(&body[..if breaks { ODD * 2 / 3 } else { length }]).await.ok()?;
    if breaks && path.contains("stalls") {
        pending::<()>().await;
    }
    (!breaks).then_some(())
}

async fn redirect(stream: &mut TcpStream, to: &str) -> Option<()> {
    status(stream, "302 Found", &format!("Location: {to}\r\n")).await
}

async fn status(stream: &mut TcpStream, status: &str, headers: &str) -> Option<()> {
    write(stream, &format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 2\r\n\r\nok")).await
}

async fn write(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).await.ok()
}

/// Ends the connection with a reset instead of an orderly end.
fn reset(stream: &TcpStream) -> Option<()> {
    stream.set_zero_linger().expect("a TCP socket");
    None
}
