//! Leaves the data pipeline and the client running and watches them: memory, threads and open
//! descriptors after a warm-up and at the end, and the ledger all the time.
//!
//! `soak [--seconds 120] [--programs target/debug]`

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use attacks::{Programs, Result, head, number, row, status_value};

#[path = "../soak/client.rs"]
mod client;
#[path = "../soak/pipeline.rs"]
mod pipeline;

/// The pause between two checks.
const LOOK: Duration = Duration::from_millis(500);

/// The largest growth of memory after the warm-up, as a share.
const GROWTH: f64 = 0.05;

/// Growth below this is ignored, in KiB: allocators round, so it says nothing about a program of a
/// few MiB.
const ROUNDING: u64 = 512;

/// What one check of a process shows.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    kib: u64,
    threads: u64,
    descriptors: u64,
}

impl Look {
    fn at(id: u32) -> Result<Self> {
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64;
        let (kib, threads) = (status_value(id, "VmRSS")?, status_value(id, "Threads")?);
        Ok(Self { kib, threads, descriptors })
    }

    /// The median of each, so that a short peak does not count as growth.
    fn median(looks: &[Self]) -> Self {
        let of = |value: fn(&Self) -> u64| {
            let mut values: Vec<_> = looks.iter().map(value).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            kib: of(|look| look.kib),
            threads: of(|look| look.threads),
            descriptors: of(|look| look.descriptors),
        }
    }
}

/// A program that is left running.
trait Soaked {
    fn name(&self) -> &'static str;
    fn id(&self) -> u32;
    /// What is wrong with its counts now.
    fn wrong(&mut self) -> Result<Option<String>>;
    /// Ends it, and returns what it has done and what was wrong.
    fn end(self: Box<Self>) -> Result<(String, Option<String>)>;
}

fn main() -> Result<ExitCode> {
    let time = Duration::from_secs(number("--seconds", 120)?);
    let programs = Programs::find()?;
    let mut soaked: Vec<Box<dyn Soaked>> = vec![
        Box::new(pipeline::Pipe::start(&programs)?),
        Box::new(client::Fetcher::start(&programs)?),
    ];
    let mut looks = vec![Vec::new(); soaked.len()];
    let mut wrong = vec![Vec::new(); soaked.len()];
    let started = Instant::now();
    while started.elapsed() < time {
        for ((program, looks), wrong) in soaked.iter_mut().zip(&mut looks).zip(&mut wrong) {
            looks.push(Look::at(program.id())?);
            wrong.extend(program.wrong()?);
        }
        sleep(LOOK);
    }
    let columns =
        ["program", "time", "work", "looks", "memory", "growth", "threads", "descriptors", "wrong"];
    head(&columns);
    let mut is_well = true;
    for ((program, looks), mut wrong) in soaked.into_iter().zip(looks).zip(wrong) {
        let name = program.name();
        let (work, at_the_end) = program.end()?;
        wrong.extend(at_the_end);
        let (early, late) = (warm(&looks), late(&looks));
        let growth = (late.kib as f64 - early.kib as f64) / early.kib as f64;
        let range = |of: fn(&Look) -> u64| format!("{} to {}", of(&early), of(&late));
        let kib = range(|look| look.kib) + " KiB";
        let (threads, files) = (range(|look| look.threads), range(|look| look.descriptors));
        let percent = format!("{:+.1} %", growth * 100.0);
        let seconds = format!("{} s", time.as_secs());
        row(&[
            &name,
            &seconds,
            &work,
            &looks.len(),
            &kib,
            &percent,
            &threads,
            &files,
            &wrong.len(),
        ]);
        let grows = growth >= GROWTH && late.kib > early.kib + ROUNDING;
        is_well &= wrong.is_empty() && !grows;
        wrong.iter().take(3).for_each(|why| eprintln!("{name}: {why}"));
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The median from a fifth to two fifths of the time: what comes before is the warm-up.
fn warm(looks: &[Look]) -> Look {
    Look::median(&looks[looks.len() / 5..(looks.len() * 2 / 5).max(looks.len() / 5 + 1)])
}

/// The median in the last fifth of the time.
fn late(looks: &[Look]) -> Look {
    Look::median(&looks[looks.len() * 4 / 5..])
}
