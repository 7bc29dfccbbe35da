//! `tokio::time` on a clock that stands still until the model calls [`advance`].

use std::fmt;
use std::ops::{Add, AddAssign};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use model::sync::{Mutex, MutexGuard};

model::lazy_static! {
    /// One for each schedule.
    static ref CLOCK: Mutex<Clock> = Mutex::new(Clock::default());
}

#[derive(Default)]
struct Clock {
    now: Duration,
    sleepers: Vec<Waker>,
}

fn clock() -> MutexGuard<'static, Clock> {
    CLOCK.lock().expect("nobody panics while holding the lock")
}

/// Turns the clock, and wakes all sleepers, which then check it.
pub fn advance(by: Duration) {
    let mut clock = clock();
    clock.now += by;
    let sleepers = std::mem::take(&mut clock.sleepers);
    drop(clock);
    sleepers.into_iter().for_each(Waker::wake);
}

/// A moment of the model's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// What the clock says.
    pub fn now() -> Self {
        Self(clock().now)
    }

    /// The moment that much later, if the clock can express it.
    pub fn checked_add(&self, by: Duration) -> Option<Self> {
        self.0.checked_add(by).map(Self)
    }

    /// How long ago it was.
    pub fn elapsed(&self) -> Duration {
        clock().now - self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        self.0 += by;
    }
}

/// Ends at `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(deadline)
}

/// Ends `duration` from now.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(Instant::now() + duration)
}

/// A sleep under way.
#[derive(Debug)]
pub struct Sleep(Instant);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut clock = clock();
        if clock.now >= self.0.0 {
            return Poll::Ready(());
        }
        clock.sleepers.push(cx.waker().clone());
        Poll::Pending
    }
}

/// What `work` gives, unless `duration` passes first.
pub async fn timeout<F: Future>(duration: Duration, work: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + duration, work).await
}

/// What `work` gives, unless `deadline` comes first.
pub async fn timeout_at<F: Future>(deadline: Instant, work: F) -> Result<F::Output, Elapsed> {
    match select(pin!(work), sleep_until(deadline)).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(Elapsed),
    }
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// What to do about ticks that nobody waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Leave them out.
    Skip,
}

/// Ticks from `start` on.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval { next: start, period }
}

/// Waits for the next tick.
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
}

impl Interval {
    /// There is one behaviour only.
    pub fn set_missed_tick_behavior(&mut self, _: MissedTickBehavior) {}

    /// The next tick.
    pub async fn tick(&mut self) -> Instant {
        sleep_until(self.next).await;
        let tick = self.next;
        while self.next <= Instant::now() {
            self.next += self.period;
        }
        tick
    }
}
