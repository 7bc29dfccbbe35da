/// Which of its latest requests a host has answered, and which failed.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The latest replies, the newest in the lowest bit: 1 for a failure.
    failures: u32,
    replies: u32,
}

/// Failures in a row that chance alone explains.
const BY_CHANCE: u32 = 2;

impl Health {
    pub(super) fn record(&mut self, failed: bool) {
        self.failures = self.failures << 1 | u32::from(failed);
        self.replies = (self.replies + 1).min(u32::BITS);
    }

    /// The steps of backoff for a request that has failed `failures` times.
    ///
    /// A host that answers most requests is neither overloaded nor down: random failures do not get
    /// rarer after a longer wait. There the backoff grows later.
    pub(super) fn steps(&self, failures: u32) -> u32 {
        let answers_most = 2 * self.failures.count_ones() < self.replies;
        if answers_most { failures.saturating_sub(BY_CHANCE).max(1) } else { failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(replies: &str) -> Health {
        let mut health = Health::default();
        replies.chars().for_each(|reply| health.record(reply == 'x'));
        health
    }

    #[test]
    fn the_backoff_grows_at_once_where_nothing_else_is_answered() {
        for replies in ["", "x", "xxx", ".x", "..xx"] {
            assert_eq!((1..5).map(|n| after(replies).steps(n)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        }
        let down = format!("{}{}", ".".repeat(100), "x".repeat(16));
        assert_eq!(after(&down).steps(3), 3);
    }

    #[test]
    fn the_backoff_grows_later_where_others_are_answered() {
        for replies in ["..x", "x....", "....x.x..x"] {
            assert_eq!(
                (1..6).map(|n| after(replies).steps(n)).collect::<Vec<_>>(),
                [1, 1, 1, 2, 3]
            );
        }
    }
}
