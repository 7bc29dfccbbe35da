//! The program: flags in, outcomes out.

mod args;
mod curl;
mod dry_run;
mod failed;
mod files;
mod one;
mod planted;
mod values;
mod web;

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::CommandFactory;
use common::{Context, interrupted};
use futures_util::{Stream, StreamExt, future, stream};
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};

use self::args::{Args, Place, SummaryFormat};
use self::failed::{Failed, unprinted};
use self::planted::Planted;
use super::client::Client;
use super::input::Request;
use super::input::lines::Input;
use super::output::{Journal, Naming, Outcome, Printer, Summary, plain};
use super::transport::ErrorKind;

/// How often the bar is redrawn and new lines and warnings are printed, however fast outcomes come.
const TICK: Duration = Duration::from_millis(200);

/// Most outcomes that are printed with one write; only those that are ready are printed together.
const PRINTED_TOGETHER: usize = 256;

/// What cannot be printed if stdout has no reader, and what that means.
const OUTCOMES: &str = "the outcomes, the run is incomplete";

/// The program `api-client`, from its arguments to its exit status.
pub fn main() -> ExitCode {
    let args: Args = crate::installed::parse_with(curl::explained);
    if args.short_help {
        common::say!("{}", args::SHORT_HELP);
        return ExitCode::SUCCESS;
    }
    if let Err((kind, message)) = args.check() {
        Args::command().error(kind, message).exit();
    }
    let runtime = match runtime(args.threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => {
            complain(&err.into());
            return ExitCode::FAILURE;
        }
    };
    let recorded = || args.record.of(|| runtime.block_on(run(&args)));
    let outcome = catch_unwind(AssertUnwindSafe(recorded));
    // A read of stdin that waits cannot be interrupted: it is abandoned, not joined.
    runtime.shutdown_background();
    match outcome {
        Ok(Ok(Ok(code))) => code,
        Ok(Ok(Err(err))) => {
            complain(&err);
            ExitCode::from(2) // nothing has begun: a flag cannot be satisfied
        }
        Ok(Err(err)) => {
            complain(&err); // there is no picture
            ExitCode::FAILURE
        }
        Err(_panic) => ExitCode::FAILURE, // the panic hook has printed it
    }
}

/// One thread does all the work: with more, every step of a request may wake another thread. More
/// threads pay off only if much is decrypted or stored.
fn runtime(threads: usize) -> Builder {
    if threads == 1 {
        return Builder::new_current_thread();
    }
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(threads);
    runtime
}

async fn run(args: &Args) -> Result<ExitCode, Failed> {
    let interrupted = interrupted();
    // An interrupted single download is dropped; of many, those in flight finish.
    let ctx = if args.is_one() { interrupted.clone() } else { Context::background().with_cancel() };
    let ctx = match args.deadline() {
        Some(deadline) => ctx.with_timeout(deadline),
        None => ctx,
    };
    let place = args.place();
    let left = Arc::new(AtomicBool::new(false));
    let mut config = args.config(files::most_requests(!matches!(place, Place::Nowhere)));
    let web = web::web(&args.connection, &config)?;
    let requests = requests(args, input_left(&ctx, &interrupted, &left))?;
    if args.dry_run() {
        return dry_run::print(requests, &place).await;
    }
    if matches!(place, Place::Printed(_)) {
        (config.output, config.naming) = (Some(std::env::temp_dir()), Naming::Temporary);
    }
    let transport = Planted { web, panic_at: args.panic_at, sent: AtomicU64::new(0) };
    let client = Client::with_transport(config, transport)?;
    let journal = args.output.journal.as_deref();
    let journal = journal.map(|path| Journal::open(path, args.output.resume)).transpose()?;
    let mut journal_is_whole = true;

    let started = Instant::now();
    let mut summary = Summary::new();
    let printer = Printer::new(args.format(), args.shows_progress());
    let mut printer = printer.map_err(|err| unprinted(OUTCOMES, &err))?;
    let mut outcomes = client.fetch_all(&ctx, requests).drain_when(&interrupted);
    if let Some(journal) = journal {
        outcomes = outcomes.with_journal(journal);
    }
    if args.output.verbose {
        outcomes = outcomes.with_log();
    }
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outcomes = outcomes.ready_chunks(PRINTED_TOGETHER);
    let (mut only, mut unread) = (None, false);
    loop {
        let next = tokio::select! {
            biased;
            _ = tick.tick(), if !unread => None,
            next = outcomes.next() => Some(next),
        };
        printer.note(&outcomes.get_mut().take_log());
        if let Some(warning) = outcomes.get_mut().take_warning().filter(|_| args.shows_errors()) {
            printer.note(&[format!("warning: {warning}")]);
        }
        let Some(chunk) = next else {
            if !printer.has_bar() {
                continue;
            }
            let (outcomes, hosts) = (outcomes.get_ref(), outcomes.get_ref().hosts());
            printer.progress(&summary, &outcomes.progress(), &hosts, outcomes.elapsed());
            continue;
        };
        let Some(chunk) = chunk else { break };
        for outcome in &chunk {
            summary.add(outcome);
        }
        if let Some(err) = outcomes.get_mut().take_journal_error() {
            complain(&err.into());
            journal_is_whole = false; // the run goes on without it
        }
        if !unread && let Err(err) = printer.print(&chunk) {
            printer.finish();
            complain(&unprinted(OUTCOMES, &err));
            if args.output.journal.is_none() {
                return Ok(ExitCode::FAILURE);
            }
            unread = true; // what is stored by now still gets into the journal
            ctx.cancel();
        }
        only = chunk.into_iter().next();
    }
    if unread {
        return Ok(ExitCode::FAILURE);
    }
    printer.finish();
    let mut delivered = true;
    if let Some(outcome) = only.filter(|_| args.is_one()) {
        delivered = deliver(args, &place, &outcome);
    }
    let report = summary.report(started.elapsed(), outcomes.get_ref().hosts());
    match args.summary() {
        SummaryFormat::Text => tell(format_args!("{report}")),
        SummaryFormat::Full => tell(format_args!("{report:#}")),
        SummaryFormat::Json => tell(format_args!("{}", serde_json::to_string(&report)?)),
        SummaryFormat::None => {}
    }
    let left = left.load(Ordering::Relaxed);
    let over_time = ctx.err().is_some() && (left || summary.any(ErrorKind::Timeout));
    Ok(ExitCode::from(match () {
        () if over_time => 124,
        () if left || summary.any(ErrorKind::Canceled) => 130,
        () if summary.failed() > 0 || !journal_is_whole || !delivered => 1,
        () => 0,
    }))
}

/// Prints the result of the run's only URL. Returns whether it was fetched.
fn deliver(args: &Args, place: &Place, outcome: &Outcome) -> bool {
    let printed = match (place, &outcome.file) {
        _ if args.prints_head() => one::print_head(outcome),
        (Place::Printed(to), Some(body)) => one::print_body(body, to.as_deref()),
        _ => Ok(()),
    };
    if let Some(error) = outcome.error.as_ref().filter(|_| args.shows_errors()) {
        complain(&format!("{}: {error}", outcome.url).into());
    }
    if let Err(err) = &printed {
        complain(err);
    }
    printed.is_ok()
}

/// Waits for the end of the run, at which an input that still waits is abandoned; `left` records
/// that.
fn input_left(
    ctx: &Context,
    interrupted: &Context,
    left: &Arc<AtomicBool>,
) -> impl Future<Output = ()> + Send + use<> {
    let (ctx, interrupted, left) = (ctx.clone(), interrupted.clone(), left.clone());
    async move {
        future::select(pin!(ctx.done()), pin!(interrupted.done())).await;
        left.store(true, Ordering::Relaxed);
    }
}

/// The URLs of the command line, then those of the file.
fn requests(
    args: &Args,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<impl Stream<Item = Request> + Send, Failed> {
    let defaults = args.defaults();
    let urls: Vec<_> = args.urls.iter().map(|url| defaults.with_target(url)).collect();
    let file = match args.input() {
        Some(path) => {
            let open = Input::open(path);
            let input = open.map_err(|err| {
                let curls = curl::reason("-i").filter(|_| err.kind() == io::ErrorKind::NotFound);
                let curls = curls.map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!("cannot read {}: {err}{curls}", path.display())
            })?;
            input.requests(end, defaults).left_stream()
        }
        None => stream::empty().right_stream(),
    };
    Ok(stream::iter(urls).chain(file))
}

fn complain(err: &Failed) {
    let causes = std::iter::successors(err.source(), |cause| cause.source());
    let message = causes.fold(err.to_string(), |message, cause| format!("{message}: {cause}"));
    tell(format_args!("error: {}", plain(&message)));
}

/// Prints a line to stderr. If stderr is closed, the line is lost.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
