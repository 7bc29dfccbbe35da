//! `file-processor`: a partial result says that it is one, and every row in it is right.

use std::fs;

use attacks::{Ended, Programs, Result, Running};
use serde_json::Value;
use tempfile::TempDir;

use super::Subject;

const FILES: usize = 8000;

pub struct Counter {
    programs: Programs,
    dir: TempDir,
    tree: TempDir,
}

impl Counter {
    pub fn new(programs: &Programs) -> Result<Self> {
        let tree = tempfile::tempdir()?;
        for n in 0..FILES {
            let folder = tree.path().join(format!("{:02}", n % 50));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{n:05}")), "two words\n".repeat(lines_of(n)))?;
        }
        Ok(Self { programs: programs.clone(), dir: tempfile::tempdir()?, tree })
    }

    /// What is wrong in a result: a row that is not the file's, a sum that is not that of the rows.
    fn wrong(result: &Value) -> Option<String> {
        let mut sum = 0;
        let rows = result["files"].as_array()?;
        for row in rows {
            let name = row["path"].as_str()?.rsplit('/').next()?;
            let lines = lines_of(name.parse().ok()?) as u64;
            if row["lines"] != lines || row["words"] != 2 * lines {
                return Some(format!("a wrong row: {row}"));
            }
            sum += lines;
        }
        let total = &result["total"];
        (total["lines"] != sum || total["files"] != rows.len())
            .then(|| format!("{total} is not the sum of the rows, {sum} lines"))
    }
}

fn lines_of(n: usize) -> usize {
    n % 90 + 1
}

impl Subject for Counter {
    fn name(&self) -> &'static str {
        "file-processor"
    }

    fn start(&mut self) -> Result<Running> {
        let tree = self.tree.path().display().to_string();
        self.programs.start("file-processor", &["--format", "json", &tree], self.dir.path())
    }

    fn broken(&mut self, ended: &Ended, twice: bool) -> Result<Option<String>> {
        let result = serde_json::from_str::<Value>(&ended.stdout);
        Ok(match (ended.status, result) {
            (None, _) => None,                    // it had not begun
            (Some(130), Err(_)) if twice => None, // half of an object is not taken for a result
            (Some(status @ (0 | 130)), Ok(result)) => {
                let files = result["total"]["files"].as_u64();
                let is_whole = result["complete"] == true && files == Some(FILES as u64);
                let is_partial = result["complete"] == false;
                let kept = if status == 0 { is_whole } else { is_partial };
                if kept {
                    Self::wrong(&result)
                } else {
                    Some(format!("{status}: {}", result["total"]))
                }
            }
            (status, result) => Some(format!("{status:?}, {result:?}: {}", ended.stderr)),
        })
    }
}
