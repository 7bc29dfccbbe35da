use std::time::Duration;

use super::{Quota, Time};

/// Windows up to this length are too short to pace by a reset in whole seconds.
const SHORT_WINDOW: Duration = Duration::from_secs(2);
/// The share of an announced rate that is used, when nothing else is known.
const SHORT_WINDOW_SHARE: f64 = 0.97;
/// The reset is rounded to seconds: it may be this much earlier, in seconds.
const RESET_ROUNDING: f64 = 0.4;
/// In a new, unknown window, requests are this far apart until an answer says more.
const UNKNOWN_WINDOW: Duration = Duration::from_millis(100);
/// The longest window that is believed.
const LONGEST: Duration = Duration::from_hours(24);
/// Most policies of one host that are followed.
const MOST_POLICIES: usize = 8;

/// What a host has announced: how much may come in each of its windows.
#[derive(Debug, Default)]
pub(super) struct Quotas(Vec<Window>);

#[derive(Debug)]
struct Window {
    name: String,
    limit: Option<f64>,
    remaining: f64,
    until: Time,
    /// The window's length: the longest reset seen, unless the host says it.
    length: Duration,
    /// When the next may go, if what is left is to last until the reset.
    next: Time,
}

impl Quotas {
    /// When the next may go, so that what is announced is not exceeded. If all that wait fit into
    /// what remains, that is at once.
    pub(super) fn ready(&self, waiting: usize) -> Time {
        let held = |window: &&Window| {
            window.remaining < 1.0
                || (window.length > SHORT_WINDOW && waiting as f64 > window.remaining)
        };
        self.0.iter().filter(held).map(|window| window.next).max().unwrap_or_default()
    }

    pub(super) fn sent(&mut self, now: Time) {
        for window in &mut self.0 {
            window.sent(now);
        }
    }

    /// The host has announced how much is left. Returns the rate that its windows allow if they are
    /// too short to count in.
    pub(super) fn announced(&mut self, now: Time, quota: &Quota, in_flight: usize) -> Option<f64> {
        let index = self.0.iter().position(|window| window.name == quota.name);
        let before = index.map(|index| self.0.swap_remove(index));
        let known = before.as_ref().map_or(Duration::ZERO, |window| window.length);
        let length = quota.window.unwrap_or(quota.reset.max(known));
        let until = now + quota.reset.min(LONGEST);
        // Some of what is in flight has been counted already.
        let uncounted = if length > SHORT_WINDOW { in_flight as f64 / 2.0 } else { 0.0 };
        let remaining = quota.remaining - uncounted;
        let next = match before {
            _ if remaining < 1.0 => until,
            Some(window) => window.next.min(until),
            None => now,
        };
        if self.0.len() < MOST_POLICIES {
            let (name, limit) = (quota.name.clone(), quota.limit);
            self.0.push(Window { name, limit, remaining, until, length, next });
        }
        let rate = quota.limit? / quota.window?.as_secs_f64().max(1.0);
        (length <= SHORT_WINDOW).then_some(SHORT_WINDOW_SHARE * rate)
    }
}

impl Window {
    /// Spreads what is left over the time that is left.
    fn sent(&mut self, now: Time) {
        if now >= self.until
            && let Some(limit) = self.limit
        {
            (self.remaining, self.until) = (limit, now + self.length);
        }
        self.remaining -= 1.0;
        let left = self.until.saturating_sub(now).as_secs_f64() - RESET_ROUNDING;
        self.next = if self.remaining < 1.0 {
            self.until.max(now + UNKNOWN_WINDOW)
        } else {
            now + Duration::from_secs_f64((left / self.remaining).max(0.0))
        };
    }
}
