//! Buffers that are used again: they go from the sources to the workers and back. Fresh ones would
//! cost a page fault for every 4 KiB that is read.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::data_pipeline::state::chunk::CHUNK;

/// Most buffers that wait to be used again: no more are in flight at once.
const BUFFERS: usize = 24;

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    give: Sender<Vec<u8>>,
    take: Receiver<Vec<u8>>,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let (give, take) = bounded(BUFFERS);
        Self { give, take }
    }

    /// A buffer of any length, with old bytes in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.take.try_recv().unwrap_or_default()
    }

    /// Takes a buffer back, unless it is small or an overlong line has made it large.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        if (CHUNK / 2..=CHUNK * 2).contains(&buffer.capacity()) {
            let _ = self.give.try_send(buffer); // full: it is freed
        }
    }
}
