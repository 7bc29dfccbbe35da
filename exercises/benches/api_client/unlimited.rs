//! Requests per second without a limit, next to programs that do nothing but send. Ours gets a very
//! high rate. Without it, it starts at twenty requests a second and takes most of a second to reach
//! full speed; a row of its own shows that.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::nginx::Nginx;
use super::verdict;

const OURS: &str = env!("CARGO_BIN_EXE_api-client");

/// The connections of each contender.
const CONNECTIONS: usize = 50;
/// The required share of the requests per second of `oha`, which sends one URL again and again and
/// keeps nothing.
const GOAL: f64 = 0.35;
/// The same for the fetching tools.
const AHEAD: f64 = 1.0;
/// The files of the second race: how many, and how long each is.
const FILES: usize = 5_000;
const FILE: usize = 100_000;
/// The fetching tools get fewer requests, because they take longer.
const CURL_SHARE: usize = 3;

/// A contender: what it is called, its arguments, and how many requests it makes.
struct Contender {
    name: &'static str,
    args: Vec<String>,
    requests: Requests,
    goal: Option<f64>,
}

/// How many requests a contender makes.
enum Requests {
    Exactly(usize),
    /// `wrk` runs for a fixed time, and reports the number at its end.
    AsItSays,
}

/// The result of one turn.
struct Turn {
    per_second: f64,
    /// Microseconds of CPU time for each request.
    cpu: f64,
}

pub(crate) fn race(rounds: usize, requests: usize) {
    let Some(nginx) = Nginx::start("unlimited.conf", 1) else { return };
    let directory = tempfile::tempdir().unwrap();
    let contenders = contenders(&nginx, &directory, requests);
    let contenders: Vec<_> = contenders.into_iter().filter(Contender::is_installed).collect();
    let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
    for contender in &contenders {
        contender.turn(); // warms up
    }
    for _ in 0..rounds {
        for (turns, contender) in turns.iter_mut().zip(&contenders) {
            turns.push(contender.turn());
        }
    }
    println!(
        "\nunlimited: {CONNECTIONS} connections, one thread, {requests} requests, {rounds} rounds"
    );
    for (contender, theirs) in contenders.iter().zip(&turns) {
        contender.print(theirs, &turns[0]);
    }
}

/// Files written to disk, next to the tools that fetch: each into a directory of its own. After its
/// turn the files are emptied and not removed: for minutes ext4 searches past each removed file
/// when it makes a new one, so every contender would pay for those before it.
pub(crate) fn files(rounds: usize) {
    let Some(nginx) = Nginx::start("unlimited.conf", 1) else { return };
    let directory = tempfile::tempdir().unwrap();
    fs::write(nginx.directory.path().join("file"), vec![b'x'; FILE]).unwrap();
    let url = |n| format!("http://127.0.0.1:{}/files/{n}", nginx.port);
    let urls: Vec<_> = (0..FILES).map(url).collect();
    let list = directory.path().join("urls");
    fs::write(&list, urls.join("\n")).unwrap();
    let config = directory.path().join("curl");
    let lines = urls.iter().enumerate();
    let lines = lines.map(|(n, url)| format!("url = {url}\noutput = @/{n}\n"));
    fs::write(&config, lines.collect::<String>()).unwrap();
    let (list, config) = (list.display(), config.display());
    let contenders = [
        (OURS, format!("-c {CONNECTIONS} --rate 1000000/s --summary none -o @ -i {list}")),
        ("curl", format!("-s -Z --create-dirs --parallel-max {CONNECTIONS} -K {config}")),
        ("wget2", format!("-q --max-threads={CONNECTIONS} -P @ -i {list}")),
        ("aria2c", format!("-q -j {CONNECTIONS} -d @ -i {list}")),
    ];
    let contenders: Vec<_> = contenders
        .into_iter()
        .map(|(name, args)| Contender {
            name,
            args: args.split_whitespace().map(str::to_owned).collect(),
            requests: Requests::Exactly(FILES),
            goal: (name != OURS).then_some(AHEAD),
        })
        .filter(Contender::is_installed)
        .collect();
    let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (index, (turns, contender)) in turns.iter_mut().zip(&contenders).enumerate() {
            let into = directory.path().join(format!("{round}-{index}"));
            fs::create_dir(&into).unwrap();
            turns.push(contender.in_directory(&into).turn());
            let whole = |entry: std::io::Result<fs::DirEntry>| {
                let path = entry.unwrap().path();
                let body = fs::read(&path).unwrap();
                fs::write(path, "").unwrap();
                body.len() == FILE && body.iter().all(|byte| *byte == b'x')
            };
            let written =
                fs::read_dir(&into).unwrap().filter_map(|entry| whole(entry).then_some(()));
            assert_eq!(written.count(), FILES, "{} has not fetched them all", contender.name);
        }
    }
    println!("\nfiles: {FILES} of {FILE} bytes, {CONNECTIONS} connections, {rounds} rounds");
    for (contender, theirs) in contenders.iter().zip(&turns) {
        contender.print(theirs, &turns[0]);
    }
}

fn contenders(nginx: &Nginx, directory: &TempDir, requests: usize) -> Vec<Contender> {
    let urls = nginx.urls(requests);
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let few = requests / CURL_SHARE;
    let list = file("urls", urls.join("\n"));
    let config = urls[..few].iter().fold(String::new(), |mut config, url| {
        writeln!(config, "url = {url}\noutput = /dev/null").unwrap();
        config
    });
    let config = file("curl", config);
    let few_urls = file("few", urls[..few].join("\n"));
    let scratch = directory.path().join("scratch").display().to_string();
    let split = |args: String| args.split_whitespace().map(str::to_owned).collect();
    let contender =
        |name, args: String, requests, goal| Contender { name, args: split(args), requests, goal };
    let (at, url) = (CONNECTIONS, &urls[0]);
    vec![
        contender(
            OURS,
            format!("-c {at} --rate 1000000/s --summary none --format ndjson -i {list}"),
            Requests::Exactly(requests),
            None,
        ),
        contender(
            OURS,
            format!("-c {at} --summary none --format ndjson -i {list}"),
            Requests::Exactly(requests),
            None,
        ),
        contender("wrk", format!("-t1 -c{at} -d2s {url}"), Requests::AsItSays, None),
        contender(
            "oha",
            format!("-c {at} -n {requests} --no-tui --output-format quiet {url}"),
            Requests::Exactly(requests),
            Some(GOAL),
        ),
        contender(
            "curl",
            format!("-s -Z --parallel-max {at} -K {config}"),
            Requests::Exactly(few),
            Some(AHEAD),
        ),
        contender(
            "wget2",
            format!("-q --max-threads={at} -O /dev/null -i {few_urls}"),
            Requests::Exactly(few),
            Some(AHEAD),
        ),
        contender(
            "aria2c",
            format!("-q -j {at} --allow-overwrite=true -d {scratch} -i {few_urls}"),
            Requests::Exactly(few),
            Some(AHEAD),
        ),
    ]
}

impl Contender {
    /// The same contender with `@` replaced in its arguments and in the configuration that they
    /// name.
    fn in_directory(&self, into: &Path) -> Self {
        let replace = |text: &str| text.replace('@', &into.display().to_string());
        let args = self.args.iter().map(|arg| {
            if !arg.ends_with("/curl") {
                return replace(arg);
            }
            let config = into.with_extension("curl");
            fs::write(&config, replace(&fs::read_to_string(arg).unwrap())).unwrap();
            config.display().to_string()
        });
        Self {
            name: self.name,
            args: args.collect(),
            requests: Requests::Exactly(FILES),
            goal: self.goal,
        }
    }

    fn is_installed(&self) -> bool {
        let probe = Command::new(self.name).arg("--version").stdout(Stdio::null()).status();
        if probe.is_err() {
            println!("not installed, left out: {}", self.name);
        }
        probe.is_ok()
    }

    fn turn(&self) -> Turn {
        let mut command = Command::new("taskset");
        command.args(["-c", "1", self.name]).args(&self.args).stderr(Stdio::null());
        let (started, before) = (Instant::now(), cpu_of_children());
        let output = command.output().unwrap();
        let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_of_children() - before);
        assert!(output.status.success(), "{} gives {}", self.name, output.status);
        let (requests, per_second) = match self.requests {
            Requests::Exactly(requests) => (requests as f64, requests as f64 / took),
            Requests::AsItSays => {
                let text = String::from_utf8_lossy(&output.stdout);
                (number_before(&text, "requests in"), number_after(&text, "Requests/sec:"))
            }
        };
        Turn { per_second, cpu: cpu / requests * 1e6 }
    }

    fn print(&self, turns: &[Turn], ours: &[Turn]) {
        let name = match self.name.rsplit('/').next().unwrap() {
            "api-client" if !std::ptr::eq(turns, ours) => "the same, which has to learn that",
            name => name,
        };
        let per_second = median(turns.iter().map(|turn| turn.per_second));
        let cpu = median(turns.iter().map(|turn| turn.cpu));
        print!("  {name:33}  {per_second:8.0} requests/s  {cpu:5.1} us of CPU each");
        if !std::ptr::eq(turns, ours) {
            let pairs = ours.iter().zip(turns);
            let ratio = median(pairs.map(|(ours, theirs)| ours.per_second / theirs.per_second));
            let goal = self.goal.map(|goal| format!(" (goal {goal}: {})", verdict(ratio >= goal)));
            print!("  ours makes {ratio:.2} of it{}", goal.unwrap_or_default());
        }
        println!();
    }
}

/// The CPU time of all children that have ended, in seconds.
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(13).take(2); // cutime and cstime
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn number_before(text: &str, mark: &str) -> f64 {
    let (before, _) = text.split_once(mark).unwrap();
    before.split_whitespace().next_back().unwrap().parse().unwrap()
}

fn number_after(text: &str, mark: &str) -> f64 {
    let (_, after) = text.split_once(mark).unwrap();
    after.split_whitespace().next().unwrap().parse().unwrap()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
