//! Wires the stages together, and takes them apart again.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Context, Demo};
use crossbeam_channel::bounded;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::budget::Budget;
use super::checkpoint::{Checkpoint, Store};
use super::config::{Config, Policy};
use super::core::{Core, Result};
use super::job::{self, Job};
use super::lanes::Lanes;
use super::ledger::{Counts, Ledger};
use super::monitor::stats::{Samples, Stage, Stats};
use super::monitor::{self, Lines};
use super::order::Order;
use super::outlets::Outlets;
use super::pool::Pool;
use super::sink::{self, Drain, Sink};
use super::source::files::Files;
use super::source::generator::Generator;
#[cfg(feature = "nats")]
use super::source::nats::Nats;
use super::source::{Inlet, Stopped, stdin, tcp};
use super::warnings::{Warnings, warn};
use super::windows::Windows;
use super::workers::{Worker, Workers};

/// So much may be between the sources and the sinks: 16 chunks.
const IN_FLIGHT: usize = 4 << 20;

/// A read gives at most so many chunks: the end of an overlong line, lines, the beginning of one.
const CHUNKS_PER_READ: usize = 3;

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

/// Compiles the settings without running them.
pub fn check(config: &Config) -> Result<()> {
    Job::compile(config).map(drop)
}

/// Tells on stderr how a run ended: stdout may belong to `--out`.
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
pub async fn run(config: &Config, demo: &Demo, ctx: &Context) -> Result<Ended> {
    let outs = async |saved: Option<&Checkpoint>| {
        let mut outs = Vec::new();
        for (at, name) in config.out.iter().enumerate() {
            outs.push(open(name, policy(config, at), saved).await?);
        }
        Ok(outs)
    };
    run_with(config, demo, ctx, outs, Lines::Terminal).await
}

/// [`run`] with `--out` opened by the caller.
pub(crate) async fn run_with(
    config: &Config,
    demo: &Demo,
    ctx: &Context,
    outs: impl AsyncFnOnce(Option<&Checkpoint>) -> Result<Vec<(Sink, Drain)>>,
    lines: Lines,
) -> Result<Ended> {
    let job = Arc::new(Job::compile(config)?);
    let store = config.checkpoint.as_deref().map(Store::open).transpose()?.map(Arc::new);
    let saved = load(store.as_deref(), config)?;
    let budget = Budget::new(IN_FLIGHT);
    let mut core = core(config, store, saved, outs, &budget).await?;
    let stats = core.stats.clone();
    let ledger = stats.ledger.clone();
    let listener = listener(config, lines).await?;

    let ctx = config.run_for.map_or_else(|| ctx.with_cancel(), |span| ctx.with_timeout(span.0));
    let capacity = budget.chunks() * CHUNKS_PER_READ;
    let (work, queue) = bounded(capacity);
    let (done, parsed) = mpsc::channel(capacity);
    let pool = Pool::new();
    let inlet = Inlet {
        work,
        pool: pool.clone(),
        paused: core.paused.subscribe(),
        budget,
        stats: stats.clone(),
        ledger: ledger.clone(),
        ctx: ctx.clone(),
        max_line: job.max_line,
        lanes: Arc::default(),
    };
    let sources = sources(config, demo, inlet, &mut core.lanes).await?;
    let worker = Worker { job, demo: demo.clone(), stats: stats.clone(), pool, work: queue, done };
    let workers = Workers::spawn(config.workers.unwrap_or(1), &worker);
    let workers = workers.map_err(|err| format!("cannot start the workers: {err}"))?;
    drop(worker); // its ends of the channels would keep the workers and the core waiting

    let core = async {
        let done = core.run(parsed).await;
        ctx.cancel(); // after a failure the sources have to be stopped
        done
    };
    let all = async { tokio::join!(join(sources), core) };
    let late = async {
        ctx.done().await;
        sleep(DRAIN).await;
        ledger.counts() // now: what is dropped with the stages counts no more
    };
    let (failed, done) = tokio::select! {
        ended = all => ended,
        () = monitor::watch(stats, listener, lines) => unreachable!("it watches without end"),
        counts = late => return Ok(Ended { counts, cut_short: true }),
    };
    done?;
    workers.join()?;
    failed?;
    Ok(Ended { counts: ledger.counts(), cut_short: false })
}

fn load(store: Option<&Store>, config: &Config) -> Result<Option<Checkpoint>> {
    let Some(loaded) = store.map_or(Ok(None), Store::load)? else { return Ok(None) };
    if let Some(broken) = loaded.broken {
        warn(format_args!("{broken}; going on from the checkpoint before it"));
    }
    let saved = loaded.checkpoint;
    let ours = job::identity(config);
    if saved.job == ours {
        return Ok(Some(saved));
    }
    Err(format!(
        "the checkpoint belongs to other settings; run with those, or delete it to start over\n  \
         saved: {}\n  now:   {ours}",
        saved.job
    ))
}

/// Opens the sinks where the checkpoint left them, and restores the rest from it.
async fn core(
    config: &Config,
    store: Option<Arc<Store>>,
    saved: Option<Checkpoint>,
    outs: impl AsyncFnOnce(Option<&Checkpoint>) -> Result<Vec<(Sink, Drain)>>,
    budget: &Budget,
) -> Result<Core> {
    let other = async |name: &Option<String>| match name {
        Some(name) => Ok::<_, String>(Some(open(name, Policy::Block, saved.as_ref()).await?)),
        None => Ok(None),
    };
    let (outs, drains): (Vec<_>, Vec<_>) = outs(saved.as_ref()).await?.into_iter().unzip();
    let (aggregates, windows_drain) = other(&config.aggregates).await?.unzip();
    let (letters, letters_drain) = other(&config.dead_letters).await?.unzip();
    let mut running = JoinSet::new();
    for drain in drains.into_iter().chain(windows_drain).chain(letters_drain) {
        running.spawn(drain.run());
    }
    let millis = |span: Option<super::units::Span>| span.map_or(1000, super::units::Span::millis);
    let keys = config.max_keys.unwrap_or(usize::MAX);
    let mut windows = Windows::new(millis(config.window), millis(config.lateness), keys);
    let saved = saved.unwrap_or_default();
    saved.windows.into_iter().for_each(|saved| windows.restore(saved));
    let outlets = Outlets::new(outs, aggregates, letters);
    Ok(Core {
        stats: Arc::new(stats(config, &outlets, budget)),
        order: Order::new(),
        lanes: Lanes::new(saved.sources, config.idle.map(|idle| idle.0)),
        windows,
        outlets,
        running,
        store,
        committing: None,
        paused: watch::Sender::default(),
        acks: Vec::new(),
        acks_of_last: Vec::new(),
        job: job::identity(config),
        warnings: Warnings::new(config.conditions.clone()),
        lose_after: config.lose_chunk,
    })
}

fn stats(config: &Config, outlets: &Outlets, budget: &Budget) -> Stats {
    Stats {
        ledger: Ledger::new(outlets.outs.iter().map(|sink| sink.name.clone())),
        sources: Stage::new("sources", None),
        parse: Stage::new("parse", Some(budget.clone())),
        windows: Stage::new("windows", None),
        // In this order: the ledger's sinks are the first ones.
        sinks: outlets.all().map(|(_, sink)| sink.stage.clone()).collect(),
        workers: config.workers.unwrap_or(1),
        latency: Samples::default(),
        progress: Mutex::default(),
    }
}

/// Opens the live page's address and says which one it is.
async fn listener(config: &Config, lines: Lines) -> Result<Option<TcpListener>> {
    let Some(address) = &config.http else { return Ok(None) };
    let listener = monitor::bind(address).await?;
    let address = listener.local_addr().map_err(|err| err.to_string())?;
    match lines {
        Lines::Stdout => common::say!("Live page: http://{address}/"),
        Lines::Terminal => {
            let _ = writeln!(io::stderr().lock(), "live page: http://{address}/"); // as in `report`
        }
    }
    Ok(Some(listener))
}

fn policy(config: &Config, at: usize) -> Policy {
    config.policy.get(at).or(config.policy.first()).copied().unwrap_or_default()
}

async fn open(name: &str, policy: Policy, saved: Option<&Checkpoint>) -> Result<(Sink, Drain)> {
    Sink::open(name, policy, saved.and_then(|saved| saved.outputs.get(name).copied())).await
}

type Sources = JoinSet<std::result::Result<(), Stopped>>;

/// Starts all sources. Each is registered before the first one runs.
async fn sources(config: &Config, demo: &Demo, inlet: Inlet, lanes: &mut Lanes) -> Result<Sources> {
    let mut sources = JoinSet::new();
    if let Some(address) = &config.listen {
        sources.spawn(tcp::run(inlet.clone(), tcp::bind(address).await?));
    }
    #[cfg(feature = "nats")]
    if let (Some(url), Some(stream), Some(consumer)) =
        (&config.nats, &config.stream, &config.consumer)
    {
        let nats = Nats::join(url, stream, consumer).await?;
        sources.spawn(nats.run(inlet.stream(stream)));
    }
    let outputs = config.out.iter().chain(&config.aggregates).chain(&config.dead_letters);
    let outputs: Vec<PathBuf> = outputs.filter_map(|name| Some(sink::path(name)?.into())).collect();
    let mut streams = Vec::new();
    if config.stdin {
        streams.push(("stdin".to_owned(), None));
    }
    for number in 1..=config.generate.unwrap_or(0) {
        streams.push((format!("generator-{number}"), Some(number)));
    }
    let streams: Vec<_> = streams
        .into_iter()
        .map(|(name, generator)| {
            let feed = inlet.stream(&name);
            lanes.register(feed.lane(), feed.origin());
            (feed, generator)
        })
        .collect();
    let files = Files::new(inlet, &config.file, config.follow, &outputs, lanes)?;
    for (feed, generator) in streams {
        match generator {
            None => sources.spawn(stdin::run(feed)),
            Some(number) => sources.spawn(Generator::new(config, demo, number).run(feed)),
        };
    }
    sources.spawn(files.run());
    Ok(sources)
}

/// Waits for all sources. Gives the first failure; the others are told as they come.
async fn join(mut sources: Sources) -> Result<()> {
    let mut failed = Ok(());
    while let Some(ended) = sources.join_next().await {
        match ended {
            Ok(Ok(()) | Err(Stopped::Interrupted(_))) => {}
            Ok(Err(Stopped::Failed(failure))) => {
                warn(format_args!("{failure}; the other sources go on"));
                failed = failed.and(Err(failure));
            }
            Err(panic) => failed = failed.and(Err(panic.to_string())),
        }
    }
    failed
}
