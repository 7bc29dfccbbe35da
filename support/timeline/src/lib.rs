//! The picture of a run: one lane for each worker, one bar for each piece of work.
//!
//! [`bar`] opens a bar, and dropping it closes it; [`moment`] draws a vertical line. A bar is a
//! `tracing` span and a moment an event, so both cost next to nothing without a recorder, and other
//! subscribers see them as well. With the feature
//! `record`, `RecordFlags` gives a program `--timeline FILE.svg` and `--trace FILE.json`.
//!
//! The programs take this from `common`, which passes on what they need.

mod bar;
#[cfg(feature = "record")]
mod collect;
#[cfg(feature = "record")]
mod picture;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "record")]
mod trace;

pub use bar::{Ending, Work, bar, moment};
#[cfg(feature = "record")]
pub use record::RecordFlags;
