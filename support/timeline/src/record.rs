//! `--timeline FILE.svg` and `--trace FILE.json`: the run as a picture, one lane for each worker and
//! one bar for each piece of work, and the same for Perfetto.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::collect::{Collected, Collector};
use crate::{picture, trace};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The flags that ask for a picture of the run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RecordFlags {
    /// Draw the run: one lane for each worker, one bar for each piece of work
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    timeline: Option<PathBuf>,

    /// Write the same as a trace that Perfetto shows
    #[arg(long, value_name = "FILE.json", value_parser = json)]
    trace: Option<PathBuf>,
}

fn svg(file: &str) -> Result<PathBuf, String> {
    named("svg", "the picture is an SVG", file)
}

fn json(file: &str) -> Result<PathBuf, String> {
    named("json", "the trace is JSON", file)
}

/// A file with this extension, or one without any, such as `/dev/stdout`.
fn named(kind: &str, what: &str, file: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(file);
    if path.extension().is_some_and(|extension| !extension.eq_ignore_ascii_case(kind)) {
        return Err(format!("{what}: name it {}", path.with_extension(kind).display()));
    }
    // It is written when the run is over: then it would be late to say so.
    match path.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => {
            Err(format!("there is no folder {}; make it first", folder.display()))
        }
        _ if path.is_dir() => Err("it is a folder; name a file in it".to_owned()),
        _ => Ok(path),
    }
}

impl RecordFlags {
    /// Runs the program, and draws it if the flags ask for that, even if it panics. Returns what the
    /// program does, unless the picture cannot be drawn.
    pub fn of<T>(&self, body: impl FnOnce() -> T) -> Result<T> {
        let started = Instant::now();
        self.by(move || started.elapsed(), body)
    }

    /// The same with the caller's clock, such as a virtual one: `elapsed` is the time since the
    /// start of the run.
    pub fn by<T>(
        &self,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
        body: impl FnOnce() -> T,
    ) -> Result<T> {
        let recording = Recording::start(self, elapsed)?;
        let output = catch_unwind(AssertUnwindSafe(body));
        let drawn = recording.map_or(Ok(()), Recording::draw);
        let output = output.unwrap_or_else(|panic| resume_unwind(panic));
        drawn.map(|()| output)
    }
}

/// What `--timeline` and `--trace` ask for, while the program runs.
struct Recording {
    bars: Collector,
    timeline: Option<PathBuf>,
    trace: Option<(PathBuf, File)>,
}

impl Recording {
    /// Starts to record, if the flags ask for it.
    fn start(
        flags: &RecordFlags,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Option<Self>> {
        let RecordFlags { timeline, trace } = flags.clone();
        if timeline.is_none() && trace.is_none() {
            return Ok(None);
        }
        let create = |file: PathBuf| match File::create(&file) {
            Ok(open) => Ok((file, open)),
            Err(err) => Err(cannot_write(&file, &err)),
        };
        let trace = trace.map(create).transpose()?;
        let bars = Collector::new(elapsed);
        tracing::subscriber::set_global_default(bars.clone())?;
        Ok(Some(Self { bars, timeline, trace }))
    }

    fn draw(self) -> Result<()> {
        let Collected { bars, moments, missed } = self.bars.end();
        if missed > 0 {
            let drawn = bars.len();
            let _ = writeln!(
                io::stderr(), // if it is closed, nobody is left to tell
                "timeline: only the first {drawn} pieces of work are drawn, {missed} are missing"
            );
        }
        if let Some(file) = self.timeline {
            let program = std::env::current_exe()?;
            let title = program.file_stem().unwrap_or_default().to_string_lossy();
            fs::write(&file, picture::draw(&title, &bars, &moments))
                .map_err(|err| cannot_write(&file, &err))?;
        }
        if let Some((file, open)) = self.trace {
            trace::write(&open, &bars).map_err(|err| cannot_write(&file, &err))?;
        }
        Ok(())
    }
}

fn cannot_write(file: &Path, err: &io::Error) -> Box<dyn Error + Send + Sync> {
    format!("cannot write {}: {err}", file.display()).into()
}
