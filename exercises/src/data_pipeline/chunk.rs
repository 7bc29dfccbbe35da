//! What crosses the edges: chunks, never single events.

use std::sync::Arc;
use std::time::Instant;

use super::budget::Share;
use super::checkpoint::FileId;
use super::ledger::Held;
use super::source::Ack;
use super::splitter::Piece;
use super::windows::Rows;

/// So much is read at once: larger chunks are no faster, and take more memory.
pub(crate) const CHUNK: usize = 256 * 1024;

/// A stretch of a source, on its way to the workers.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) tag: Tag,
    pub(crate) piece: Piece,
}

/// What the workers are given: it makes the chunks to parse, which may mean to read them. A worker
/// goes on with what it has read, so that the bytes are still in its cache.
pub(crate) type Work = Box<dyn FnOnce() -> Vec<Chunk> + Send>;

/// Where a chunk comes from, and what it holds until it is settled. It goes along with the chunk
/// from stage to stage.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) lane: u64,
    /// In its lane, from 0.
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
}

/// A source as its chunks name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// As a checkpoint knows it.
    pub(crate) source: String,
    /// As ids and dead letters name it: with its generation, if that is not the first.
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) file: FileId,
    /// Whether it has an end that it comes to when it is read: then others may wait for it.
    pub(crate) finite: bool,
    /// Files that were read under this name before.
    pub(crate) retired: Vec<FileId>,
    /// Whether it can be read again from an offset: then its position is worth saving.
    pub(crate) replayable: bool,
}

/// A chunk parsed.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) tag: Tag,
    /// Behind the last byte.
    pub(crate) end: u64,
    /// How many parts of an overlong line end here, if it goes on.
    pub(crate) parts: u64,
    pub(crate) filtered: u64,
    pub(crate) dead: u64,
    pub(crate) accepted: u64,
    /// The accepted lines as they were.
    pub(crate) plain: Vec<u8>,
    /// The accepted lines, each with its id.
    pub(crate) tagged: Vec<u8>,
    /// Dead letters, one line of JSON each.
    pub(crate) letters: Vec<u8>,
    pub(crate) rows: Rows,
    /// For each condition how many events it has seen, and how many met it.
    pub(crate) met: Vec<(u64, u64)>,
}
