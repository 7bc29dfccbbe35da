use super::Time;

/// The seconds that a budget looks back.
const WINDOW: usize = 10;
/// So many retries are always allowed: without them a small run could not retry at all.
const AT_LEAST: f64 = 10.0;

/// How many retries are allowed for how many requests, so that a host in trouble is not buried
/// under them.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    /// The requests and the retries of each of the last seconds.
    seconds: [(u32, u32); WINDOW],
    newest: u64,
}

impl RetryBudget {
    /// A request has gone, for the first time or not.
    pub(super) fn sent(&mut self, now: Time) {
        self.second(now).0 += 1;
    }

    /// Takes a retry from the budget, unless it is used up.
    pub(super) fn take(&mut self, now: Time, share: f64) -> bool {
        self.second(now);
        let (requests, retries) = self.seconds.iter().fold((0.0, 0.0), |sum, second| {
            (sum.0 + f64::from(second.0), sum.1 + f64::from(second.1))
        });
        let allowed = retries < AT_LEAST.max(share * requests);
        if allowed {
            self.second(now).1 += 1;
        }
        allowed
    }

    /// The counts of this second; those of seconds that have passed from sight are cleared.
    fn second(&mut self, now: Time) -> &mut (u32, u32) {
        let now = now.as_secs();
        for stale in (self.newest + 1..=now).take(WINDOW) {
            self.seconds[stale as usize % WINDOW] = (0, 0);
        }
        if now > self.newest + WINDOW as u64 {
            self.seconds = [(0, 0); WINDOW];
        }
        self.newest = self.newest.max(now);
        &mut self.seconds[now as usize % WINDOW]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_of_the_requests_may_be_retries_and_ten_always() {
        let mut budget = RetryBudget::default();
        let now = Duration::from_secs(3);
        assert_eq!((0..100).filter(|_| budget.take(now, 0.5)).count(), 10);
        for _ in 0..100 {
            budget.sent(now);
        }
        assert_eq!((0..100).filter(|_| budget.take(now, 0.5)).count(), 40);
    }

    #[test]
    fn what_is_ten_seconds_old_is_forgotten() {
        let mut budget = RetryBudget::default();
        for second in 0..10 {
            assert!(budget.take(Duration::from_secs(second), 0.5), "{second}");
        }
        assert!(!budget.take(Duration::from_secs(9), 0.5));
        assert!(budget.take(Duration::from_secs(10), 0.5));
        assert!(!budget.take(Duration::from_secs(10), 0.5));
        let later = Duration::from_mins(5);
        assert_eq!((0..100).filter(|_| budget.take(later, 0.5)).count(), 10);
    }
}
