//! Wires the stages together, and takes them apart again.

pub(crate) mod core;
mod failure;
mod sample;
mod start;
mod workers;

use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use common::{Context, Demo, Seed};
use crossbeam_channel::bounded;
use jiff::Timestamp;
use rand::RngExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::data_pipeline::config::{Config, Content, is_http};
use crate::data_pipeline::event::job;
use crate::data_pipeline::monitor::stats::{Count, PARSE, Samples, Stage, Stats, WINDOWS};
use crate::data_pipeline::monitor::warnings::{Told, Warnings, warn};
use crate::data_pipeline::monitor::{self, Lines};
use crate::data_pipeline::secrets::without_users;
use crate::data_pipeline::sink::outlets::Outlets;
use crate::data_pipeline::sink::refused::Refused;
use crate::data_pipeline::sink::{Drain, Sink, Writer};
use crate::data_pipeline::source::files::Files;
#[cfg(feature = "nats")]
use crate::data_pipeline::source::nats::Nats;
use crate::data_pipeline::source::pool::Pool;
use crate::data_pipeline::source::{self, Inlet, Stopped, generator, stdin, tcp, warn_if_failed};
use crate::data_pipeline::state::budget::ByteBudget;
use crate::data_pipeline::state::checkpoint::{Checkpoint, Store, newest};
use crate::data_pipeline::state::feeds::Feeds;
use crate::data_pipeline::state::ledger::{Counts, Ledger};
use crate::data_pipeline::state::order::Order;
use crate::data_pipeline::window::{Columns, Windows};
use core::{Core, Result};
pub use failure::Failure;
pub use sample::sample;
pub(crate) use start::Plan;
use workers::Worker;

/// Most bytes between the sources and the sinks: 16 chunks.
const IN_FLIGHT: usize = 4 << 20;

/// Most parsed chunks that wait. Parsed output can be larger than its input, so chunks queue
/// unparsed when a sink is slow.
const PARSED: usize = 8;

/// How long a run that was stopped may take to pass on what it has read.
const DRAIN: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Where all events are.
    pub counts: Counts,
    /// Not everything that was read could be passed on before the deadline.
    pub cut_short: bool,
}

/// Whether complete settings are valid by themselves, without looking at the files and servers that
/// they name.
pub fn compile(config: &Config) -> Result<()> {
    Plan::compile(config).map(drop)
}

/// Checks all that a run checks before it touches anything. Settings that pass will start, unless a
/// port, a server, a lock or space is missing.
pub fn check(config: &Config) -> Result<(), Failure> {
    let plan = Plan::of(config)?;
    for warning in plan.warnings {
        warn(format_args!("{}", warning.text));
    }
    let saved = config.checkpoint.as_deref().map_or(Ok(None), newest)?;
    saved.map_or(Ok(()), |(saved, _)| fits(&saved, config))
}

/// Prints on stderr how a run ended: stdout may belong to `--out`.
pub fn report(ended: &Ended) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{}", ended.counts); // nobody is left to tell if it is closed
    if ended.cut_short {
        let _ = writeln!(stderr, "stopped at the deadline: what is in flight was not passed on");
    }
}

/// Runs a pipeline until its sources end or `ctx` does, then drains it.
///
/// # Errors
///
/// What failed, and for a source or a sink which one. A failed source does not stop the others.
///
/// # Cancel safety
///
/// Cancel `ctx` rather than dropping the future: that drops what is in flight, as a crash does.
pub async fn run(config: &Config, demo: &Demo<Seed>, ctx: &Context) -> Result<Ended, Failure> {
    run_with(config, Plan::of(config)?, demo, ctx, None, Lines::Terminal).await
}

/// [`run`] with this plan. The demo gives the first sink, and says where the lines for the terminal
/// go.
pub(crate) async fn run_with(
    config: &Config,
    plan: Plan,
    demo: &Demo<Seed>,
    ctx: &Context,
    sink: Option<Writer>,
    lines: Lines,
) -> Result<Ended, Failure> {
    let Plan { job, warnings } = plan;
    let job = Arc::new(job);
    let budget = ByteBudget::new(IN_FLIGHT);
    // First come the steps that can fail, such as locks and ports. Outputs are cut last.
    let store = config.checkpoint.as_deref().map(Store::open).transpose()?.map(Arc::new);
    let saved = load(store.as_deref(), config)?;
    let doors = Doors::open(config).await?;
    let (mut core, mut drains) = core(config, store, saved, sink, &budget).await?;
    for warning in warnings {
        core.warnings.tell(warning);
    }
    let stats = core.stats.clone();
    if let Some(listener) = &doors.http {
        announce(listener, lines)?;
    }

    let ctx = config.run_for.map_or_else(|| ctx.with_cancel(), |span| ctx.with_timeout(span));
    let (work, queue) = bounded(budget.chunks());
    let (done, parsed) = mpsc::channel(PARSED);
    let pool = Pool::new();
    let inlet = Arc::new(Inlet {
        work,
        pool: pool.clone(),
        paused: core.paused.subscribe(),
        budget,
        stats: stats.clone(),
        ctx: ctx.clone(),
        framing: job.framing,
        feeds: AtomicU64::new(0),
        started: Timestamp::now().as_millisecond().unsigned_abs(),
    });
    let (sources, http) = sources(config, demo, &inlet, &mut core.feeds, doors)?;
    // Now all is known to be right, and nothing has been written yet.
    drains.iter_mut().try_for_each(Drain::begin)?;
    core.running = drains.into_iter().map(Drain::run).collect();
    drop(inlet); // the sources have clones: the workers end with the last of those
    let worker = Worker { job, demo: demo.clone(), stats: stats.clone(), pool, work: queue, done };
    let workers = worker.spawn(stats.workers);
    let workers = workers.map_err(|err| format!("cannot start the workers: {err}"))?;
    drop(worker); // its ends of the channels would keep the workers and the core waiting

    let hosts = config.http.iter().chain(&config.http_host).cloned().collect();
    let ledger = stats.ledger.clone();
    let failure = OnceLock::new();
    let core = async {
        if let Err(err) = core.run(parsed).await {
            let _ = failure.set(err); // it is the first
        }
        ctx.cancel(); // after a failure the sources have to be stopped
    };
    let all = async { tokio::join!(source::join(sources), core) };
    let late = async {
        ctx.done().await;
        sleep(DRAIN).await;
        ledger.counts() // taken now: what is dropped with the stages does not count
    };
    let ended = tokio::select! {
        (ended, ()) = all => Some(ended),
        () = monitor::watch(stats, http, hosts, lines) => unreachable!("it watches without end"),
        counts = late => match failure.get() {
            None => return Ok(Ended { counts, cut_short: true }),
            Some(_) => None, // a source has not noticed
        },
    };
    if let Some(failure) = failure.into_inner() {
        return Err(failure.into());
    }
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked outside its work".to_owned())?;
    }
    if let Some(Err(Stopped::Failed(failure))) = ended {
        return Err(failure.into());
    }
    Ok(Ended { counts: ledger.counts(), cut_short: false })
}

/// Opens the sinks, none of which is made or cut before it [begins](Drain::begin), and restores the
/// rest from `saved`.
async fn core(
    config: &Config,
    store: Option<Arc<Store>>,
    saved: Checkpoint,
    mut given: Option<Writer>,
    budget: &ByteBudget,
) -> Result<(Core, Vec<Drain>)> {
    let (mut opened, told, refused) = (Vec::new(), Arc::default(), Refused::default());
    for (sink, id) in config.sinks().zip(&ids(config)) {
        let (name, content, _) = sink;
        let writer = match given.take() {
            Some(writer) => writer,
            None => {
                Writer::open(name, content, saved.output(name), config, &told, &refused).await?
            }
        };
        let most = match content {
            Content::DeadLetters => config.dead_letters_max.map_or(u64::MAX, |most| most.as_u64()),
            Content::Lines | Content::Windows => u64::MAX,
        };
        opened.push(Sink::new(sink, id, writer, most));
    }
    let (sinks, drains): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
    let mut windows = Windows::new(
        millis(config.window),
        millis(config.lateness),
        config.max_keys.unwrap_or(usize::MAX),
    )
    .with(Columns::of(config));
    let Checkpoint { files, windows: of_before, mut outputs, mut output_files, letters, .. } =
        saved;
    if let Some(saved) = of_before {
        windows.restore(saved);
    }
    for sink in &sinks {
        outputs.remove(&sink.name);
        output_files.remove(&sink.name);
    }
    let stats = Arc::new(stats(config, &sinks, budget, told));
    let mut core = Core {
        warnings: Warnings::new(config, stats.told.clone()),
        stats,
        order: Order::new(),
        resumed: !files.is_empty(),
        feeds: Feeds::new(files, config.idle),
        windows,
        outlets: Outlets::new(sinks),
        refused,
        running: JoinSet::new(),
        store,
        committing: None,
        paused: watch::Sender::default(),
        acks: Vec::new(),
        acks_of_last: Vec::new(),
        changed: true,
        job: job::identity(config),
        unused: Checkpoint { outputs, output_files, ..Checkpoint::default() },
        idle: config.idle,
        waited: None,
        lose_after: config.lose_chunk,
    };
    core.put_letters(letters);
    Ok((core, drains))
}

/// A unique name for each sink, for the ledger and the metrics: two sinks may go to stdout.
fn ids(config: &Config) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (name, content, _) in config.sinks() {
        // A query may be long, or a secret.
        let name = if is_http(name) { name.split('?').next().unwrap_or(name) } else { name };
        let name = without_users(name);
        let flag = content.flag().trim_start_matches('-');
        let names = [name.clone(), format!("{name} ({flag})")].into_iter();
        let mut names = names.chain((2..).map(|n| format!("{name} ({flag} {n})")));
        ids.extend(names.find(|name| !ids.contains(name)));
    }
    ids
}

/// What an earlier run with these settings has saved; an empty checkpoint if there was none.
fn load(store: Option<&Store>, config: &Config) -> Result<Checkpoint, Failure> {
    let Some((saved, broken)) = store.map_or(Ok(None), Store::load)? else {
        return Ok(Checkpoint::default());
    };
    if let Some(broken) = broken {
        warn(format_args!("{broken}; going on from the checkpoint before it"));
    }
    fits(&saved, config)?;
    if config.reset_windows {
        return Ok(Checkpoint { windows: None, ..saved });
    }
    Ok(saved)
}

/// Whether a run with these settings can resume from the checkpoint. The positions belong to the
/// sources, so only open windows tie it to settings.
fn fits(saved: &Checkpoint, config: &Config) -> Result<(), Failure> {
    let ours = job::identity(config);
    if config.reset_windows || job::is_same(&saved.job, &ours) {
        return Ok(());
    }
    Err(Failure::Settings(format!(
        "the windows of the checkpoint belong to other settings: finish with those, or give the windows \
         up with --reset-windows\n  saved: {}\n  now:   {ours}",
        saved.job
    )))
}

fn millis(span: Option<Duration>) -> i64 {
    span.map_or(1000, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

fn stats(config: &Config, sinks: &[Sink], budget: &ByteBudget, told: Arc<Told>) -> Stats {
    let lines = sinks.iter().filter(|sink| sink.content == Content::Lines);
    let source = |(id, form): (String, _)| Stage::new(&id, "source", form, None);
    Stats {
        ledger: Ledger::new(lines.map(|sink| sink.stage.id.clone())),
        sources: config.sources().into_iter().map(source).collect(),
        parse: Stage::new(PARSE, "transform", "json", Some(budget.clone())),
        windows: Stage::new(WINDOWS, "transform", "aggregate", None),
        sinks: sinks.iter().map(|sink| sink.stage.clone()).collect(),
        workers: config.workers.unwrap_or(1),
        skipped: Count::default(),
        latency: Samples::default(),
        progress: Mutex::default(),
        recent: Mutex::default(),
        is_live: config.is_live(),
        told,
    }
}

/// The listeners for incoming connections, opened before anything is written.
struct Doors {
    http: Option<TcpListener>,
    listen: Option<TcpListener>,
    #[cfg(feature = "nats")]
    nats: Option<Nats>,
}

impl Doors {
    async fn open(config: &Config) -> Result<Self> {
        let mut doors = Self {
            http: None,
            listen: None,
            #[cfg(feature = "nats")]
            nats: None,
        };
        if let Some(address) = &config.http {
            doors.http = Some(monitor::listen("--http", address).await?);
        }
        if let Some(address) = &config.listen {
            doors.listen = Some(monitor::listen("--listen", address).await?);
        }
        #[cfg(feature = "nats")]
        if config.nats.is_some() {
            doors.nats = Some(Nats::join(config).await?);
        }
        Ok(doors)
    }
}

/// Prints where the live page is.
fn announce(listener: &TcpListener, lines: Lines) -> Result<()> {
    let address = listener.local_addr().map_err(|err| err.to_string())?;
    match lines {
        Lines::Stdout => common::say!("Live page: http://{address}/"),
        Lines::Terminal => {
            let _ = writeln!(io::stderr().lock(), "live page: http://{address}/"); // as in `report`
        }
    }
    Ok(())
}

type Sources = JoinSet<std::result::Result<(), Stopped>>;

/// Starts all sources. Those that are there from the start are registered before the first one runs.
/// Gives the live page's listener back.
fn sources(
    config: &Config,
    demo: &Demo<Seed>,
    inlet: &Arc<Inlet>,
    feeds: &mut Feeds,
    mut doors: Doors,
) -> Result<(Sources, Option<TcpListener>)> {
    let mut sources = JoinSet::new();
    let mut streams = Vec::new();
    for (name, kind) in config.sources() {
        match kind {
            "socket" => {
                if let Some(listener) = doors.listen.take() {
                    sources.spawn(warn_if_failed(tcp::run(inlet.clone(), name, listener)));
                }
            }
            #[cfg(feature = "nats")]
            "nats" => {
                if let Some(nats) = doors.nats.take() {
                    let feed = inlet.stream(&name, &name);
                    sources.spawn(warn_if_failed(nats.run(feed)));
                }
            }
            "stdin" | "generator" => {
                let feed = inlet.stream(&name, &name);
                feeds.register(feed.id, &feed.origin, Instant::now());
                streams.push((feed, kind));
            }
            _ => {} // all files are found together
        }
    }
    let files = Files::new(inlet, config, feeds)?;
    for (number, (feed, kind)) in (1..).zip(streams) {
        match kind {
            "stdin" => sources.spawn(warn_if_failed(stdin::run(feed))),
            _ => sources.spawn(generator::run(demo.rng(number).random(), config.rate, feed)),
        };
    }
    sources.spawn(files.run());
    Ok((sources, doors.http))
}
