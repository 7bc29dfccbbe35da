use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Poll, ready};

use futures_util::{FutureExt, Stream, StreamExt, future, stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

use super::Request;

/// The longest line in bytes; a longer one is reported as invalid.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// Most batches of requests that wait between the reader and the client, and most requests in a
/// batch.
const BATCHES_AHEAD: usize = 4;
const LARGEST_BATCH: usize = 64;

/// Where requests are read from.
pub(in crate::api_client) struct Input {
    reader: Box<dyn Read + Send>,
    /// Whether a read may wait for a writer, as on a pipe: such an input is abandoned when the run
    /// ends. A file ends by itself.
    waits: bool,
}

impl Input {
    pub(in crate::api_client) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { reader: Box::new(io::stdin()), waits: true });
        }
        let file = File::open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { reader: Box::new(file), waits: !kind.is_file() })
    }

    /// Reads requests on a thread of its own, a bounded number ahead, until the input ends or `end`
    /// comes.
    pub(in crate::api_client) fn requests(
        self,
        end: impl Future<Output = ()> + Send + 'static,
        defaults: Request,
    ) -> impl Stream<Item = Request> + Send {
        let (sender, receiver) = channel(BATCHES_AHEAD);
        let Self { reader, waits } = self;
        let thread = spawn_blocking(move || read_all(reader, &sender, &defaults));
        let requests = receive(receiver, thread);
        let end = if waits { end.left_future() } else { future::pending().right_future() };
        requests.take_until(end)
    }
}

/// The requests from the thread, and after the last one its panic, if it had one. (Written by hand:
/// each combinator would move each request once or twice more.)
fn receive(
    mut receiver: Receiver<Vec<Request>>,
    mut thread: JoinHandle<()>,
) -> impl Stream<Item = Request> + Send {
    let mut batch = Vec::new().into_iter();
    stream::poll_fn(move |cx| {
        loop {
            if let Some(request) = batch.next() {
                return Poll::Ready(Some(request));
            }
            if let Some(next) = ready!(receiver.poll_recv(cx)) {
                batch = next.into_iter();
            } else if let Err(err) = ready!(Pin::new(&mut thread).poll(cx)) {
                std::panic::resume_unwind(err.into_panic()); // the thread is never aborted
            } else {
                return Poll::Ready(None);
            }
        }
    })
    .fuse()
}

/// Sends a request for each line until the input ends or the receiver is gone. Lines that are there
/// are sent together; none waits for a later one.
fn read_all(reader: impl Read, sender: &Sender<Vec<Request>>, defaults: &Request) {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let mut batch = Vec::new();
    for number in 1.. {
        if batch.len() == LARGEST_BATCH || !reader.buffer().contains(&b'\n') {
            let full = std::mem::take(&mut batch);
            if !full.is_empty() && sender.blocking_send(full).is_err() {
                return;
            }
        }
        let request = match read_line(&mut reader) {
            Ok(None) => break,
            Ok(Some(line)) => match parse(&line, number, defaults) {
                Some(request) => request,
                None => continue,
            },
            Err(err) => {
                batch.push(Request::invalid("", format!("line {number}: cannot be read: {err}")));
                break;
            }
        };
        batch.push(request);
    }
    drop(sender.blocking_send(batch)); // without a receiver nothing is lost
}

/// A line without its end, cut off where it is too long; `None` at the end of the input.
pub(in crate::api_client) fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_none() && line.len() as u64 == LONGEST_LINE {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// Blank lines and those with `#` in front are not requests.
pub(in crate::api_client) fn parse(
    line: &[u8],
    number: usize,
    defaults: &Request,
) -> Option<Request> {
    if line.len() as u64 >= LONGEST_LINE {
        let why = format!("line {number}: longer than {LONGEST_LINE} bytes");
        return Some(Request::invalid(&String::from_utf8_lossy(&line[..100]), why));
    }
    let Ok(text) = std::str::from_utf8(line) else {
        let why = format!("line {number}: not UTF-8");
        return Some(Request::invalid(&String::from_utf8_lossy(line), why));
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    let skipped = text.is_empty() || text.starts_with('#');
    (!skipped).then(|| Request::from_line(text, number, defaults))
}
