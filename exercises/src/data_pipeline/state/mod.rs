//! Where everything is: each event (the ledger), each chunk and its bytes, and how far each source
//! has come, in memory and in the checkpoint.

pub(crate) mod budget;
pub(crate) mod checkpoint;
pub(crate) mod chunk;
pub(crate) mod feeds;
pub(crate) mod file;
pub(crate) mod ledger;
pub(crate) mod order;
