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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn what_is_drawn_below_the_rate_fails_and_the_rest_takes_its_time() {
        for seed in 0..1000 {
            let drawn = StdRng::seed_from_u64(seed).random::<f32>();
            match draw(&mut StdRng::seed_from_u64(seed)) {
                Err(err) => assert!(drawn < FAILURE_RATE && err == Unlucky(drawn).into()),
                Ok(time) => {
                    assert!(drawn >= FAILURE_RATE && time < Duration::from_millis(MAX_MILLIS));
                }
            }
        }
    }
}
