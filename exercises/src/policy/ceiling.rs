use std::time::Duration;

use super::{Rate, Time};

/// The ceiling of `--rate` and `--burst`: the generic cell rate algorithm, as of ITU-T I.371.
#[derive(Debug)]
pub(super) struct Ceiling {
    interval: Duration,
    /// How far ahead of one request per interval the requests may be.
    ahead: Duration,
    /// When the next request would go at one per interval.
    due: Time,
}

impl Ceiling {
    pub(super) fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate.per_second);
        Self { interval, ahead: interval * rate.burst.saturating_sub(1), due: Time::ZERO }
    }

    pub(super) fn ready(&self) -> Time {
        self.due.saturating_sub(self.ahead)
    }

    pub(super) fn sent(&mut self, now: Time) {
        self.due = self.due.max(now) + self.interval;
    }
}
