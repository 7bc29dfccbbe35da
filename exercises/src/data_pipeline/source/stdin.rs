//! Stdin, as a stream that is read once.

use tokio::io::{AsyncRead, AsyncReadExt, stdin};

use super::{Feed, Stopped};
use crate::data_pipeline::chunk::CHUNK;
use crate::data_pipeline::splitter::Splitter;

/// Reads stdin to its end.
pub(crate) async fn run(feed: Feed) -> Result<(), Stopped> {
    read(feed, stdin()).await
}

/// What there is of a last line when the run stops is not an event.
async fn read(mut feed: Feed, mut stream: impl AsyncRead + Unpin) -> Result<(), Stopped> {
    let mut splitter = Splitter::new(0, 0, feed.max_line());
    loop {
        let share = feed.room().await?;
        let mut buffer = splitter.buffer();
        buffer.reserve(CHUNK);
        let mut limited = (&mut stream).take(CHUNK as u64);
        let read = feed.ctx().run(limited.read_buf(&mut buffer)).await?;
        if read.map_err(|err| Stopped::Failed(format!("cannot read stdin: {err}")))? == 0 {
            splitter.push(buffer);
            let rest = splitter.finish();
            return Ok(feed.finish(rest).await?);
        }
        let _bar = feed.bar(splitter.position());
        let pieces = splitter.push(buffer);
        feed.send(pieces, share);
    }
}
