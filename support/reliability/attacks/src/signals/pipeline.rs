//! `data-pipeline`: drained, in balance, and a run that goes on later ends with the same files as
//! one that was never stopped.

use std::fs;

use attacks::{Ended, Programs, Result, Running, lines};
use tempfile::TempDir;

use super::Subject;

const JOB: [&str; 16] = [
    "run",
    "--file",
    "in",
    "--by",
    "k",
    "--p",
    "v",
    "--where",
    "v!=3",
    "--out",
    "out",
    "--aggregates",
    "win",
    "--dead-letters",
    "dead",
    "--workers=2",
];
const OUTPUTS: [&str; 3] = ["out", "win", "dead"];

pub struct Pipe {
    programs: Programs,
    input: String,
    wanted: Vec<String>,
    dir: TempDir,
}

impl Pipe {
    pub fn new(programs: &Programs) -> Result<Self> {
        let input = lines(0..60_000) + "not json\n" + &lines(60_000..120_000);
        let whole = tempfile::tempdir()?;
        fs::write(whole.path().join("in"), &input)?;
        let ended = programs.run("data-pipeline", &JOB, whole.path())?;
        if ended.status != Some(0) {
            return Err(format!("undisturbed it fails: {}", ended.stderr).into());
        }
        let read = |name| fs::read_to_string(whole.path().join(name));
        let wanted = OUTPUTS.iter().map(read).collect::<std::io::Result<_>>()?;
        Ok(Self { programs: programs.clone(), input, wanted, dir: tempfile::tempdir()? })
    }

    fn run(&self) -> Result<Running> {
        let args = [&JOB[..], &["--checkpoint", "ck"]].concat();
        self.programs.start("data-pipeline", &args, self.dir.path())
    }
}

impl Subject for Pipe {
    fn name(&self) -> &'static str {
        "data-pipeline"
    }

    fn start(&mut self) -> Result<Running> {
        self.dir = tempfile::tempdir()?;
        fs::write(self.dir.path().join("in"), &self.input)?;
        self.run()
    }

    fn broken(&mut self, ended: &Ended, twice: bool) -> Result<Option<String>> {
        let kept = match ended.status {
            Some(0) => ended.stderr.contains("imbalance 0"),
            Some(130) => twice,
            None => true, // it had not begun
            Some(_) => false,
        };
        if !kept {
            return Ok(Some(format!("{ended:?}")));
        }
        let resumed = self.run()?.wait()?;
        if resumed.status != Some(0) || !resumed.stderr.contains("imbalance 0") {
            return Ok(Some(format!("resumed: {}", resumed.stderr)));
        }
        for (name, wanted) in OUTPUTS.iter().zip(&self.wanted) {
            if fs::read_to_string(self.dir.path().join(name))? != *wanted {
                return Ok(Some(format!("`{name}` is not that of one run")));
            }
        }
        Ok(None)
    }
}
