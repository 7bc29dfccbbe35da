//! `cargo bench -p exercises --bench data_pipeline`: data-pipeline against its peers, interleaved,
//! as ratios. Peers that are not installed are left out, and named.
//!
//! `LINES=1000000 ROUNDS=3` make it shorter. `GO=/path/to/go` if it is not in the PATH.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_data-pipeline");

/// One way to do the job.
struct Contender {
    name: &'static str,
    command: Vec<String>,
    /// Events a second, one for each round.
    rates: Vec<f64>,
    /// The largest resident memory in MiB.
    memory: f64,
}

fn main() {
    if !env::args().any(|arg| arg == "--bench") {
        return; // `cargo test --benches` only wants to know that it builds
    }
    let setting = |name, default| env::var(name).map_or(default, |text| text.parse().unwrap());
    let (lines, rounds) = (setting("LINES", 5_000_000), setting("ROUNDS", 5_u64));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data-pipeline");
    fs::create_dir_all(&folder).unwrap();
    let input = folder.join(format!("{lines}.ndjson"));
    if !input.exists() {
        generate(lines, &input);
    }
    fs::read(&input).map(|bytes| bytes.len()).unwrap(); // into the page cache
    let mut contenders = contenders(&folder, &input);
    for _ in 0..rounds {
        for contender in &mut contenders {
            run(contender, lines, &folder);
        }
    }
    report(&contenders);
}

/// 275 bytes and 11 fields a line, 4 of them wanted, 10 % with a status of 500 and more.
fn generate(lines: u64, to: &Path) {
    let services = ["auth", "cart", "checkout", "inventory", "search", "shipping", "payments"];
    let mut file = BufWriter::new(File::create(to).unwrap());
    for n in 0..lines {
        let random =
            n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D);
        let (seconds, millis) = (n / 20_000, n / 20 % 1000);
        let status = if random % 10 == 0 { 503 } else { 200 };
        let latency = 1 + (random >> 8) % 300;
        writeln!(
            file,
            r#"{{"ts":"2026-03-01T{:02}:{:02}:{:02}.{millis:03}Z","level":"info","service":"{}","host":"web-{:02}","method":"GET","path":"/api/v1/items/{:07}","status":{status},"latency_ms":{latency},"bytes":{},"agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0","trace_id":"{random:016x}{n:016x}"}}"#,
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            services[(random >> 20) as usize % services.len()],
            random % 97,
            n % 9_999_999,
            random % 100_000,
        )
        .unwrap();
    }
    file.flush().unwrap();
}

fn contenders(folder: &Path, input: &Path) -> Vec<Contender> {
    let input = input.to_str().unwrap().to_owned();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let job = ["--where", "status>=500", "--by", "service", "--p", "latency_ms"];
    let ours = |extra: &[&str]| {
        let mut command = vec![PROGRAM.to_owned(), "run".to_owned(), "--file".to_owned()];
        command.push(input.clone());
        command.extend(job.map(str::to_owned));
        command.extend(["--out".to_owned(), path("out"), "--aggregates".to_owned(), path("win")]);
        command.extend(extra.iter().map(|arg| (*arg).to_owned()));
        command
    };
    let checkpoint = path("ck");
    let safe = ["--checkpoint", &checkpoint, "--http", "0"];
    let mut contenders = vec![
        contender(
            "checkpoints and metrics, 2 workers",
            ours(&[&safe[..], &["--workers", "2"]].concat()),
        ),
        contender("the same, 1 worker", ours(&[&safe[..], &["--workers", "1"]].concat())),
        contender("without checkpoints", ours(&["--http", "0", "--workers", "2"])),
        contender("without either", ours(&["--workers", "2"])),
    ];
    if let Some(go) = go_peer(folder) {
        for (name, batch) in [("Go, one event per message", "1"), ("Go, batches of 256", "256")] {
            let command = [&go, "-batch", batch, &input, &path("go-out"), &path("go-win")];
            contenders.push(contender(name, command.map(str::to_owned).to_vec()));
        }
    }
    if installed("mawk") {
        // Four at once, each on a quarter cut at a line end. It counts, and does not parse JSON.
        let script = format!(
            "split -n l/4 --filter='mawk -F\"\\\"status\\\":\" \
             \"{{ s = substr(\\$2, 1, 3); if (s >= 500) {{ print; n++ }} }}\" > {}-$FILE' {input}",
            path("mawk")
        );
        contenders.push(contender("split and four mawk", shell(&script)));
    }
    for name in ["fluent-bit", "vector", "rsyslogd"] {
        if !installed(name) {
            println!("{name} is not installed: not compared");
        }
    }
    contenders
}

fn contender(name: &'static str, command: Vec<String>) -> Contender {
    Contender { name, command, rates: Vec::new(), memory: 0.0 }
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
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

fn run(contender: &mut Contender, lines: u64, folder: &Path) {
    for old in ["ck", "ck.prev"] {
        let _ = fs::remove_file(folder.join(old)); // the first round has none
    }
    let started = Instant::now();
    let mut command = Command::new(&contender.command[0]);
    command.args(&contender.command[1..]).stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{}", contender.name);
            break;
        }
        // The high-water mark so far; the kernel keeps it, so a look now and then is enough.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
        contender.memory = contender.memory.max(peak.unwrap_or(0.0) / 1024.0);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    contender.rates.push(lines as f64 / started.elapsed().as_secs_f64());
}

fn report(contenders: &[Contender]) {
    let median = |contender: &Contender| {
        let mut rates = contender.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let ours = median(&contenders[0]);
    let mut text =
        String::from("| | M events/s (least to most) | ours is | MiB |\n|---|---|---|---|\n");
    for contender in contenders {
        let of =
            |fold: fn(f64, f64) -> f64| contender.rates.iter().copied().reduce(fold).unwrap() / 1e6;
        writeln!(
            text,
            "| {} | {:.2} ({:.2}–{:.2}) | {:.2}× | {:.0} |",
            contender.name,
            median(contender) / 1e6,
            of(f64::min),
            of(f64::max),
            ours / median(contender),
            contender.memory
        )
        .unwrap();
    }
    println!("{text}");
}
