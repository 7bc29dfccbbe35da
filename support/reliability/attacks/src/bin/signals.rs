//! Stops the programs at random moments: with one SIGTERM, and with two SIGINT. Each must keep what
//! it promises: nothing lost, nothing twice, and an exit status that says what happened.
//!
//! `signals [--terms 200] [--ints 100] [--seed 1] [--programs target/debug]`

use std::ops::Range;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use attacks::{Ended, Programs, Result, Running, head, number, row};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

#[path = "../signals/client.rs"]
mod client;
#[path = "../signals/files.rs"]
mod files;
#[path = "../signals/pipeline.rs"]
mod pipeline;
#[path = "../signals/shutdown.rs"]
mod shutdown;

/// How long after the first SIGINT the second one comes: it takes 300 ms to mean "exit at once".
const SECOND: Range<f64> = 0.3..0.35;

/// A program under attack.
trait Subject {
    fn name(&self) -> &'static str;

    /// Starts it in a folder that holds nothing from before.
    fn start(&mut self) -> Result<Running>;

    /// The promises that it broke, after it was stopped in that folder. `twice` means that a second
    /// signal told it to exit at once.
    fn broken(&mut self, ended: &Ended, twice: bool) -> Result<Option<String>>;
}

/// The result of one way to stop one program.
#[derive(Default)]
struct Tally {
    statuses: std::collections::BTreeMap<String, u32>,
    exits: Vec<Duration>,
    broken: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let (terms, ints, seed) =
        (number("--terms", 200)?, number("--ints", 100)?, number("--seed", 1)?);
    let programs = Programs::find()?;
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(shutdown::Ticker::new(&programs)?),
        Box::new(files::Counter::new(&programs)?),
        Box::new(client::Fetcher::new(&programs)?),
        Box::new(pipeline::Pipe::new(&programs)?),
    ];
    let mut random = StdRng::seed_from_u64(seed);
    let each = subjects.len() as u64;
    head(&[
        "program",
        "signals",
        "tries",
        "exit statuses",
        "median exit",
        "slowest exit",
        "broken",
    ]);
    let mut is_whole = true;
    for subject in &mut subjects {
        let usual = usual(subject.as_mut())?;
        for (tries, twice) in [(terms.div_ceil(each), false), (ints.div_ceil(each), true)] {
            let tally = attack(subject.as_mut(), tries, twice, usual, &mut random)?;
            is_whole &= tally.broken.is_empty();
            tally.print(subject.name(), if twice { "2 x SIGINT" } else { "SIGTERM" }, tries);
        }
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How long it takes undisturbed, or a second if it runs for ever.
fn usual(subject: &mut dyn Subject) -> Result<Duration> {
    let started = Instant::now();
    let running = subject.start()?;
    let limit = Duration::from_secs(if subject.name() == "shutdown" { 1 } else { 60 });
    drop(running.wait_for(limit)); // the ticker hangs, as it should
    Ok(started.elapsed())
}

fn attack(
    subject: &mut dyn Subject,
    tries: u64,
    twice: bool,
    usual: Duration,
    random: &mut StdRng,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for _ in 0..tries {
        let running = subject.start()?;
        sleep(usual.mul_f64(random.random_range(0.0..1.0)));
        if twice {
            running.signal(Signal::INT);
            sleep(Duration::from_secs_f64(random.random_range(SECOND)));
            running.signal(Signal::INT);
        } else {
            running.signal(Signal::TERM);
        }
        let ended = running.wait()?;
        tally.exits.push(ended.took);
        *tally.statuses.entry(status(&ended)).or_default() += 1;
        let broken = match early(&ended) {
            Some(why) => Some(why),
            None => subject.broken(&ended, twice)?,
        };
        tally.broken.extend(broken);
    }
    Ok(tally)
}

fn status(ended: &Ended) -> String {
    match (ended.status, ended.signal) {
        (Some(status), _) => status.to_string(),
        (None, Some(signal)) => format!("killed by {signal}"),
        (None, None) => "none".to_owned(),
    }
}

/// A program that does not listen yet is killed by the signal; then it must not have printed
/// anything.
fn early(ended: &Ended) -> Option<String> {
    match ended.signal {
        Some(2 | 15) if ended.stdout.is_empty() => None,
        Some(signal) => Some(format!("killed by {signal} after it had begun: {ended:?}")),
        None => None,
    }
}

impl Tally {
    fn print(mut self, name: &str, signals: &str, tries: u64) {
        self.exits.sort_unstable();
        let millis =
            |at: usize| format!("{} ms", self.exits.get(at).map_or(0, Duration::as_millis));
        let statuses: Vec<_> =
            self.statuses.iter().map(|(status, times)| format!("{status} ({times})")).collect();
        let (median, slowest) = (millis(self.exits.len() / 2), millis(self.exits.len() - 1));
        let broken = self.broken.len();
        row(&[&name, &signals, &tries, &statuses.join(", "), &median, &slowest, &broken]);
        for why in self.broken.iter().take(3) {
            eprintln!("{name}, {signals}: {why}");
        }
    }
}
