use std::time::Duration;

use rand::{Rng, RngExt};

/// How many of the tasks fail.
pub const FAILURE_RATE: f32 = 0.3;

/// The others take a random time below this.
pub const MAX_MILLIS: u64 = 500;

/// What can go wrong in the chapter's work.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("random processing error")]
pub struct ProcessingError(#[from] pub Unlucky);

/// Why it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("drew {0:.3}, and what is below {FAILURE_RATE} fails")]
pub struct Unlucky(pub f32);

/// How long a piece of work takes, unless it fails at once.
pub fn draw(rng: &mut impl Rng) -> Result<Duration, ProcessingError> {
    match rng.random::<f32>() {
        draw if draw < FAILURE_RATE => Err(Unlucky(draw).into()),
        _ => Ok(Duration::from_millis(rng.random_range(0..MAX_MILLIS))),
    }
}
