//! `--timeline FILE.svg`: the run as a picture, one lane for each worker and one bar for each piece
//! of work.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard, TraceStyle};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use crate::{Demo, Outcome, picture};

type Failure = Box<dyn Error + Send + Sync>;

/// The target of the spans that become bars.
const TARGET: &str = "timeline";

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Done,
    /// It was dropped where it waited.
    Canceled,
    /// By a panic.
    Panicked,
}

/// One piece of work. Times are counted from the start of the run.
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

/// A bar of the picture, from now until it is dropped; if that happens while a panic unwinds, the
/// work has panicked. `lane` says who works, `name` on what.
///
/// It is a `tracing` span of the target `timeline`: it costs next to nothing while nobody records,
/// and whatever else listens to spans sees it as well.
pub fn bar(lane: impl fmt::Display, name: impl fmt::Display) -> Work {
    let ending = tracing::field::Empty;
    Work(tracing::info_span!(target: TARGET, "work", %lane, %name, ending))
}

/// Work under way; see [`bar`].
#[derive(Debug)]
pub struct Work(Span);

impl Work {
    /// Drives `work` to its end. If it is dropped before, it has been cancelled.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `work` is.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        self.0.record("ending", "canceled"); // unless it comes to its end
        let output = work.await;
        self.0.record("ending", "done");
        output
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.record("ending", "panicked");
        }
    }
}

/// What `--timeline` and `--trace` ask for, while the program runs.
#[derive(Default)]
pub(crate) struct Recording {
    timeline: Option<(Timeline, PathBuf)>,
    /// Writes what is left when it is dropped.
    _trace: Option<FlushGuard>,
}

impl Recording {
    /// Starts to record, if the flags ask for it. The clock is that of the caller's runtime.
    pub(crate) fn start(demo: &Demo) -> Result<Self, Failure> {
        let (timeline, trace) = demo.recorded_to();
        if timeline.is_none() && trace.is_none() {
            return Ok(Self::default());
        }
        let timeline = timeline.map(|file| (Timeline::start(), file));
        let trace = trace.map(File::create).transpose()?;
        // Bars are spans that are never entered: only this style writes from their making to their end.
        let style = TraceStyle::Async;
        let trace = trace.map(|file| {
            ChromeLayerBuilder::new().writer(file).include_args(true).trace_style(style)
        });
        let (layer, guard) = trace.map(ChromeLayerBuilder::build).unzip();
        let bars = timeline.as_ref().map(|(timeline, _)| timeline.clone());
        tracing::subscriber::set_global_default(registry().with(layer).with(bars))?;
        Ok(Self { timeline, _trace: guard })
    }

    /// Runs the program and draws it, also if it panics.
    pub(crate) fn of(self, body: impl FnOnce() -> Outcome) -> Outcome {
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let drawn = self.draw();
        let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        outcome.and(drawn)
    }

    fn draw(self) -> Outcome {
        let Some((timeline, file)) = self.timeline else { return Ok(()) };
        let program = std::env::current_exe()?;
        let title = program.file_stem().unwrap_or_default().to_string_lossy();
        fs::write(&file, picture::draw(&title, &timeline.bars()))
            .map_err(|err| format!("cannot write {}: {err}", file.display()).into())
    }
}

/// Collects the bars of a run.
#[derive(Clone, Debug)]
struct Timeline {
    started: Instant,
    bars: Arc<Mutex<Bars>>,
}

#[derive(Debug, Default)]
struct Bars {
    open: BTreeMap<u64, Bar>,
    closed: Vec<Bar>,
}

impl Timeline {
    fn start() -> Self {
        Self { started: Instant::now(), bars: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Bars> {
        self.bars.lock().expect("nobody panics while holding the lock")
    }

    /// All bars so far. Work that is still under way is cut off here.
    fn bars(&self) -> Vec<Bar> {
        let (now, bars) = (self.started.elapsed(), self.lock());
        let open = bars.open.values().cloned();
        let cut_off = open.map(|bar| Bar { end: now, ending: Ending::Canceled, ..bar });
        bars.closed.iter().cloned().chain(cut_off).collect()
    }
}

impl<S: Subscriber> Layer<S> for Timeline {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let start = self.started.elapsed();
        let ending = Ending::Done;
        let mut bar = Bar { lane: String::new(), name: String::new(), start, end: start, ending };
        attributes.record(&mut bar);
        self.lock().open.insert(id.into_u64(), bar);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(bar) = self.lock().open.get_mut(&id.into_u64()) {
            values.record(bar);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let end = self.started.elapsed();
        let mut bars = self.lock();
        if let Some(bar) = bars.open.remove(&id.into_u64()) {
            bars.closed.push(Bar { end, ..bar });
        }
    }
}

impl Visit for Bar {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "ending" {
            self.ending = match value {
                "canceled" => Ending::Canceled,
                "panicked" => Ending::Panicked,
                _ => Ending::Done,
            };
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "lane" => &mut self.lane,
            "name" => &mut self.name,
            _ => return,
        };
        write!(text, "{value:?}").expect("a string takes everything");
    }
}
