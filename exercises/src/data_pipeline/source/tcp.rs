//! Lines over TCP: each connection is a source of its own, so that none makes another's events
//! late. If a connection ends in mid-line, that line is still an event.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use common::Cause;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Feed, Inlet, Stopped};
use crate::data_pipeline::event::splitter::{Parts, Splitter};
use crate::data_pipeline::monitor::warnings::warn;

/// Connections that are served at once; the next ones wait in the listener's backlog.
const CONNECTIONS: usize = 4096;

/// Most bytes of one read: it takes what a connection has, and never waits for more.
const READ: usize = 64 * 1024;

/// Most bytes of all unfinished lines together, so that thousands of connections that each send
/// half a line cannot take all memory. The connection that would exceed it is closed.
const UNFINISHED: usize = 8 << 20;

/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection is closed after this time without a byte. Otherwise dead peers would finally take
/// all places.
const IDLE: Duration = Duration::from_hours(1);

/// Accepts connections until the run stops.
pub(crate) async fn run(
    inlet: Arc<Inlet>,
    component: String,
    listener: TcpListener,
) -> Result<(), Stopped> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let unfinished = Arc::new(Semaphore::new(UNFINISHED));
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    let stopped = loop {
        let accepted = inlet.ctx.run(async {
            let place = places.clone().acquire_owned().await.expect("it is never closed");
            (place, listener.accept().await)
        });
        let (place, stream) = match accepted.await {
            Err(cause) => break cause,
            Ok((place, Ok((stream, _)))) => (place, stream),
            Ok((_, Err(err))) => {
                // There are no descriptors left, or the client has gone: the next connection may
                // succeed.
                warn(format_args!("cannot accept a connection: {err}"));
                match inlet.ctx.run(sleep(PAUSE)).await {
                    Ok(()) => continue,
                    Err(cause) => break cause,
                }
            }
        };
        number += 1;
        let name =
            stream.peer_addr().map_or("tcp".to_owned(), |peer| format!("tcp:{peer}#{number}"));
        let (feed, unfinished) = (inlet.stream(&component, &name), unfinished.clone());
        connections.spawn(async move {
            let _place = place;
            serve(feed, stream, &unfinished).await
        });
        while let Some(ended) = connections.try_join_next() {
            joined(ended)?;
        }
    };
    while let Some(ended) = connections.join_next().await {
        joined(ended)?;
    }
    Err(stopped.into())
}

/// A connection that the end of the run has cut short is not a failure.
fn joined(ended: Result<Result<(), Cause>, JoinError>) -> Result<(), Stopped> {
    ended.map(drop).map_err(|err| Stopped::Failed(err.to_string()))
}

/// Reads one connection to its end.
async fn serve(
    mut feed: Feed,
    stream: TcpStream,
    unfinished: &Arc<Semaphore>,
) -> Result<(), Cause> {
    let mut splitter = Splitter::new(0, Parts::default(), feed.inlet.framing);
    let mut held: Option<OwnedSemaphorePermit> = None;
    loop {
        // An idle connection holds no buffer and no share of the budget.
        let readable = timeout(IDLE, stream.readable());
        let ready = feed.inlet.ctx.run(readable).await?.unwrap_or_else(|late| Err(late.into()));
        let share = feed.room().await?;
        let _bar = feed.bar(splitter.position());
        let mut buffer = splitter.buffer();
        let read = ready.and_then(|()| read(&stream, &mut buffer));
        let segments = splitter.push(buffer);
        match read {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => continue,
            // The connection was cut or closed: what came before that counts.
            Ok(0) | Err(_) => return feed.finish(splitter.finish()).await,
            Ok(_) => feed.send(segments, share, None),
        }
        drop(held.take());
        let carried = u32::try_from(splitter.carried()).unwrap_or(u32::MAX);
        let Ok(permit) = unfinished.clone().try_acquire_many_owned(carried) else {
            warn(format_args!("{} closed: too many unfinished lines", feed.origin.name));
            return feed.finish(splitter.finish()).await;
        };
        held = Some(permit);
    }
}

/// Takes what is there now.
fn read(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut part = Vec::with_capacity(READ);
    let read = stream.try_read_buf(&mut part)?;
    buffer.extend_from_slice(&part);
    Ok(read)
}
