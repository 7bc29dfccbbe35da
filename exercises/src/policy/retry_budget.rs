use std::time::Duration;

use super::Time;

/// Retries that may always go at once, and the most that can be saved up.
const AT_ONCE: f64 = 10.0;
/// Retries a second that are always allowed: without them a small run could not retry at all.
const ALWAYS: f64 = 1.0;

/// How fast retries may go, so that a host in trouble is not buried under them: a token bucket that
/// requests and time fill; each retry takes one token.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: f64,
    at: Time,
}

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self { tokens: AT_ONCE, at: Time::ZERO }
    }

    /// A request was sent: it earns this share of a retry.
    pub(super) fn earn(&mut self, now: Time, share: f64) {
        self.fill(now);
        self.tokens = (self.tokens + share).min(AT_ONCE);
    }

    /// Takes a retry from the budget, and returns when it may go.
    pub(super) fn take(&mut self, now: Time) -> Time {
        self.fill(now);
        self.tokens -= 1.0;
        now + Duration::from_secs_f64((-self.tokens / ALWAYS).max(0.0))
    }

    fn fill(&mut self, now: Time) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + ALWAYS * passed).min(AT_ONCE);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_retries_go_at_once_and_then_one_a_second() {
        let mut budget = RetryBudget::new();
        let now = Duration::from_secs(3);
        assert!((0..10).all(|_| budget.take(now) == now));
        assert_eq!(budget.take(now), now + Duration::from_secs(1));
        assert_eq!(budget.take(now), now + Duration::from_secs(2));
        let later = Duration::from_mins(5);
        assert!((0..10).all(|_| budget.take(later) == later));
        assert!(budget.take(later) > later);
    }

    #[test]
    fn half_of_the_requests_may_be_retries() {
        let mut budget = RetryBudget::new();
        let now = Duration::from_secs(3);
        while budget.take(now) == now {}
        (0..200).for_each(|_| budget.earn(now, 0.5)); // repays what was owed, and saves up ten
        assert_eq!((0..100).filter(|_| budget.take(now) == now).count(), 10);
    }
}
