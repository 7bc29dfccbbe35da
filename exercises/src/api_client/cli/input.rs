use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use futures_util::{Stream, StreamExt, future, stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

use common::Context;

use crate::api_client::Request;

/// A line that is longer is no request.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// How many requests wait between the reader and the client.
const LINES_AHEAD: usize = 256;

/// Where requests are read from.
pub(super) enum Input {
    /// Comes to its end by itself.
    File(File),
    /// May wait for somebody to type, and is left when the run ends.
    Stdin,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdin);
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::File(file))
    }

    /// Reads requests on a thread of its own, a bounded number ahead.
    pub(super) fn requests(
        self,
        ctx: &Context,
        defaults: Request,
    ) -> impl Stream<Item = Request> + Send + use<> {
        let (sender, receiver) = channel(LINES_AHEAD);
        let (reader, ctx): (Box<dyn Read + Send>, _) = match self {
            Self::File(file) => (Box::new(file), None),
            Self::Stdin => (Box::new(io::stdin()), Some(ctx.clone())),
        };
        let thread = spawn_blocking(move || read_all(reader, &sender, &defaults));
        let joined = stream::once(async move {
            if let Err(err) = thread.await {
                std::panic::resume_unwind(err.into_panic()); // the thread is never aborted
            }
            None
        });
        let requests = receive(receiver).map(Some).chain(joined).filter_map(future::ready);
        // A read of stdin cannot be interrupted: its thread is left to itself.
        requests.take_until(async move {
            match ctx {
                Some(ctx) => drop(ctx.done().await),
                None => future::pending().await,
            }
        })
    }
}

fn receive(mut receiver: Receiver<Request>) -> impl Stream<Item = Request> + Send {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// Sends a request for each line until the input or the interest in it ends.
fn read_all(reader: impl Read, sender: &Sender<Request>, defaults: &Request) {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    for number in 1.. {
        let request = match read_line(&mut reader) {
            Ok(None) => return,
            Ok(Some(line)) => match parse(&line, number, defaults) {
                Some(request) => request,
                None => continue,
            },
            Err(err) => {
                let last = Request::invalid("", format!("line {number}: cannot be read: {err}"));
                drop(sender.blocking_send(last));
                return;
            }
        };
        if sender.blocking_send(request).is_err() {
            return;
        }
    }
}

/// A line without its end, cut off where it is too long; `None` at the end of the input.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
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

/// Blank lines and those with `#` in front are no requests.
fn parse(line: &[u8], number: usize, defaults: &Request) -> Option<Request> {
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
