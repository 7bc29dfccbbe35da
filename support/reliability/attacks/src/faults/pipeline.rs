//! `data-pipeline`: killed, out of disk, and with its checkpoint torn.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use attacks::{Ended, Programs, Result, differs, lines};
use rand::RngExt;
use rustix::process::Signal;
use tempfile::TempDir;

use super::disk::{Overcommitted, Small};
use super::{Count, Lab};

const NEEDS_MOUNTS: &str = "no disk may be mounted here: that takes root";

/// A folder with two sources, and what one undisturbed run makes of them.
struct Job {
    programs: Programs,
    dir: TempDir,
    wanted: Vec<String>,
}

/// The outputs, relative to the folder they go to.
const OUTPUTS: [&str; 3] = ["out", "win", "dead"];

impl Job {
    fn new(programs: &Programs) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("a.log"), lines(0..60_000) + "not json\n")?;
        fs::write(dir.path().join("b.log"), lines(1000..50_000))?;
        let mut job = Self { programs: programs.clone(), dir, wanted: Vec::new() };
        let whole = job.dir.path().join("whole");
        fs::create_dir(&whole)?;
        let ended = job.run(&whole, None)?;
        if ended.status != Some(0) {
            return Err(format!("undisturbed it fails: {}", ended.stderr).into());
        }
        for name in OUTPUTS {
            job.wanted.push(fs::read_to_string(whole.join(name))?);
        }
        Ok(job)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// The flags of a run with its outputs in `to`.
    fn args(to: &Path, checkpoint: Option<&Path>) -> Vec<String> {
        let mut args: Vec<_> =
            ["run", "--file", "*.log", "--by", "k", "--p", "v", "--where", "v!=3"]
                .map(str::to_owned)
                .into();
        for (flag, name) in ["--out", "--aggregates", "--dead-letters"].iter().zip(OUTPUTS) {
            args.extend([(*flag).to_owned(), to.join(name).display().to_string()]);
        }
        args.extend(["--workers=2", "--max-keys=100000"].map(str::to_owned));
        args.extend(checkpoint.map(|path| format!("--checkpoint={}", path.display())));
        args
    }

    fn run(&self, to: &Path, checkpoint: Option<&Path>) -> Result<Ended> {
        let args = Self::args(to, checkpoint);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.programs.run("data-pipeline", &args, self.dir.path())
    }

    /// Runs it to its end and compares with the undisturbed run.
    fn settle(&self, to: &Path, checkpoint: &Path, count: &mut Count) -> Result<()> {
        let ended = self.run(to, Some(checkpoint))?;
        let is_well = ended.status == Some(0) && ended.stderr.contains("imbalance 0");
        count.expect(is_well, || format!("the last run: {:?} {}", ended.status, ended.stderr));
        let (mut lost, mut extra) = (0, 0);
        for (name, wanted) in OUTPUTS.iter().zip(&self.wanted) {
            let got = fs::read(to.join(name)).unwrap_or_default();
            let difference = differs(&String::from_utf8_lossy(&got), wanted);
            (lost, extra) = (lost + difference.0, extra + difference.1);
        }
        count.add((lost, extra));
        Ok(())
    }
}

/// Kills it twenty times in a row, each time a little later, and repeats all of that five times.
pub fn killed(lab: &mut Lab) -> Result<Count> {
    let job = Job::new(&lab.programs)?;
    let started = Instant::now();
    job.run(&job.path("whole"), None)?;
    let usual = started.elapsed();
    let mut count = Count::default();
    for round in 0..5 {
        let to = job.path(&format!("round-{round}"));
        fs::create_dir(&to)?;
        let checkpoint = to.join("ck");
        let args = Job::args(&to, Some(&checkpoint));
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        for _ in 0..20 {
            let running = job.programs.start("data-pipeline", &args, job.dir.path())?;
            sleep(usual.mul_f64(lab.random.random_range(0.0..1.0)));
            running.signal(Signal::KILL);
            running.wait()?;
        }
        job.settle(&to, &checkpoint, &mut count)?;
        count.tries += 19;
    }
    Ok(count)
}

/// The outputs' disk runs full; once there is room again, the next run goes on.
pub fn disk_full(lab: &mut Lab) -> Result<Count> {
    if !lab.may_mount {
        return Ok(Count::skipped(NEEDS_MOUNTS));
    }
    let job = Job::new(&lab.programs)?;
    let mut count = Count::default();
    for size in ["64k", "256k", "1M", "2M", "3M"] {
        let to = job.path(&format!("disk-{size}"));
        let disk = Small::mount(&to, size)?;
        let checkpoint = job.path(&format!("ck-{size}"));
        let ended = job.run(&to, Some(&checkpoint))?;
        let is_told = ended.status == Some(1) && ended.stderr.contains("No space left");
        count.expect(is_told, || format!("{size}: {:?} {}", ended.status, ended.stderr));
        disk.grow("64M")?;
        job.settle(&to, &checkpoint, &mut count)?;
    }
    Ok(count)
}

/// The checkpoint's own disk runs full.
pub fn checkpoint_disk_full(lab: &mut Lab) -> Result<Count> {
    if !lab.may_mount {
        return Ok(Count::skipped(NEEDS_MOUNTS));
    }
    let job = Job::new(&lab.programs)?;
    let mut count = Count::default();
    for round in 0..3 {
        let to = job.path(&format!("to-{round}"));
        fs::create_dir(&to)?;
        let checkpoint = job.path(&format!("full-{round}"));
        let disk = Small::mount(&checkpoint, "64k")?;
        fs::write(checkpoint.join("other"), vec![0; 64 * 1024 - 4096 * 2])?;
        let ended = job.run(&to, Some(&checkpoint.join("ck")))?;
        let is_told =
            ended.status == Some(1) && ended.stderr.contains("cannot write the checkpoint");
        count.expect(is_told, || format!("{:?} {}", ended.status, ended.stderr));
        disk.grow("1M")?;
        job.settle(&to, &checkpoint.join("ck"), &mut count)?;
    }
    Ok(count)
}

/// The disk takes every write, and its fsync fails. What it had taken is gone.
pub fn failing_fsync(lab: &mut Lab) -> Result<Count> {
    if !lab.may_mount || !Path::new("/dev/loop-control").exists() {
        return Ok(Count::skipped("it takes root and a loop device"));
    }
    let job = Job::new(&lab.programs)?;
    let mut count = Count::default();
    for size in ["1M", "2M", "3M"] {
        let to = job.path(&format!("fsync-{size}"));
        let disk = match Overcommitted::mount(&to, size) {
            Ok(disk) => disk,
            Err(err) => return Ok(Count::skipped(&format!("there is no such disk here: {err}"))),
        };
        OUTPUTS.iter().try_for_each(|name| fs::File::create(to.join(name))?.sync_all())?;
        let checkpoint = job.path(&format!("ck-fsync-{size}"));
        let ended = job.run(&to, Some(&checkpoint))?;
        let is_told = ended.status == Some(1) && ended.stderr.contains("cannot write to");
        count.expect(is_told, || format!("{size}: {:?} {}", ended.status, ended.stderr));
        disk.repair("64M")?;
        job.settle(&to, &checkpoint, &mut count)?;
    }
    Ok(count)
}

/// The newest checkpoint is cut anywhere, or a byte of it is altered: the one before it holds.
pub fn torn_checkpoint(lab: &mut Lab) -> Result<Count> {
    let job = Job::new(&lab.programs)?;
    let mut count = Count::default();
    for round in 0..20 {
        let to = job.path(&format!("torn-{round}"));
        fs::create_dir(&to)?;
        let checkpoint = to.join("ck");
        let args = Job::args(&to, Some(&checkpoint));
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut running = job.programs.start("data-pipeline", &args, job.dir.path())?;
        running.until("two checkpoints", || to.join("ck.prev").exists())?;
        sleep(Duration::from_millis(lab.random.random_range(0..50)));
        running.signal(Signal::KILL);
        running.wait()?;
        // If a kill between its two renames left no checkpoint of this name, that is the fault.
        if let Ok(mut bytes) = fs::read(&checkpoint) {
            let at = lab.random.random_range(0..bytes.len());
            if round % 2 == 0 {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1;
            }
            fs::write(&checkpoint, bytes)?;
        }
        job.settle(&to, &checkpoint, &mut count)?;
    }
    Ok(count)
}
