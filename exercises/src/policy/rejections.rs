use std::collections::VecDeque;

/// Rejections that are remembered: the estimate spans all of them.
const REMEMBERED: usize = 8;
/// The limit has dropped if the newest stretch has this number of accepts, and a rate below this
/// share of the whole stretch's. Fewer accepts must show a clearer drop.
const DROPS: [(u64, f64); 2] = [(20, 0.75), (6, 0.6)];

/// A moment at which the server's bucket was empty, and how many it had accepted by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection {
    pub(super) accepted: u64,
    pub(super) at: f64,
}

impl Rejection {
    fn rate_until(self, later: Rejection) -> f64 {
        (later.accepted - self.accepted) as f64 / (later.at - self.at).max(1e-6)
    }
}

/// The newest moments at which the bucket was empty. Between any two of them the accepts divided by
/// the time are the refill rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejections(VecDeque<Rejection>);

impl Rejections {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, mark: Rejection) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    /// How many were accepted in the newest stretch, up to `now`.
    pub(super) fn stretch(&self, now: Rejection) -> u64 {
        self.0.back().map_or(0, |last| now.accepted - last.accepted)
    }

    /// How many accepts the estimate is based on, and the estimate in requests per second.
    pub(super) fn estimate(&self, now: Rejection) -> Option<(u64, f64)> {
        let first = self.0.front()?;
        Some((now.accepted - first.accepted, first.rate_until(now)))
    }

    /// The rate of the last stretch, or of the last two, if it is clearly below the estimate; older
    /// rejections are then forgotten.
    pub(super) fn take_drop(&mut self, now: Rejection) -> Option<f64> {
        let (_, whole) = self.estimate(now)?;
        for from in (1..self.0.len()).rev().take(2) {
            let newest = self.0[from].rate_until(now);
            let accepts = now.accepted - self.0[from].accepted;
            let clear = DROPS.iter().find(|(enough, _)| accepts >= *enough);
            if clear.is_some_and(|(_, share)| newest < share * whole) {
                self.0.drain(..from);
                return Some(newest);
            }
        }
        None
    }
}
