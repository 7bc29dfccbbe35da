//! What passes between stages: chunks, never single events.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::budget::Share;
use super::file::{FileRecord, Fingerprint};
use super::ledger::Held;
use crate::data_pipeline::event::output::Parsed;
use crate::data_pipeline::event::splitter::Segment;

/// The bytes of one read: larger chunks are no faster, and take more memory.
pub(crate) const CHUNK: usize = 256 * 1024;

/// A stretch of a source on its way to the workers.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) tag: Tag,
    pub(crate) segment: Segment,
}

/// A job for a worker: it produces the chunks to parse, perhaps by reading them. A worker parses
/// what it has read, so that the bytes are still in its cache.
pub(crate) type Work = Box<dyn FnOnce() -> Vec<Chunk> + Send>;

/// Where a chunk comes from, and what it holds until it is accounted for. It travels with the chunk
/// from stage to stage.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) feed: u64,
    /// The chunk's number in its feed, from 0.
    pub(crate) sequence: u64,
    pub(crate) origin: Arc<Origin>,
    pub(crate) held: Held,
    /// Shared by the chunks of one read.
    pub(crate) _share: Arc<Share>,
    /// When it was read.
    pub(crate) born: Instant,
    /// For a source that waits until the chunk is safe.
    pub(crate) ack: Option<Ack>,
    /// The source ends with this chunk.
    pub(crate) last: bool,
    /// What had been read of the file up to the end of this chunk, if it is from a file.
    pub(crate) read: Option<Fingerprint>,
}

/// The source of a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The name in ids and dead letters: with its generation, if that is not the first.
    pub(crate) name: String,
    /// Whether reading it comes to an end: then other sources may wait for it.
    pub(crate) finite: bool,
    /// The file, if it is one: it can be read again from a position.
    pub(crate) file: Option<FileRecord>,
}

/// A chunk parsed.
#[derive(Debug)]
pub(crate) struct ParsedChunk {
    pub(crate) tag: Tag,
    pub(crate) parsed: Parsed,
}

/// Tells a source that a checkpoint holds the results of a message.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) sequence: u64,
    pub(crate) committed: mpsc::Sender<u64>,
}

impl Ack {
    pub(crate) fn send(self) {
        // If the source is too far behind, the message comes again: at least once.
        let _ = self.committed.try_send(self.sequence);
    }
}
