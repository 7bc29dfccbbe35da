use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::{Gauge, limited, peak_memory, pool, threads, unlimited};

/// A way to do many things at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Design {
    /// An OS thread for each piece of work.
    Threads,
    /// As many OS threads as there are workers, and a queue.
    Pool,
    /// A task for each piece of work.
    Tasks,
    /// A task for each piece of work, and as many permits as there are workers.
    Semaphore,
}

/// The load that a design carries.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many pieces of work.
    pub tasks: usize,
    /// How many may run at once, in a design with a limit.
    pub workers: usize,
    /// How long each of them waits.
    pub work: Duration,
}

/// What the load took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// From the first piece of work to the end of the last.
    pub time: Duration,
    /// How many ran at once at most, counted inside the work.
    pub peak: usize,
    /// By how many bytes the peak memory of the process grew; `None` if the system does not report
    /// it.
    pub memory: Option<u64>,
}

/// Runs the load and measures it. `begin` is called at the start of each piece of work; the value
/// that it returns is dropped at the end of that piece.
///
/// # Errors
///
/// If the system gives no more threads, or a task panicked.
///
/// # Cancel safety
///
/// Dropping the future leaves the tasks running, and nothing waits for them.
///
/// # Panics
///
/// If `begin` panics on a thread. Also outside a multi-thread runtime.
pub async fn measure<G: Send>(
    design: Design,
    load: Load,
    begin: impl Fn() -> G + Clone + Send + Sync + 'static,
) -> Result<Measured, Box<dyn Error + Send + Sync>> {
    let Load { tasks, workers, work } = load;
    let gauge = Arc::new(Gauge::default());
    let waiting_thread = || {
        let _running = gauge.start();
        let _begun = begin();
        thread::sleep(work);
    };
    let waiting_task = || {
        let (gauge, begin) = (Arc::clone(&gauge), begin.clone());
        async move {
            let _running = gauge.start();
            let _begun = begin();
            sleep(work).await;
        }
    };
    let before = peak_memory();
    let started = Instant::now();
    match design {
        Design::Threads => block_in_place(|| threads(tasks, waiting_thread))?,
        Design::Pool => block_in_place(|| pool(tasks, workers, waiting_thread))?,
        Design::Tasks => unlimited(tasks, waiting_task).await,
        Design::Semaphore => limited(tasks, workers, waiting_task).await,
    }
    let time = started.elapsed();
    let memory = peak_memory().zip(before).map(|(after, before)| after.saturating_sub(before));
    match tasks - gauge.done() {
        0 => Ok(Measured { time, peak: gauge.peak(), memory }),
        panicked => Err(format!("{panicked} of {tasks} tasks panicked").into()),
    }
}

impl Design {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Threads, Self::Pool, Self::Tasks, Self::Semaphore];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Pool => "pool",
            Self::Tasks => "tasks",
            Self::Semaphore => "semaphore",
        }
    }

    /// How many may run at once, if there is a limit.
    pub fn limit(self, load: Load) -> Option<usize> {
        match self {
            Self::Threads | Self::Tasks => None,
            Self::Pool | Self::Semaphore => Some(load.workers),
        }
    }
}

/// The line that [`FromStr`] reads: nanoseconds, peak and bytes.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time.as_nanos(), self.peak)?;
        self.memory.map_or(Ok(()), |bytes| write!(f, " {bytes}"))
    }
}

impl FromStr for Measured {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().transpose();
        let time = Duration::from_nanos(next()?.ok_or("no time was measured")?);
        let peak = usize::try_from(next()?.ok_or("no peak was measured")?)?;
        Ok(Self { time, peak, memory: next()? })
    }
}

#[cfg(test)]
mod tests {
    use leaks::leak_check;

    use super::*;

    const LOAD: Load = Load { tasks: 20, workers: 4, work: Duration::from_millis(1) };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_design_does_all_the_work_and_keeps_its_limit() {
        for design in Design::ALL {
            let measured = leak_check(measure(design, LOAD, || {})).await.unwrap();
            assert!(measured.time >= LOAD.work, "{design:?}: {measured:?}");
            let limit = design.limit(LOAD).unwrap_or(LOAD.tasks);
            assert!((1..=limit).contains(&measured.peak), "{design:?}: {measured:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_in_a_task_is_an_error() {
        for design in [Design::Tasks, Design::Semaphore] {
            let measured = leak_check(measure(design, LOAD, || panic!("bad"))).await;
            assert_eq!(measured.unwrap_err().to_string(), "20 of 20 tasks panicked");
        }
    }

    #[test]
    fn a_measurement_survives_the_way_to_another_process() {
        for memory in [None, Some(12_345)] {
            let measured = Measured { time: Duration::from_micros(1_234_567), peak: 10, memory };
            assert_eq!(measured.to_string().parse::<Measured>().unwrap(), measured);
        }
        assert!("".parse::<Measured>().is_err());
        assert!("1 x".parse::<Measured>().is_err());
    }
}
