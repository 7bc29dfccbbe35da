//! `cargo bench -p exercises --bench data_pipeline`: data-pipeline against its peers, interleaved,
//! as ratios. Peers that are not installed are left out, and named.
//!
//! `LINES=1000000 ROUNDS=3` make it shorter, `ROWS=NATS` runs only the rows with that in their names,
//! and the first, which the others are compared with. `GO=/path/to/go` if it is not in the PATH; the analytic
//! engines are looked for as packages of `PYTHON=/path/to/python3`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod daemons;
mod engines;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_data-pipeline");

/// One way to do the job.
struct Contender {
    name: &'static str,
    lines: u64,
    shape: Shape,
    /// The commands run at the same time; the last one ends by itself when its part is done.
    commands: Vec<Vec<String>>,
    /// Where the matching lines go. The job is done when the last command has ended and this file
    /// grows no more.
    out: PathBuf,
    /// How many matching lines there must be, if they are all written to one file.
    matches: Option<usize>,
    /// The file of its windows, if they are compared.
    windows: Option<PathBuf>,
    /// Events a second, one for each round.
    rates: Vec<f64>,
    /// Microseconds of CPU for each event, of all commands together, one for each round.
    cpu: Vec<f64>,
    /// The largest resident memory in MiB, of all commands together.
    memory: f64,
}

/// The time after which a round counts as hanging.
const LONGEST: Duration = Duration::from_mins(5);

/// What the commands write to stderr, in the folder of the benchmark.
const LOG: &str = "stderr.log";

/// As many as the input has files.
const FILES: usize = 4;

const NATS: &str = "127.0.0.1:14222";
const NATS_PORT: &str = "14222";

/// A program that would take minutes gets every tenth line.
const SLOW: u64 = 10;

/// A file counts as complete after this time without growth, if no program reports its end.
const STILL: Duration = Duration::from_secs(2);

fn main() {
    if !env::args().any(|arg| arg == "--bench") {
        return; // `cargo test --benches` only checks that it builds
    }
    let setting = |name, default| env::var(name).map_or(default, |text| text.parse().unwrap());
    let (lines, rounds) = (setting("LINES", 5_000_000), setting("ROUNDS", 5_u64));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data-pipeline");
    fs::create_dir_all(&folder).unwrap();
    let mut contenders = contenders(&folder, lines);
    let (rows, ours) = (env::var("ROWS").unwrap_or_default(), contenders[0].name);
    contenders.retain(|contender| contender.name == ours || contender.name.contains(&rows));
    let mut ours = None;
    for _ in 0..rounds {
        for contender in &mut contenders {
            let written = run(contender, &folder);
            let matches = contender.matches.unwrap_or(written);
            assert!(written > 0 && written == matches, "{}: {written} lines", contender.name);
            if let Some(windows) = &contender.windows {
                let windows = engines::windows(windows);
                let ours = ours.get_or_insert_with(|| windows.clone());
                engines::assert_same(contender.name, ours, &windows);
            }
        }
    }
    report(&contenders);
}

/// How the same events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Flat,
    /// The unwanted fields are nested four objects and arrays deep.
    Nested,
    /// A third of each line is escapes.
    Escaped,
    /// The fields come in another order in each line.
    Shuffled,
}

/// Files with `lines` lines together, as of servers that log at the same time.
struct Input {
    files: Vec<PathBuf>,
    /// The pattern that matches them.
    pattern: String,
}

impl Input {
    /// Makes them, unless they are there.
    fn of(folder: &Path, shape: Shape, lines: u64) -> Self {
        let folder = folder.join(format!("{lines}-{shape:?}"));
        let files: Vec<_> = (1..=FILES).map(|n| folder.join(format!("{n}.ndjson"))).collect();
        if !folder.exists() {
            let unfinished = folder.with_extension("unfinished");
            fs::create_dir_all(&unfinished).unwrap();
            generate(shape, lines, &unfinished);
            fs::rename(&unfinished, &folder).unwrap();
        }
        Self { files, pattern: folder.join("*.ndjson").to_str().unwrap().to_owned() }
    }

    fn matches(&self) -> usize {
        let matches = |file| {
            let text = fs::read_to_string(file).unwrap();
            text.matches(r#""status":503"#).count()
        };
        self.files.iter().map(matches).sum()
    }

    /// Reads the files into the page cache, which may have dropped them since the last contender.
    fn warm(&self) {
        for file in &self.files {
            io::copy(&mut File::open(file).unwrap(), &mut io::sink()).unwrap();
        }
    }
}

/// 275 bytes and 11 fields a line, 4 of them wanted, 6 % with a status of 500 and more; with more
/// fields where the shape asks for them.
fn generate(shape: Shape, lines: u64, to: &Path) {
    let services = [
        "auth",
        "billing",
        "cart",
        "catalog",
        "checkout",
        "inventory",
        "login",
        "payments",
        "profile",
        "search",
        "shipping",
        "users",
    ];
    let file = |n| BufWriter::new(File::create(to.join(format!("{n}.ndjson"))).unwrap());
    let mut files: Vec<_> = (1..=FILES).map(file).collect();
    for n in 0..lines {
        let random =
            n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D);
        let (seconds, millis) = (n / 20_000, n / 20 % 1000);
        let status = if random % 50 < 3 { 503 } else { 200 };
        let latency = 100 + (random >> 8) % 29_900;
        let mut fields = vec![
            format!(
                r#""ts":"2026-03-01T{:02}:{:02}:{:02}.{millis:03}Z""#,
                seconds / 3600 % 24,
                seconds / 60 % 60,
                seconds % 60
            ),
            r#""level":"info""#.to_owned(),
            format!(r#""service":"{}""#, services[(random >> 20) as usize % services.len()]),
            format!(r#""host":"web-{:02}""#, random % 97),
            r#""method":"GET""#.to_owned(),
            format!(r#""path":"/api/v1/items/{:07}""#, n % 9_999_999),
            format!(r#""status":{status}"#),
            format!(r#""latency_ms":{}.{:02}"#, latency / 100, latency % 100),
            format!(r#""bytes":{}"#, random % 100_000),
            r#""agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0""#.to_owned(),
            format!(r#""trace_id":"{random:016x}{n:016x}""#),
        ];
        match shape {
            Shape::Flat => {}
            Shape::Nested => fields.insert(
                2,
                format!(r#""k8s":{{"pod":{{"ips":["10.0.0.{}",{{"v6":[]}}],"n":{n}}},"ok":[[true]]}}"#, n % 256),
            ),
            Shape::Escaped => fields.insert(
                2,
                format!(r#""error":"at \"step {n}\":\n\tC:\\a\\b\u00e9\/\n\t\"caf\u00e9 \ud83d\ude00\"\r\n""#),
            ),
            Shape::Shuffled => {
                fields.rotate_left(n as usize % 11);
                fields.swap(random as usize % 11, (random >> 8) as usize % 11);
            }
        }
        writeln!(files[n as usize % FILES], "{{{}}}", fields.join(",")).unwrap();
    }
    for file in &mut files {
        file.flush().unwrap();
    }
}

fn contenders(folder: &Path, lines: u64) -> Vec<Contender> {
    let flat = Input::of(folder, Shape::Flat, lines);
    let matches = Some(flat.matches());
    let input = flat.pattern.clone();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let job = ["--where", "status>=500", "--by", "service", "--p", "latency_ms", "--out"];
    let ours = |source: &[&str], out: &str, extra: &[&str]| {
        let outputs = [&path(out), "--aggregates", &path("win")];
        words(&[&[PROGRAM, "run"], source, &job, &outputs, extra].concat())
    };
    let (file, checkpoint) = (["--file", &input], path("ck"));
    let safe = ["--checkpoint", &checkpoint, "--http", "0", "--workers"];
    let one = |name, command, out: &str| Contender {
        windows: Some(folder.join("win")),
        ..contender(name, lines, vec![command], folder.join(out), matches)
    };
    let mut contenders = vec![
        one(
            "checkpoints and metrics, 2 workers",
            ours(&file, "out", &[&safe[..], &["2"]].concat()),
            "out",
        ),
        one("the same, 1 worker", ours(&file, "out", &[&safe[..], &["1"]].concat()), "out"),
        one("without checkpoints", ours(&file, "out", &["--http", "0", "--workers", "2"]), "out"),
        one("without either", ours(&file, "out", &["--workers", "2"]), "out"),
    ];
    for (name, shape) in [
        ("the same, nested lines", Shape::Nested),
        ("the same, lines with escapes", Shape::Escaped),
        ("the same, fields in any order", Shape::Shuffled),
    ] {
        let input = Input::of(folder, shape, lines);
        let file = ["--file", &input.pattern];
        contenders
            .push(Contender { shape, ..one(name, ours(&file, "out", &["--workers", "2"]), "out") });
    }
    contenders.extend(engines::contenders(folder, &input, lines, matches));
    if installed("nats-server") {
        assert!(TcpStream::connect(NATS).is_err(), "another program listens on {NATS}");
        // One process ingests all events, the other receives them and does the job.
        for (name, query) in [
            ("through NATS, compressed", "?compression=zstd"),
            ("through NATS, not compressed", ""),
        ] {
            let server = ["nats-server", "-js", "-a", "127.0.0.1", "-p", NATS_PORT, "-sd"];
            let server = words(&[&server[..], &[&path("nats-store")]].concat());
            let nats = ["--nats", NATS, "--stream", "events", "--consumer", "bench"];
            let worker = ours(&nats, "nats-out", &["--checkpoint", &path("nats-ck")]);
            let sink = format!("nats://{NATS}/events{query}");
            let ingest = [PROGRAM, "run", "--file", &input, "--out", &sink];
            let ingest = words(&[&ingest[..], &["--checkpoint", &checkpoint]].concat());
            let out = folder.join("nats-out");
            contenders.push(contender(name, lines, vec![server, worker, ingest], out, matches));
        }
    }
    if let Some(go) = go_peer(folder) {
        for (name, batch) in [("Go, one event per message", "1"), ("Go, batches of 256", "256")] {
            let mut command = words(&[&go, "-batch", batch, &path("go-out"), &path("go-win")]);
            command.extend(flat.files.iter().map(|file| file.to_str().unwrap().to_owned()));
            let go = one(name, command, "go-out");
            contenders.push(Contender { windows: Some(folder.join("go-win")), ..go });
        }
    }
    if installed("mawk") {
        // Four at once, one for each file. They count, and do not parse JSON.
        let script = format!(
            "for file in {input}; do mawk -F'\"status\":' \
             '{{ s = substr($2, 1, 3); if (s >= 500) {{ print; n++ }} }}' $file \
             > {}-$(basename $file) & done; wait",
            path("mawk")
        );
        let (name, command) = ("four mawk", words(&["sh", "-c", &script]));
        let out = folder.join("mawk-1.ndjson");
        contenders.push(contender(name, lines, vec![command], out, None));
    }
    if installed("rsyslogd") {
        contenders.push(daemons::rsyslog(folder, lines / SLOW));
    }
    if installed("fluent-bit") {
        contenders.extend(daemons::fluent_bits(folder, lines));
    }
    for name in ["nats-server", "mawk", "rsyslogd", "fluent-bit", "vector"] {
        if !installed(name) {
            println!("{name} is not installed: not compared");
        }
    }
    contenders
}

fn contender(
    name: &'static str,
    lines: u64,
    commands: Vec<Vec<String>>,
    out: PathBuf,
    matches: Option<usize>,
) -> Contender {
    Contender {
        name,
        lines,
        shape: Shape::Flat,
        commands,
        out,
        matches,
        windows: None,
        rates: Vec::new(),
        cpu: Vec::new(),
        memory: 0.0,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn installed(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .unwrap()
        .status
        .success()
}

/// Builds the Go program; `None` if there is no Go.
fn go_peer(folder: &Path) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/data_pipeline/peer.go");
    let program: PathBuf = folder.join("go-peer");
    let go = env::var("GO").unwrap_or_else(|_| "go".to_owned());
    let built = Command::new(go).args(["build", "-o"]).arg(&program).arg(source).status();
    if built.is_ok_and(|status| status.success()) {
        return Some(program.to_str()?.to_owned());
    }
    println!("there is no Go here: not compared");
    None
}

/// Gives the number of lines in its output.
fn run(contender: &mut Contender, folder: &Path) -> usize {
    let lines = contender.lines as f64;
    for old in ["ck", "ck.prev", "nats-ck", "nats-ck.prev"].map(|name| folder.join(name)) {
        let _ = fs::remove_file(old); // the first round has none
    }
    let _ = fs::remove_file(&contender.out);
    for old in ["nats-store", "rsyslog-work"].map(|name| folder.join(name)) {
        let _ = fs::remove_dir_all(&old);
        fs::create_dir_all(old).unwrap();
    }
    Input::of(folder, contender.shape, contender.lines).warm();
    let log = File::create(folder.join(LOG)).unwrap();
    let (mut started, before) = (Instant::now(), cpu_of_children());
    let mut running = Running(Vec::new());
    for command in &contender.commands {
        let mut command_of = Command::new(&command[0]);
        command_of.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        running.0.push(command_of.stderr(log.try_clone().unwrap()).spawn().unwrap());
        if command[0] == "nats-server" {
            while TcpStream::connect(NATS).is_err() {
                sleep(Duration::from_millis(1));
            }
            started = Instant::now(); // the file may exist already; from now on its growth counts
        }
    }
    let took = wait(&mut running.0, &contender.out, started, &mut contender.memory);
    drop(running);
    let spent = cpu_of_children() - before;
    contender.rates.push(lines / took.as_secs_f64());
    contender.cpu.push(spent * 1e6 / lines);
    fs::read(&contender.out).unwrap().split_inclusive(|byte| *byte == b'\n').count()
}

/// Commands that are killed if they still run when this is dropped, even by a panic.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill(); // most have ended
            let _ = child.wait();
        }
    }
}

/// Returns the time until the last command has ended and, if others still run, until the output
/// last grew.
fn wait(running: &mut [Child], out: &Path, started: Instant, memory: &mut f64) -> Duration {
    let (mut length, mut grown, mut ended) = (0, Duration::ZERO, None);
    loop {
        // The kernel keeps the high-water marks, so reading them now and then is enough.
        *memory = memory.max(running.iter().map(|child| peak(child.id())).sum());
        let now = started.elapsed();
        assert!(now < LONGEST, "the commands hang; they wrote to {LOG}");
        let there = fs::metadata(out).map_or(0, |metadata| metadata.len());
        if there > length {
            (length, grown) = (there, now);
        }
        let (last, servers) = running.split_last_mut().expect("there is at least one");
        let all_serve = servers.iter_mut().all(|server| server.try_wait().unwrap().is_none());
        assert!(all_serve, "a command ended that serves the last one; it wrote to {LOG}");
        if ended.is_none()
            && let Some(status) = last.try_wait().unwrap()
        {
            assert!(status.success(), "the last command failed; it wrote to {LOG}");
            ended = Some(now);
        }
        match ended {
            Some(ended) if running.len() == 1 => return ended,
            Some(ended) if now > ended.max(grown) + STILL && length > 0 => return grown,
            _ => sleep(Duration::from_millis(5)),
        }
    }
}

/// In MiB; 0 for a process that has ended.
fn peak(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    peak.unwrap_or(0.0) / 1024.0
}

/// Seconds of CPU time of all children that have been waited for. Linux counts in ticks of 10 ms.
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks = rest.split_whitespace().skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Ratios are taken round by round, since the contenders of a round ran next to each other.
fn report(contenders: &[Contender]) {
    let ours = &contenders[0];
    let mut text = String::from(
        "| | M events/s (least to most) | ours is | µs of CPU an event | our CPU to its | MiB |\n\
         |---|---|---|---|---|---|\n",
    );
    for contender in contenders {
        let of =
            |fold: fn(f64, f64) -> f64| contender.rates.iter().copied().reduce(fold).unwrap() / 1e6;
        writeln!(
            text,
            "| {} | {:.2} ({:.2}–{:.2}) | {:.2}× | {:.2} | {:.2}× | {:.0} |",
            contender.name,
            median(contender.rates.iter().copied()) / 1e6,
            of(f64::min),
            of(f64::max),
            median(ours.rates.iter().zip(&contender.rates).map(|(ours, its)| ours / its)),
            median(contender.cpu.iter().copied()),
            median(ours.cpu.iter().zip(&contender.cpu).map(|(ours, its)| ours / its)),
            contender.memory
        )
        .unwrap();
    }
    println!("{text}");
}
