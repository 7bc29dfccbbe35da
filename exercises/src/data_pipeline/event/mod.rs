//! One event: from the bytes of a chunk to its fields, through conditions and formulas, to what
//! goes out.

pub(crate) mod container;
pub(crate) mod expr;
pub(crate) mod form;
pub(crate) mod job;
mod keys;
mod marks;
mod number;
pub(crate) mod output;
pub(crate) mod parse;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod splitter;
pub(crate) mod time;
pub(crate) mod value;
