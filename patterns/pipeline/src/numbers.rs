//! What flows through the chapter's pipeline: numbers, and errors in their places.

use std::error::Error;

/// A number, or why there is none. An error takes its number's place and flows on to the end, so
/// that nothing else is lost and the order stays.
pub type Item = Result<i64, Box<ItemError>>;

/// Why an item is not a number.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// The square is beyond an `i64`.
    #[error("{0} * {0} does not fit into 64 bits")]
    Square(i64),
    /// The sum is beyond an `i64`.
    #[error("{0} + {1} does not fit into 64 bits")]
    Sum(i64, i64),
    /// The source could not make a number of its input.
    #[error(transparent)]
    Source(Box<dyn Error + Send + Sync>),
}
