//! Stands in for crossbeam, whose channels park real threads: the same promises, made of the
//! checker's lock. Without rendezvous channels: a channel of 0 can be disconnected, not sent to.

pub mod channel;
mod select;
pub mod sync;
