//! Lines to a TCP server. While it is down, the connection is retried, and a batch that was cut off
//! is sent again: each line arrives at least once, with its id.
//!
//! TCP does not tell what the other side has read. Lines that it had received and lost when it went
//! down are not sent again: that is the loss window of plain TCP.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::data_pipeline::monitor::stats::Count;
use crate::data_pipeline::monitor::warnings::warn;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The pause before the next attempt to connect: at first, and at most. It doubles in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

#[derive(Debug)]
pub(crate) struct Tcp {
    address: String,
    stream: Option<TcpStream>,
}

impl Tcp {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Returns when the system has taken the whole batch, however long that takes.
    pub(crate) async fn write(&mut self, bytes: &[u8], errors: &Count) {
        let mut pause = PAUSES.0;
        loop {
            if self.try_write(bytes).await.is_ok() {
                return;
            }
            errors.add(1);
            if self.stream.take().is_some() || pause == PAUSES.0 {
                warn(format_args!("no connection to tcp://{}; trying again", self.address));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.stream.as_ref().is_some_and(is_closed) {
            self.stream = None;
        }
        if self.stream.is_none() {
            self.stream = Some(timeout(CONNECT, TcpStream::connect(&self.address)).await??);
        }
        match &mut self.stream {
            Some(stream) => stream.write_all(bytes).await,
            None => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// Whether the other side has closed the connection, checked before a batch is written and lost.
fn is_closed(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(err) => err.kind() != ErrorKind::WouldBlock,
    }
}
