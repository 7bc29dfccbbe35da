use std::time::Duration;

use rand::{Rng, RngExt};

/// The probability that a task fails.
pub const FAILURE_RATE: f32 = 0.3;

/// A task takes a random time below this, in milliseconds.
pub const MAX_MILLIS: u64 = 500;

/// The error of the chapter's simulated work.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("random processing error")]
pub struct ProcessingError(#[from] pub Unlucky);

/// Why it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("drew {0:.3}, which is below {FAILURE_RATE}")]
pub struct Unlucky(pub f32);

/// How long a piece of work takes, and whether it fails at its end.
pub fn draw(rng: &mut impl Rng) -> (Duration, Result<(), ProcessingError>) {
    let draw = rng.random::<f32>();
    let time = Duration::from_millis(rng.random_range(0..MAX_MILLIS));
    (time, if draw < FAILURE_RATE { Err(Unlucky(draw).into()) } else { Ok(()) })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn three_in_ten_fail_and_all_take_half_a_second_at_most() {
        let (mut failed, mut times) = (0, Vec::new());
        for (time, outcome) in (0..10_000).map(|seed| draw(&mut StdRng::seed_from_u64(seed))) {
            times.push(time.as_millis());
            if let Err(ProcessingError(Unlucky(draw))) = outcome {
                assert!((0.0..0.3).contains(&draw), "{draw}");
                failed += 1;
            }
        }
        assert!((2_850..3_150).contains(&failed), "{failed}"); // 3 standard deviations are 137
        times.sort_unstable();
        let quarters = [1, 2, 3].map(|quarter| times[times.len() * quarter / 4]);
        assert!(times[0] < 5 && times[times.len() - 1] < 500, "{times:?}");
        assert!(quarters.iter().zip([125, 250, 375]).all(|(at, mid)| at.abs_diff(mid) < 15));
    }
}
