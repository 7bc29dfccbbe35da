//! How fast `api-client` is without a limit, compared with `oha`, `wrk`, `curl`, `wget2` and
//! `aria2c`, for answers of two bytes and for files written to disk; and how much of nginx's
//! `limit_req` it uses.
//!
//! ```text
//! cargo bench -p exercises --bench api_client [-- --rounds 5] [--requests 60000] [--only WORD]
//! ```
//!
//! Everything is on the loopback, with nginx from the system as the server. If there is no limit,
//! the server has one CPU to itself and the contenders take turns on another one, with one thread
//! and 50 connections each; a ratio is the median of those within a round. A program that is not
//! installed is named and left out.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing else to do")]

#[allow(dead_code, reason = "`tests/api_client_nginx` uses the rest")]
#[path = "../../tests/api_client_nginx/nginx.rs"]
mod nginx;
mod pace;
#[allow(dead_code, reason = "`tests/api_client_nginx` uses the rest")]
#[path = "../../tests/api_client_nginx/trial.rs"]
mod trial;
mod unlimited;

use clap::Parser;

#[derive(Parser)]
struct Args {
    /// How often each contender has its turn
    #[arg(long, default_value_t = rounds())]
    rounds: usize,
    /// How many requests a turn has
    #[arg(long, default_value_t = 60_000)]
    requests: usize,
    /// Only the rows whose name has this word
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` passes, and `cargo test --benches` does not
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        println!("a benchmark: run it with `cargo bench`");
        return;
    }
    if "unlimited".contains(&args.only) {
        unlimited::race(args.rounds, args.requests);
    }
    if "files".contains(&args.only) {
        unlimited::files(args.rounds);
    }
    pace::measure(&args.only, args.rounds);
}

/// `ROUNDS` in the environment, or five.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// A figure next to its goal.
fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
