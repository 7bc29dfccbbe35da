//! What a run shows of itself: Prometheus metrics, a live page, a line on the terminal. All three
//! show the same snapshot; the stages only count, once per chunk.

mod count;
pub(crate) mod http;
mod prometheus;
mod server;
mod snapshot;
pub(crate) mod stats;
mod told;
pub(crate) mod warnings;

use std::io::{self, IsTerminal, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use prometheus::Prometheus;
use snapshot::Observer;
pub(crate) use snapshot::Snapshot;
use stats::Stats;

use crate::data_pipeline::state::checkpoint::BEAT;

/// How many snapshots there are for each line on the terminal.
const LINE_EVERY: u32 = 4;

/// Where the line on the terminal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// To stderr, if that is a terminal: stdout may belong to `--out`.
    Terminal,
    /// To stdout.
    Stdout,
}

/// Watches the run until it is dropped, and serves what it sees if there is a `listener`.
///
/// # Cancel safety
///
/// Dropping the future ends the watching and closes the server.
pub(crate) async fn watch(
    stats: Arc<Stats>,
    listener: Option<TcpListener>,
    hosts: Vec<String>,
    lines: Lines,
) {
    let prometheus = Prometheus::new();
    let mut observer = Observer::new(stats, Instant::now());
    let mut look = || observer.look(Instant::now(), Timestamp::now());
    let (sender, snapshots) = watch::channel(look());
    let observe = async {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1.. {
            beat.tick().await;
            let snapshot = look();
            prometheus.publish(&snapshot);
            if number % LINE_EVERY == 0 {
                print(&snapshot, lines);
            }
            sender.send_replace(snapshot);
        }
    };
    match listener {
        Some(listener) => {
            let shown = http::Shown::new(snapshots, prometheus.handle());
            let serve = http::serve(listener, shown, hosts);
            tokio::join!(observe, serve);
        }
        None => observe.await,
    }
}

fn print(snapshot: &Snapshot, lines: Lines) {
    match lines {
        Lines::Stdout => common::say!("{}", snapshot.line()),
        Lines::Terminal if io::stderr().is_terminal() => {
            let _ = writeln!(io::stderr().lock(), "{}", snapshot.line()); // nobody left to tell
        }
        Lines::Terminal => {}
    }
}

/// The address that was given to this flag, as HOST:PORT: a port alone is one of the loopback
/// interface. The host is not looked up.
pub(crate) fn address(flag: &str, address: &str) -> Result<String, String> {
    if address.parse::<u16>().is_ok() {
        return Ok(format!("{}:{address}", Ipv4Addr::LOCALHOST));
    }
    if is_host_and_port(address) {
        return Ok(address.to_owned());
    }
    Err(format!("{flag} {address}: expected PORT or HOST:PORT, such as 0.0.0.0:9000"))
}

/// Whether this has the form HOST:PORT.
pub(crate) fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Binds the address that was given to this flag.
pub(crate) async fn listen(flag: &str, address: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(self::address(flag, address)?).await;
    listener.map_err(|err| format!("cannot listen on {flag} {address}: {err}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_alone_means_the_loopback_interface() {
        let listener = listen("--http", "0").await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
        for wrong in ["foo", "host", ":9000", "host:port", "host:70000", ""] {
            let refused = address("--http", wrong).unwrap_err();
            assert!(refused.contains("expected PORT or HOST:PORT"), "{refused}");
        }
    }
}
