use std::fs::read_dir;
use std::time::{Duration, Instant};
use std::{env, thread};

/// The environment variable that says a process runs one test at a time, so that all it holds
/// belongs to that test.
const ALONE: &str = "LEAK_CHECK_PROCESS";

/// The pause between two checks of [`Process::assert_no_more`].
const POLL: Duration = Duration::from_millis(1);

/// What a process holds, besides tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    threads: usize,
    descriptors: usize,
}

impl Process {
    /// What this process holds now; `None` where tests run side by side, or without `/proc`.
    pub(crate) fn if_alone() -> Option<Self> {
        env::var_os(ALONE)?;
        Self::now()
    }

    fn now() -> Option<Self> {
        let count = |folder| Some(read_dir(folder).ok()?.count());
        Some(Self { threads: count("/proc/self/task")?, descriptors: count("/proc/self/fd")? })
    }

    /// Waits until the process holds no more than this, for `grace` at the longest. Time is real
    /// here: a paused clock does not hurry a thread.
    pub(crate) fn assert_no_more(self, grace: Duration) {
        let started = Instant::now();
        while let Some(after) = Self::now() {
            if after.threads <= self.threads && after.descriptors <= self.descriptors {
                return;
            }
            assert!(started.elapsed() < grace, "leaked: {self:?} before, {after:?} after");
            thread::sleep(POLL);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;
    use crate::leak_check;

    /// The environment variable that tells `what_is_left`, in a process of its own, what to leave
    /// behind.
    const LEFT: &str = "LEAK_CHECK_LEFT";

    #[test]
    fn threads_and_descriptors_that_are_left_are_leaks() {
        for (left, found) in [("nothing", false), ("thread", true), ("descriptor", true)] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "process::tests::what_is_left", "--test-threads=1"]);
            let run = command.env(ALONE, "1").env(LEFT, left).output().unwrap();
            let output = String::from_utf8_lossy(&run.stdout);
            assert_eq!(!run.status.success(), found, "{left}: {output}");
            assert_eq!(output.contains("leaked: Process"), found, "{left}: {output}");
        }
    }

    /// Run as a test of its own, it leaves nothing.
    #[tokio::test(start_paused = true)]
    async fn what_is_left() {
        let left = env::var(LEFT).unwrap_or_default();
        let mut kept = None;
        leak_check(async {
            drop(File::open("/dev/null").unwrap());
            thread::spawn(|| {}).join().unwrap();
            match left.as_str() {
                "thread" => drop(thread::spawn(thread::park)),
                "descriptor" => kept = Some(File::open("/dev/null").unwrap()),
                _ => {}
            }
        })
        .await;
        drop(kept);
    }
}
