//! An HTTP server that no client can exhaust: connections, heads and idle times are bounded, and no
//! route reads a body.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::warnings::warn;

/// Connections that are served at once; the next ones wait in the listener's backlog.
const CONNECTIONS: usize = 64;

/// How long a connection may take for the head of its next request before it is closed.
const IDLE: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const HEAD: usize = 16 * 1024;

/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    serve_with(listener, routes, IDLE).await;
}

async fn serve_with(listener: TcpListener, routes: Router, idle: Duration) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, routes, idle).await;
                });
            }
            Err(err) => {
                warn(format_args!("the live page cannot accept a connection: {err}"));
                sleep(PAUSE).await;
            }
        }
        while let Some(ended) = connections.try_join_next() {
            if let Err(panic) = ended {
                warn(format_args!("the live page: {panic}"));
            }
        }
    }
}

/// Errors of a connection concern only its client, so they are ignored.
async fn connection(stream: TcpStream, routes: Router, idle: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let _ = served.await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n";

    /// A server that answers `yes`, and where.
    async fn served(idle: Duration) -> (JoinSet<()>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        let routes = Router::new().route("/", get(async || "yes"));
        server.spawn(serve_with(listener, routes, idle));
        (server, address)
    }

    /// Sends `text` and reads until the server hangs up.
    async fn ask(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = String::new();
        // The server may close the connection before all of it is written.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn a_connection_is_closed_without_a_whole_head_or_a_further_request() {
        let idle = Duration::from_millis(100);
        let (_server, address) = served(idle).await;
        for (text, is_answered) in [("", false), (GET, false), (&format!("{GET}\r\n"), true)] {
            let started = Instant::now();
            assert_eq!(ask(address, text).await.ends_with("yes"), is_answered, "{text}");
            assert!(started.elapsed() >= idle, "{text}: {:?}", started.elapsed());
        }
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let (_server, address) = served(IDLE).await;
        let long = format!("{GET}X: {}\r\n\r\n", "x".repeat(2 * HEAD));
        assert!(!ask(address, &long).await.contains("yes"));
    }

    #[tokio::test]
    async fn beyond_the_limit_a_connection_waits_until_another_one_ends() {
        let (_server, address) = served(IDLE).await;
        let mut kept = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("{GET}\r\n").as_bytes()).await.unwrap();
            stream.read_u8().await.unwrap(); // served, so it holds its place
            kept.push(stream);
        }
        let text = format!("{GET}Connection: close\r\n\r\n");
        let mut one_more = Box::pin(ask(address, &text));
        let answer = timeout(Duration::from_millis(100), &mut one_more).await;
        assert!(answer.is_err(), "one too many is served");
        drop(kept.pop());
        assert!(one_more.await.ends_with("yes"));
    }
}
