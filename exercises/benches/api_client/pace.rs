//! How much of nginx's limit the client uses, row by row.

use std::net::SocketAddr;
use std::process::Command;

use exercises::policy::Settings;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::nginx::Nginx;
use super::trial::{LIMIT, Run, delay, known, run};
use super::verdict;

/// How many URLs curl fetches one by one.
const CURL_URLS: usize = 30;

/// A way to use a limit, and what it has to reach.
struct Row {
    name: &'static str,
    config: &'static str,
    policy: Settings,
    requests: usize,
    goal: Goal,
}

enum Goal {
    /// At least this share of the rate used, and at most this share of the requests rejected, in
    /// percent.
    Share(f64, f64),
    /// All requests within this number of seconds.
    Within(f64),
}

/// Runs the rows whose name has this word; two seeds a round, where there are seeds.
pub(crate) fn measure(only: &str, rounds: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    println!("\n{LIMIT} requests/s by nginx's limit_req");
    for row in rows(2 * rounds as u64).into_iter().filter(|row| row.name.contains(only)) {
        let Some(nginx) = Nginx::start(row.config, LIMIT) else { return };
        let run = runtime.block_on(run(row.policy, nginx.urls(row.requests)));
        let verdict = verdict(run.lost() == 0 && row.goal.is_met(&run));
        let late = run.lateness.as_secs_f64() * 1e3;
        println!(
            "  {:24}  {run} (goal {}: {verdict}; woken {late:.1} ms late)",
            row.name, row.goal
        );
    }
    if "latency".contains(only) {
        runtime.block_on(next_to_serial_curl());
    }
}

fn rows(seeds: u64) -> Vec<Row> {
    let row = |name, config, policy, requests, goal| Row { name, config, policy, requests, goal };
    let learned = Settings::default;
    let mut rows = vec![
        row("known", "burst.conf", known(50.0), 500, Goal::Share(99.5, 0.0)),
        row("overstated twofold", "burst.conf", known(100.0), 500, Goal::Share(95.0, 3.0)),
        row("unknown", "burst.conf", learned(), 500, Goal::Share(95.0, 3.0)),
        row("unknown, 2,000 requests", "burst.conf", learned(), 2000, Goal::Share(97.0, 0.5)),
        row("no burst, overstated", "tight.conf", known(100.0), 500, Goal::Share(80.0, 100.0)),
        row("no burst, unknown", "tight.conf", learned(), 500, Goal::Share(80.0, 100.0)),
    ];
    let seeded = |seed| Settings { seed, ..known(50.0) };
    let flaky = |seed| row("a fifth of 503", "flaky.conf", seeded(seed), 500, Goal::Within(14.0));
    rows.extend((0..seeds).map(flaky));
    rows
}

impl Goal {
    fn is_met(&self, run: &Run) -> bool {
        match *self {
            Self::Share(least, rejected) => run.share() >= least && run.rejected() <= rejected,
            Self::Within(seconds) => run.took().as_secs_f64() <= seconds,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share(least, 100.0) => write!(f, "{least} %"),
            Self::Share(least, rejected) => write!(f, "{least} % and {rejected} %"),
            Self::Within(seconds) => write!(f, "{seconds} s"),
        }
    }
}

/// A host that is 100 ms away.
async fn next_to_serial_curl() {
    let Some(nginx) = Nginx::start("burst.conf", LIMIT) else { return };
    let target = SocketAddr::from(([127, 0, 0, 1], nginx.port));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let far = tokio::spawn(delay(listener, target, Duration::from_millis(50)));
    let urls: Vec<_> = (0..300).map(|n| format!("http://127.0.0.1:{port}/{n}")).collect();
    let ours = run(known(50.0), urls.clone()).await;
    let rate = ours.outcomes.len() as f64 / ours.took().as_secs_f64();

    let started = Instant::now();
    let curl = tokio::task::spawn_blocking(move || {
        let urls = &urls[..CURL_URLS];
        let outputs = urls.iter().flat_map(|_| ["-o", "/dev/null"]);
        Command::new("curl").arg("-s").args(outputs).args(urls).status()
    });
    if curl.await.unwrap().is_err() {
        println!("  not installed, left out: curl");
        return;
    }
    far.abort();
    let serial = CURL_URLS as f64 / started.elapsed().as_secs_f64();
    let ratio = rate / serial;
    let verdict = verdict(ratio >= 4.0);
    println!(
        "  100 ms of latency: {rate:.1}/s, curl one by one {serial:.1}/s, {ratio:.1} times as many \
         (goal 4: {verdict})"
    );
}
