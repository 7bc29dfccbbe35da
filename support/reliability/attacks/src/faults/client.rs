//! `api-client`: killed, its journal torn, its disks full.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use attacks::{Ended, Result, Server};
use rand::RngExt;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::disk::Small;
use super::{Count, Lab};

const REQUESTS: usize = 200;

struct Job {
    server: Server,
    dir: TempDir,
}

impl Job {
    fn new() -> Result<Self> {
        let job = Self {
            server: Server::start(Duration::from_millis(10), true)?,
            dir: tempfile::tempdir()?,
        };
        let urls: Vec<_> = (0..REQUESTS).map(|n| job.server.url(&format!("/{n}"))).collect();
        fs::write(job.dir.path().join("urls"), urls.join("\n"))?;
        Ok(job)
    }

    fn args<'a>(journal: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["-i", "urls", "--format", "ndjson", "-c", "8", "--rate", "5000/s", "--journal"];
        [&args[..], &[journal], more].concat()
    }

    /// How many requests have no successful outcome, and how many have more than one.
    fn count(text: &str) -> (usize, usize) {
        let mut fetched = HashMap::<String, usize>::new();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if line["error"].is_null() {
                *fetched.entry(line["url"].to_string()).or_default() += 1;
            }
        }
        (REQUESTS - fetched.len(), fetched.values().map(|times| times - 1).sum())
    }

    /// Resumes the run and counts; what was in the journal must not be asked for again.
    fn settle(&self, lab: &Lab, journal: &Path, count: &mut Count) -> Result<()> {
        let text = fs::read_to_string(journal).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let known = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let known: Vec<_> =
            known.filter_map(|line| Some(line["url"].as_str()?.to_owned())).collect();
        let hits = || known.iter().map(|url| self.server.hits(url)).sum::<u64>();
        let before = hits();
        let journal = journal.display().to_string();
        let args = Self::args(&journal, &["--resume"]);
        let ended = lab.programs.run("api-client", &args, self.dir.path())?;
        count.expect(ended.status == Some(0), || format!("{:?} {}", ended.status, ended.stderr));
        let (lost, twice) = Self::count(&ended.stdout);
        count.add((lost, twice + (hits() - before) as usize));
        Ok(())
    }
}

pub fn killed(lab: &mut Lab) -> Result<Count> {
    let mut count = Count::default();
    for _ in 0..20 {
        let job = Job::new()?;
        let running =
            lab.programs.start("api-client", &Job::args("journal", &[]), job.dir.path())?;
        sleep(Duration::from_millis(lab.random.random_range(0..400)));
        running.signal(Signal::KILL);
        running.wait()?;
        job.settle(lab, &job.dir.path().join("journal"), &mut count)?;
    }
    Ok(count)
}

pub fn torn_journal(lab: &mut Lab) -> Result<Count> {
    let mut count = Count::default();
    let job = Job::new()?;
    lab.programs.run("api-client", &Job::args("whole", &[]), job.dir.path())?;
    let whole = fs::read(job.dir.path().join("whole"))?;
    for _ in 0..20 {
        let journal = job.dir.path().join("torn");
        fs::write(&journal, &whole[..lab.random.random_range(0..whole.len())])?;
        job.settle(lab, &journal, &mut count)?;
    }
    Ok(count)
}

/// The journal's disk runs full: the run goes on without it and says so, and each request has its
/// outcome.
pub fn journal_disk_full(lab: &mut Lab) -> Result<Count> {
    if !lab.may_mount {
        return Ok(Count::skipped("no disk may be mounted here: that takes root"));
    }
    let mut count = Count::default();
    for size in ["4k", "8k", "16k"] {
        let job = Job::new()?;
        let path = job.dir.path().join("disk");
        let disk = Small::mount(&path, size)?;
        let args = Job::args("disk/journal", &[]);
        let ended: Ended = lab.programs.run("api-client", &args, job.dir.path())?;
        let is_told = ended.status == Some(1) && ended.stderr.contains("No space left");
        count.expect(is_told, || format!("{size}: {:?} {}", ended.status, ended.stderr));
        count.add(Job::count(&ended.stdout));
        disk.grow("1M")?;
        job.settle(lab, &path.join("journal"), &mut count)?;
    }
    Ok(count)
}
