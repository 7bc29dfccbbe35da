//! How fast `file-processor` is, next to the programs that people use for the same.
//!
//! ```text
//! cargo bench -p exercises --bench file_processor [-- --rounds 5] [--tree DIR] [--only WORD]
//! ```
//!
//! All contenders of a table take turns, so that a slow phase of the machine affects all of them;
//! the ratio is that of the medians. Everything runs in the C locale on at most two CPUs
//! (`taskset`) with a warm page cache. A program that is not installed is named and left out. The
//! data, 60,000 files of source-like text and a file of 1 GB, are made once, below the target
//! directory.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing else to do")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

const PROGRAM: &str = env!("CARGO_BIN_EXE_file-processor");
const FILES: u64 = 60_000;
const LARGE: u64 = 1_000_000_000;
/// The bytes of text for `--top`: as much as `sort` handles in a few seconds.
const TEXT: u64 = 64_000_000;
const MEMORY_GOAL_KIB: u64 = 16 * 1024;

#[derive(Parser)]
struct Args {
    /// How often each contender has its turn
    #[arg(long, default_value_t = rounds())]
    rounds: usize,
    /// A tree of your own instead of the made one
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Only the tables whose title has this word
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` passes, and `cargo test --benches` does not
    #[arg(long, hide = true)]
    bench: bool,
}

/// `ROUNDS` in the environment, or five.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// A table: our run, and others with the ratio that ours has to reach.
struct Table {
    title: String,
    ours: Contender,
    others: Vec<(Contender, Goal)>,
}

enum Contender {
    /// A shell command, and the program that it needs.
    Shell(&'static str, String),
    /// Only reading a file with two threads, into memory that begins this number of bytes behind a
    /// page boundary.
    OnlyRead(PathBuf, usize),
}

enum Goal {
    /// The other program takes at least this many times as long.
    Slower(f64),
    /// Ours takes at most this many times as long as the other program.
    AtMost(f64),
    /// No goal: it shows what the machine can do.
    Shown,
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        println!("a benchmark: run it with `cargo bench`");
        return;
    }
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("file-processor");
    make(&data);
    let tree = args.tree.unwrap_or_else(|| data.join("tree"));
    for table in tables(&tree, &data.join("large"), &data.join("text")) {
        if table.title.contains(&args.only) {
            table.run(args.rounds);
        }
    }
    println!("\npeak memory, goal below {} MiB", MEMORY_GOAL_KIB / 1024);
    for path in [&tree, &data.join("large")] {
        let peak = peak_memory(&["-lwcmL", &path.to_string_lossy()]);
        println!("  {:5.1} MiB  file-processor -lwcmL {}", peak as f64 / 1024.0, path.display());
    }
}

fn tables(tree: &Path, large: &Path, text: &Path) -> Vec<Table> {
    let only_read = |behind| Contender::OnlyRead(large.to_path_buf(), behind);
    let tree = quote(tree);
    let (large, text) = (quote(large), quote(text));
    let ours = |args: &str| Contender::Shell("", format!("{PROGRAM} {args}"));
    let shell = |program, command: String| Contender::Shell(program, command);
    let table = |title: &str, ours, others| Table { title: title.into(), ours, others };
    vec![
        table(
            "tree, -lwc",
            ours(&format!("-j2 --format wc {tree}")),
            vec![
                (
                    shell("xargs", format!("find {tree} -type f -print0 | xargs -0 -P2 wc -lwc")),
                    Goal::Slower(10.0),
                ),
                (
                    shell(
                        "cw",
                        format!(
                            "find {tree} -type f -print0 \
                             | cw --threads=2 -lwc --files0-from=/dev/stdin"
                        ),
                    ),
                    Goal::Slower(4.2),
                ),
                (shell("tokei", format!("tokei {tree}")), Goal::Slower(6.0)),
                (ours(&format!("-j1 --format wc {tree}")), Goal::Slower(1.7)),
            ],
        ),
        table(
            "tree, -l",
            ours(&format!("-j2 -l --format wc {tree}")),
            vec![(shell("rg", format!("rg -j2 -c '' {tree}")), Goal::Slower(2.8))],
        ),
        table(
            "large file, -lwc",
            ours(&format!("-j2 {large}")),
            vec![
                (shell("wc", format!("wc -lwc {large}")), Goal::Slower(50.0)),
                (only_read(0), Goal::AtMost(1.3)),
                (ours(&format!("-j1 {large}")), Goal::Slower(1.7)),
            ],
        ),
        table(
            "large file, -l",
            ours(&format!("-j2 -l {large}")),
            vec![
                (shell("wc", format!("wc -l {large}")), Goal::Slower(1.8)),
                (only_read(0), Goal::AtMost(1.25)),
                (only_read(16), Goal::Shown),
            ],
        ),
        table(
            "text, --top 10",
            ours(&format!("-j2 --top 10 {text}")),
            vec![
                (
                    shell(
                        "sort",
                        format!(
                            "tr -s '[:space:]' '\\n' < {text} \
                             | sort | uniq -c | sort -rn | head -10"
                        ),
                    ),
                    Goal::Slower(4.0),
                ),
                (ours(&format!("-j1 --top 10 {text}")), Goal::Slower(1.4)),
            ],
        ),
        table(
            "tree, --top 10",
            ours(&format!("-j2 --top 10 {tree}")),
            vec![(ours(&format!("-j1 --top 10 {tree}")), Goal::Slower(1.4))],
        ),
    ]
}

impl Table {
    fn run(&self, rounds: usize) {
        println!("\n{}", self.title);
        let others = self.others.iter().filter(|(other, _)| other.is_installed());
        let others: Vec<_> = others.collect();
        let contenders = || [&self.ours].into_iter().chain(others.iter().map(|(other, _)| other));
        for contender in contenders() {
            contender.time(); // warms the cache
        }
        let mut times = vec![Vec::new(); others.len() + 1];
        for _ in 0..rounds {
            for (times, contender) in times.iter_mut().zip(contenders()) {
                times.push(contender.time().as_secs_f64());
            }
        }
        let medians: Vec<_> = times.into_iter().map(median).collect();
        println!("  {:8.3} s                       {}", medians[0], self.ours);
        for ((other, goal), time) in others.iter().zip(&medians[1..]) {
            println!("  {time:8.3} s  {}  {other}", goal.judge(medians[0], *time));
        }
    }
}

impl Goal {
    fn judge(&self, ours: f64, other: f64) -> String {
        let (ratio, sign, goal, met) = match self {
            Self::Shown => return format!("{:5.2}x                ", ours / other),
            Self::Slower(goal) => (other / ours, '≥', goal, other / ours >= *goal),
            Self::AtMost(goal) => (ours / other, '≤', goal, ours / other <= *goal),
        };
        let verdict = if met { "met   " } else { "missed" };
        format!("{ratio:5.2}x ({sign} {goal:4} {verdict})")
    }
}

impl Contender {
    fn is_installed(&self) -> bool {
        let Self::Shell(program, _) = self else { return true };
        let installed = program.is_empty() || found(program);
        if !installed {
            println!("  not installed, left out: {program}");
        }
        installed
    }

    fn time(&self) -> Duration {
        match self {
            Self::Shell(_, command) => {
                let mut shell = on_two_cpus("sh");
                shell.args(["-c", command]).stdout(Stdio::null());
                let started = Instant::now();
                assert!(shell.status().unwrap().success(), "{command}");
                started.elapsed()
            }
            Self::OnlyRead(path, behind) => {
                let started = Instant::now();
                only_read(path, *behind);
                started.elapsed()
            }
        }
    }
}

impl std::fmt::Display for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shell(_, command) => {
                let home = format!("{}/", env!("CARGO_TARGET_TMPDIR"));
                f.write_str(&command.replace(PROGRAM, "file-processor").replace(&home, ""))
            }
            Self::OnlyRead(_, 0) => f.write_str("only reading it, two threads, page-aligned"),
            Self::OnlyRead(_, behind) => {
                write!(f, "only reading it, {behind} bytes behind a page, as malloc gives it")
            }
        }
    }
}

fn found(program: &str) -> bool {
    let command = format!("command -v {program}");
    Command::new("sh").args(["-c", &command]).stdout(Stdio::null()).status().unwrap().success()
}

fn on_two_cpus(program: &str) -> Command {
    let mut command = if found("taskset") {
        let mut command = Command::new("taskset");
        command.args(["-c", "0,1", program]);
        command
    } else {
        Command::new(program)
    };
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// The program's own `Buffer` explains why it matters where the memory begins.
fn only_read(path: &Path, behind: usize) {
    const CHUNK: usize = 256 * 1024;
    const PAGE: usize = 4096;
    let (file, next) = (File::open(path).unwrap(), AtomicU64::new(0));
    let read = || {
        let mut memory = vec![0; CHUNK + 2 * PAGE];
        let start = memory.as_ptr().align_offset(PAGE) + behind;
        let buffer = &mut memory[start..start + CHUNK];
        while file
            .read_at(buffer, next.fetch_add(1, Ordering::Relaxed) * CHUNK as u64)
            .is_ok_and(|read| read > 0)
        {}
    };
    thread::scope(|scope| {
        scope.spawn(read);
        scope.spawn(read);
    });
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn quote(path: &Path) -> String {
    format!("'{}'", path.to_str().unwrap().replace('\'', "'\\''"))
}

/// The peak memory of a run in KiB, sampled every millisecond.
fn peak_memory(args: &[&str]) -> u64 {
    let mut command = Command::new(PROGRAM);
    let mut child = command.args(args).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(memory(&child).unwrap_or_default());
        thread::sleep(Duration::from_millis(1));
    }
    peak
}

fn memory(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

// --- The data ---

/// Makes the tree and the large files, unless they are there.
fn make(data: &Path) {
    let done = data.join("done");
    if done.exists() {
        return;
    }
    println!("making 60,000 files and one of 1 GB in {}", data.display());
    let mut random = Random(1);
    let vocabulary = vocabulary(&mut random);
    for n in 0..FILES {
        let dir = data.join(format!("tree/{}/{}", n / 2000, n / 100));
        if n % 100 == 0 {
            fs::create_dir_all(&dir).unwrap();
        }
        let extension = ["rs", "c", "py", "md"][n as usize % 4];
        // The median is 4 KiB and the mean 13 KiB, as in trees of source code.
        let size = 4096.0 * (1.55 * random.normal()).exp();
        let path = dir.join(format!("file{n}.{extension}"));
        text(&path, size as u64, &vocabulary, &mut random);
    }
    text(&data.join("large"), LARGE, &vocabulary, &mut random);
    text(&data.join("text"), TEXT, &vocabulary, &mut random);
    fs::write(done, "").unwrap();
}

fn vocabulary(random: &mut Random) -> Vec<String> {
    let syllables = ["re", "con", "ta", "in", "er", "fn", "_", "lo", "str", "u", "Map", "x"];
    let word = |random: &mut Random| {
        (0..=random.below(5)).map(|_| syllables[random.below(12) as usize]).collect()
    };
    (0..20_000).map(|_| word(random)).collect()
}

/// Indented lines of words, the frequent ones very frequent.
fn text(path: &Path, size: u64, vocabulary: &[String], random: &mut Random) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut left = size;
    while left > 0 {
        let mut line = " ".repeat(4 * random.below(4) as usize);
        for _ in 0..random.below(10) {
            let rank = (vocabulary.len() as f64).powf(random.unit()) as usize - 1;
            line.push_str(&vocabulary[rank]);
            line.push_str([" ", " ", " = ", ", ", "; "][random.below(5) as usize]);
        }
        line.push('\n');
        let written = line.len().min(left as usize);
        file.write_all(&line.as_bytes()[..written]).unwrap();
        left -= written as u64;
    }
    file.flush().unwrap();
}

/// `SplitMix64`: the same data on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normally distributed, with a standard deviation of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}
