//! The state of a run: where each event is (the ledger), the chunks and their bytes, and how far
//! each source was read, in memory and in the checkpoint.

pub(crate) mod budget;
pub(crate) mod checkpoint;
pub(crate) mod chunk;
pub(crate) mod feeds;
pub(crate) mod file;
pub(crate) mod ledger;
pub(crate) mod order;
