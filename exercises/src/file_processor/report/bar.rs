use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::file_processor::row::Progress;

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// A line on stderr that says how far the run is: on a terminal, and only there.
pub(crate) struct Bar {
    bar: ProgressBar,
    progress: Arc<Progress>,
}

impl Bar {
    pub(crate) fn new(wanted: bool) -> Self {
        let progress = Arc::new(Progress::default());
        let bar = if wanted && io::stderr().is_terminal() {
            ProgressBar::new_spinner().with_style(style(&progress))
        } else {
            ProgressBar::hidden()
        };
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, progress }
    }

    /// What the bar shows.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A writer that removes the bar before it writes to a terminal: otherwise they would overwrite
    /// each other.
    pub(crate) fn clearing<W: Write>(&self, out: W) -> Clearing<W> {
        let bar = io::stdout().is_terminal().then(|| self.bar.clone());
        Clearing { out, bar }
    }

    /// Writes something else to stderr, without the bar in the way.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

pub(crate) struct Clearing<W> {
    out: W,
    bar: Option<ProgressBar>,
}

impl<W: Write> Write for Clearing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn style(progress: &Arc<Progress>) -> ProgressStyle {
    let progress = Arc::clone(progress);
    let line = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let files = progress.files.load(Ordering::Relaxed);
        let bytes = progress.bytes.load(Ordering::Relaxed);
        let rate = bytes as f64 / state.elapsed().as_secs_f64().max(0.001);
        let (files, bytes, rate) = (HumanCount(files), HumanBytes(bytes), HumanBytes(rate as u64));
        // A frame that cannot be drawn is skipped.
        let _ = write!(out, "{files} files, {bytes}, {rate}/s");
    };
    ProgressStyle::with_template("{spinner} {counts}")
        .expect("the template is well-formed")
        .with_key("counts", line)
}
