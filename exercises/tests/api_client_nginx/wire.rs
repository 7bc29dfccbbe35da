//! HTTP as nginx speaks it: TLS, HTTP/2 connections that end, and ranges.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::Context;
use exercises::api_client::{Client, Config, Limits, Outcome, Request, Web};
use exercises::policy::{Rate, Settings};
use futures_util::{StreamExt, stream};
use http::Method;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use crate::nginx::Nginx;
use crate::trial::breaking;

const CONNECT: Duration = Duration::from_secs(4);

async fn fetch(config: Config, web: Web, requests: Vec<Request>) -> Vec<Outcome> {
    let client = Client::with_transport(config, web).expect("a client");
    client.fetch_all(&Context::background(), stream::iter(requests)).collect().await
}

/// 400 requests over connections that nginx ends after 20 each.
async fn lose_nothing(nginx: &Nginx, web: Web, origin: &str, method: Method) {
    let policy =
        Settings { rate: Some(Rate { per_second: 4000.0, burst: 50 }), ..Settings::default() };
    let config = Config { policy, ..Config::default() };
    let requests = (0..400).map(|n| {
        let mut request = Request::get(&format!("{origin}/{n}"));
        request.method = method.clone();
        request
    });
    let outcomes = fetch(config, web, requests.collect()).await;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.error.is_some()).collect();
    assert!(failed.is_empty() && outcomes.len() == 400, "{method}: {failed:#?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while nginx.requests() < 400 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await; // another process writes its log
    }
    assert_eq!(nginx.requests(), 400, "none was sent twice");
    let log = fs::read_to_string(nginx.directory.path().join("access.log")).expect("a log");
    assert!(log.lines().all(|line| line.contains("HTTP/2.0")), "{log}");
}

#[tokio::test]
async fn http2_connections_that_end_after_twenty_requests_lose_nothing() {
    for method in [Method::GET, Method::POST] {
        let Some(nginx) = Nginx::start("http2.conf", 0) else { return };
        let web = Web::with(CONNECT, 50, reqwest::ClientBuilder::http2_prior_knowledge);
        let origin = format!("http://127.0.0.1:{}", nginx.port);
        lose_nothing(&nginx, web.expect("a client"), &origin, method).await;
    }
}

#[tokio::test]
async fn http2_over_tls_loses_nothing_either() {
    for method in [Method::GET, Method::POST] {
        let Some(nginx) = Nginx::start("tls.conf", 0) else { return };
        let certificate = nginx.certificate();
        let web =
            Web::with(CONNECT, 50, move |builder| builder.tls_certs_only([certificate.clone()]));
        let origin = format!("https://localhost:{}", nginx.tls_port);
        lose_nothing(&nginx, web.expect("a client"), &origin, method).await;
    }
}

/// An address at which connections hang: its backlog is full.
fn dead(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(address).expect("a loopback address");
    let listener = socket.listen(1).expect("a free port");
    let wait = Duration::from_millis(100);
    let filling = (0..8).map_while(|_| TcpStream::connect_timeout(&address, wait).ok()).collect();
    (listener, filling)
}

#[tokio::test]
async fn a_dead_first_address_leaves_time_for_the_second_even_over_tls() {
    let Some(nginx) = Nginx::start("tls.conf", 0) else { return };
    let addresses = [2, 1].map(|last| SocketAddr::from(([127, 0, 0, last], nginx.tls_port)));
    let (_dead, _filling) = dead(addresses[0]);
    let certificate = nginx.certificate();
    let web = Web::with(CONNECT, 1, move |builder| {
        builder.tls_certs_only([certificate.clone()]).resolve_to_addrs("two.test", &addresses)
    });
    let mut config = Config::default();
    config.limits.connect = CONNECT;
    let url = format!("https://two.test:{}/", nginx.tls_port);
    let outcomes = fetch(config, web.expect("a client"), vec![Request::get(&url)]).await;
    assert_eq!((outcomes[0].status, outcomes[0].attempts), (Some(200), 1), "{outcomes:?}");
}

#[tokio::test]
async fn a_file_comes_whole_and_each_byte_once_over_connections_that_break() {
    comes_whole_over_connections_that_break(24 << 20, 5 << 20).await;
}

/// `cargo test -p exercises --test api_client_nginx -- --ignored`: takes 2 GB in the temporary directory.
#[tokio::test]
#[ignore = "1 GB: in .ci/long"]
async fn a_gigabyte_comes_whole_over_connections_that_break_every_50_megabytes() {
    comes_whole_over_connections_that_break(1 << 30, 50_000_000).await;
}

/// A file of nginx, continued by ranges. When a connection ends, everything that was sent still
/// arrives, so only the heads of the answers are sent in addition to the file.
async fn comes_whole_over_connections_that_break(length: u64, every: u64) {
    let Some(nginx) = Nginx::start("tls.conf", 0) else { return };
    let file = nginx.directory.path().join("files/large");
    fs::create_dir(file.parent().expect("a directory")).expect("a directory");
    write_numbers(&file, length);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/files/large", listener.local_addr().expect("an address"));
    let (sent, target) = (Arc::new(AtomicU64::new(0)), ([127, 0, 0, 1], nginx.port).into());
    let relay = tokio::spawn(breaking(listener, target, every, sent.clone()));

    let directory = tempfile::tempdir().expect("a directory");
    let policy = Settings { retries: 0, ..Settings::default() };
    let limits = Limits::default();
    let output = Some(directory.path().to_owned());
    let config = Config { policy, limits, output, ..Config::default() };
    let web = Web::new(CONNECT, 1).expect("a client");
    let outcome = fetch(config, web, vec![Request::get(&url)]).await.remove(0);
    relay.abort();
    let attempts = length.div_ceil(every - 1000);
    assert_eq!(outcome.error, None);
    assert_eq!((outcome.bytes, u64::from(outcome.attempts)), (length, attempts));
    assert!(same_bytes(&file, &outcome.file.expect("a body")), "the bytes are those of the server");
    let sent = sent.load(Ordering::Relaxed);
    println!("{sent} bytes sent for {length}, in {attempts} attempts");
    assert!((length..length + 1000 * attempts).contains(&sent), "{sent} bytes for {length}");
}

/// No two pieces of it are the same.
fn write_numbers(path: &Path, length: u64) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    (0..length / 8)
        .for_each(|number| file.write_all(&number.to_le_bytes()).expect("there is room"));
    file.flush().expect("there is room");
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    let [mut a, mut b] = [a, b]
        .map(|path| BufReader::with_capacity(1 << 16, File::open(path).expect("it is there")));
    let (mut piece, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = a.read(&mut piece).expect("it is readable");
        if length == 0 {
            return b.read(&mut other).expect("it is readable") == 0;
        }
        if b.read_exact(&mut other[..length]).is_err() || piece[..length] != other[..length] {
            return false;
        }
    }
}
