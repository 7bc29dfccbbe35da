//! `--timeline FILE.svg`: the run as a picture, one lane for each worker and one bar for each piece
//! of work.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard, TraceStyle};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use crate::bar::{Ending, TARGET};
use crate::picture::{self, Bar};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Most bars that are kept, at about 100 bytes each. Later ones are not drawn.
const MOST_BARS: usize = 500_000;

/// The flags that ask for a picture of the run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RecordFlags {
    /// Draw the run: one lane for each worker, one bar for each piece of work
    #[arg(long, value_name = "FILE.svg")]
    timeline: Option<PathBuf>,

    /// Write the same as a trace that Perfetto shows
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
}

impl RecordFlags {
    /// Runs the program, and draws it if the flags ask for that, even if it panics. Returns what the
    /// program does, unless the picture cannot be drawn.
    pub fn of<T>(&self, body: impl FnOnce() -> T) -> Result<T> {
        let started = Instant::now();
        self.by(move || started.elapsed(), body)
    }

    /// The same by a clock of the caller's, such as a virtual one: `elapsed` is the time since the
    /// start of the run.
    pub fn by<T>(
        &self,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
        body: impl FnOnce() -> T,
    ) -> Result<T> {
        let recording = Recording::start(self, elapsed)?;
        let output = catch_unwind(AssertUnwindSafe(body));
        let drawn = recording.draw();
        let output = output.unwrap_or_else(|panic| resume_unwind(panic));
        drawn.map(|()| output)
    }
}

/// What `--timeline` and `--trace` ask for, while the program runs.
#[derive(Default)]
struct Recording {
    timeline: Option<(Timeline, PathBuf)>,
    /// Writes what is left when it is dropped.
    _trace: Option<FlushGuard>,
}

impl Recording {
    /// Starts to record, if the flags ask for it.
    fn start(
        flags: &RecordFlags,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Self> {
        let RecordFlags { timeline, trace } = flags.clone();
        if timeline.is_none() && trace.is_none() {
            return Ok(Self::default());
        }
        let timeline = timeline.map(|file| (Timeline::start(elapsed), file));
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

    fn draw(self) -> Result<()> {
        let Some((timeline, file)) = self.timeline else { return Ok(()) };
        let program = std::env::current_exe()?;
        let title = program.file_stem().unwrap_or_default().to_string_lossy();
        fs::write(&file, picture::draw(&title, &timeline.bars()))
            .map_err(|err| format!("cannot write {}: {err}", file.display()).into())
    }
}

/// Collects the bars of a run.
#[derive(Clone)]
struct Timeline {
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    bars: Arc<Mutex<Bars>>,
}

#[derive(Debug, Default)]
struct Bars {
    open: BTreeMap<u64, Bar>,
    closed: Vec<Bar>,
}

impl Timeline {
    fn start(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { elapsed: Arc::new(elapsed), bars: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Bars> {
        self.bars.lock().expect("nobody panics while holding the lock")
    }

    /// All bars so far. Work that is still under way is cut off here.
    fn bars(&self) -> Vec<Bar> {
        let (now, bars) = ((self.elapsed)(), self.lock());
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
        let start = (self.elapsed)();
        let ending = Ending::Done;
        let mut bars = self.lock();
        if bars.open.len() + bars.closed.len() >= MOST_BARS {
            return;
        }
        let mut bar = Bar { lane: String::new(), name: String::new(), start, end: start, ending };
        attributes.record(&mut bar);
        bars.open.insert(id.into_u64(), bar);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(bar) = self.lock().open.get_mut(&id.into_u64()) {
            values.record(bar);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let end = (self.elapsed)();
        let mut bars = self.lock();
        if let Some(bar) = bars.open.remove(&id.into_u64()) {
            bars.closed.push(Bar { end, ..bar });
        }
    }
}

impl Visit for Bar {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "ending" {
            let ending = Ending::ALL.into_iter().find(|ending| ending.word() == value);
            self.ending = ending.unwrap_or(Ending::Done);
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
