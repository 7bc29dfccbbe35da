//! `api-client`: every request has exactly one outcome, and a request in the journal is not fetched
//! again.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use attacks::{Ended, Programs, Result, Running, Server};
use serde_json::Value;
use tempfile::TempDir;

use super::Subject;

const REQUESTS: usize = 150;

pub struct Fetcher {
    programs: Programs,
    server: Server,
    dir: TempDir,
    runs: usize,
}

impl Fetcher {
    pub fn new(programs: &Programs) -> Result<Self> {
        let server = Server::start(Duration::from_millis(10), true)?;
        Ok(Self { programs: programs.clone(), server, dir: tempfile::tempdir()?, runs: 0 })
    }

    fn urls(&self) -> Vec<String> {
        (0..REQUESTS).map(|n| self.server.url(&format!("/{}/{n}", self.runs))).collect()
    }

    fn run(&self, resume: bool) -> Result<Running> {
        let args = ["-i", "urls", "--journal", "journal", "--format", "ndjson"];
        let pace = ["-c", "8", "--rate", "5000/s", "--burst", "50"];
        let resume = if resume { &["--resume"][..] } else { &[] };
        self.programs.start("api-client", &[&args[..], &pace, resume].concat(), self.dir.path())
    }

    /// The URLs that were fetched, from whole lines of NDJSON, each with its count.
    fn fetched(text: &str) -> HashMap<String, usize> {
        let mut fetched = HashMap::new();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if line["error"].is_null() {
                let url = line["url"].as_str().unwrap_or_default().to_owned();
                *fetched.entry(url).or_default() += 1;
            }
        }
        fetched
    }

    fn journal(&self) -> HashMap<String, usize> {
        Self::fetched(&fs::read_to_string(self.dir.path().join("journal")).unwrap_or_default())
    }
}

impl Subject for Fetcher {
    fn name(&self) -> &'static str {
        "api-client"
    }

    fn start(&mut self) -> Result<Running> {
        self.runs += 1;
        fs::write(self.dir.path().join("urls"), self.urls().join("\n"))?;
        let _ = fs::remove_file(self.dir.path().join("journal")); // there is none the first time
        self.run(false)
    }

    fn broken(&mut self, ended: &Ended, twice: bool) -> Result<Option<String>> {
        let (said, journal) = (Self::fetched(&ended.stdout), self.journal());
        let outcomes = ended.stdout.lines().count();
        let is_drained = match ended.status {
            Some(0 | 130) => outcomes == REQUESTS && said == journal,
            status => status.is_none() && outcomes == 0,
        };
        let is_cut = twice && ended.status == Some(130);
        if !is_drained && !is_cut {
            return Ok(Some(format!("{:?}: {outcomes} outcomes, {}", ended.status, ended.stderr)));
        }
        if let Some(url) = said.keys().find(|url| !journal.contains_key(*url)) {
            return Ok(Some(format!("{url} was given out before it was in the journal")));
        }
        let before: HashMap<_, _> =
            journal.keys().map(|url| (url.clone(), self.server.hits(url))).collect();
        let resumed = self.run(true)?.wait()?;
        let all = Self::fetched(&resumed.stdout);
        if resumed.status != Some(0)
            || all.len() != REQUESTS
            || all.values().any(|times| *times > 1)
        {
            return Ok(Some(format!("resumed: {} of {REQUESTS}: {}", all.len(), resumed.stderr)));
        }
        let again = before.iter().find(|(url, hits)| self.server.hits(url) != **hits);
        Ok(again.map(|(url, _)| format!("{url} was in the journal and fetched again")))
    }
}
