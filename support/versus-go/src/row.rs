use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// One workload of the table.
#[derive(Debug)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// The public functions that are measured, called as they are.
    pub measures: &'static str,
    /// How many items a run has.
    pub items: u64,
    /// The rows of the Go program: the same contract first, then Go with a trick of its own.
    pub go: &'static [&'static str],
    /// How our side is run.
    pub work: Work,
}

/// How our side of a row is run.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// By this function, with that many items, in a process of its own.
    Function(fn(u64) -> Run),
    /// By this program of the workspace, which reads that many numbers from stdin. The whole
    /// process is measured, on both sides.
    Program(&'static str),
}

/// One run of a workload, on either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The measured part, in seconds.
    pub seconds: f64,
    /// The most memory that the process has had, in bytes; 0 if the system does not report it.
    pub memory: u64,
    /// A sum or a count that has to be the same on both sides.
    pub check: u64,
}

/// How both sides report a run to the process that started them.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9} {} {}", self.seconds, self.memory, self.check)
    }
}

impl FromStr for Run {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [seconds, memory, check] = fields[..] else {
            return Err(format!("`{line}` is not `seconds memory check`").into());
        };
        Ok(Self { seconds: seconds.parse()?, memory: memory.parse()?, check: check.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_survives_the_pipe() {
        let run = Run { seconds: 0.25, memory: 4096, check: u64::MAX };
        assert_eq!(run.to_string().parse::<Run>().unwrap(), run);
        assert!("0.25 4096".parse::<Run>().is_err());
    }
}
