//! Stdin, as a stream that is read once.

use tokio::io::{AsyncReadExt, stdin};

use super::{Feed, Stopped};
use crate::data_pipeline::event::splitter::{Parts, Splitter};
use crate::data_pipeline::state::chunk::CHUNK;

/// Reads stdin to its end. If the run stops, the beginning of an unfinished line is not an event.
pub(crate) async fn run(mut feed: Feed) -> Result<(), Stopped> {
    let mut stream = stdin();
    let mut splitter = Splitter::new(0, Parts::default(), feed.inlet.framing);
    loop {
        let share = feed.room().await?;
        let mut buffer = splitter.buffer();
        buffer.reserve(CHUNK);
        let mut limited = (&mut stream).take(CHUNK as u64);
        let read = feed.inlet.ctx.run(limited.read_buf(&mut buffer)).await?;
        if read.map_err(|err| Stopped::Failed(format!("cannot read stdin: {err}")))? == 0 {
            splitter.push(buffer);
            let rest = splitter.finish();
            return Ok(feed.finish(rest).await?);
        }
        let _bar = feed.bar(splitter.position());
        let segments = splitter.push(buffer);
        feed.send(segments, share, None);
    }
}
