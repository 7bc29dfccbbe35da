//! `shutdown`: one signal stops all workers and says so, the second one exits at once.

use attacks::{Ended, Programs, Result, Running};
use tempfile::TempDir;

use super::Subject;

pub struct Ticker {
    programs: Programs,
    dir: TempDir,
}

impl Ticker {
    pub fn new(programs: &Programs) -> Result<Self> {
        Ok(Self { programs: programs.clone(), dir: tempfile::tempdir()? })
    }
}

impl Subject for Ticker {
    fn name(&self) -> &'static str {
        "shutdown"
    }

    fn start(&mut self) -> Result<Running> {
        self.programs.start("shutdown", &[], self.dir.path())
    }

    fn broken(&mut self, ended: &Ended, twice: bool) -> Result<Option<String>> {
        let graceful = ended.stdout.ends_with("All workers stopped gracefully\nServer stopped\n");
        let stopped = ended.stdout.matches(" shutting down gracefully").count();
        let kept = match ended.status {
            Some(0) => graceful && stopped == ended.stdout.matches(" starting\n").count(),
            Some(130) => twice,
            None => true, // it had not begun
            Some(_) => false,
        };
        Ok((!kept).then(|| format!("{ended:?}")))
    }
}
