use std::fmt;
#[cfg(feature = "record")]
use std::time::Duration;

use tracing::Span;

/// The target of the spans that become bars.
pub(crate) const TARGET: &str = "timeline";

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Done,
    /// It ended with a failure.
    Failed,
    /// It was dropped where it waited.
    Canceled,
    /// By a panic.
    Panicked,
}

/// A bar of the picture, from now until it is dropped; if that happens while a panic unwinds, the
/// work has panicked. `lane` says who works, `name` on what.
///
/// It is a `tracing` span of the target `timeline`: it costs next to nothing without a recorder,
/// and other span subscribers see it as well.
pub fn bar(lane: impl fmt::Display, name: impl fmt::Display) -> Work {
    let ending = tracing::field::Empty;
    Work(tracing::info_span!(target: TARGET, "work", %lane, %name, ending))
}

/// A vertical line of the picture, now, with this name: a signal, a cancel, a deadline.
///
/// It is a `tracing` event of the target `timeline`.
pub fn moment(name: impl fmt::Display) {
    tracing::info!(target: TARGET, moment = %name);
}

/// Work under way; see [`bar`].
#[derive(Debug)]
pub struct Work(Span);

impl Work {
    /// Drives `work` to its end. Work that is dropped earlier is drawn as cancelled.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `work` is.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        self.0.record("ending", Ending::Canceled.word()); // unless it comes to its end
        let output = work.await;
        self.ended(Ending::Done);
        output
    }

    /// The same for work that may fail: an error is drawn as a failure.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `work` is.
    pub async fn try_of<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.0.record("ending", Ending::Canceled.word()); // unless it comes to its end
        let output = work.await;
        self.ended(if output.is_ok() { Ending::Done } else { Ending::Failed });
        output
    }

    /// Ends the bar now, with this outcome.
    pub fn ended(self, ending: Ending) {
        self.0.record("ending", ending.word());
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.record("ending", Ending::Panicked.word());
        }
    }
}

impl Ending {
    #[cfg(feature = "record")]
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Canceled, Self::Panicked];

    /// Tells the endings apart without colour.
    #[cfg(feature = "record")]
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Done => "",
            Self::Failed => "\u{d7} ",
            Self::Canceled => "\u{2298} ",
            Self::Panicked => "! ",
        }
    }

    /// The word for it in the picture.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

/// One piece of work. Times are counted from the start of the run.
#[cfg(feature = "record")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The worker, task or stage that did it.
    pub(crate) lane: String,
    /// What was done.
    pub(crate) name: String,
    /// When it began.
    pub(crate) start: Duration,
    /// When it ended.
    pub(crate) end: Duration,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// A vertical line: something that happened to all lanes.
#[cfg(feature = "record")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// What happened.
    pub(crate) name: String,
    /// When.
    pub(crate) at: Duration,
}
