//! Each kind of misbehaviour, over real sockets: every request has exactly one outcome.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::Context;
use exercises::api_client::{Client, ErrorKind, Request, Web};
use exercises::policy::{Rate, Settings};
use futures_util::{StreamExt, stream};

use crate::server::Server;
use crate::{fetch, fetch_one, quick};

fn kind(outcome: &exercises::api_client::Outcome) -> Option<ErrorKind> {
    outcome.error.as_ref().map(|error| error.kind)
}

#[tokio::test]
async fn a_host_without_an_address_is_a_dns_error() {
    let outcome = fetch_one(quick(), "http://no-such-host.invalid/").await;
    assert_eq!(kind(&outcome), Some(ErrorKind::Dns), "{outcome:?}");
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_patience_ends() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let outcome = fetch_one(quick(), &format!("http://{address}/")).await;
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Connect), 2), "{outcome:?}");
    let detail = &outcome.error.as_ref().expect("it was refused").detail;
    assert!(detail.contains("refused") && detail.contains("--patience"), "{detail}");
}

#[tokio::test]
async fn a_reset_is_tried_again() {
    let server = Server::start();
    for path in ["/reset-before", "/reset-in-body"] {
        let outcome = fetch_one(quick(), &server.url(path)).await;
        assert_eq!((kind(&outcome), outcome.attempts), (None, 2), "{outcome:?}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start();
    let mut config = quick();
    config.policy.concurrency = 3;
    for path in ["/ok", "/big", "/missing"] {
        let urls: Vec<_> = (0..30).map(|n| server.url(&format!("{path}/{n}"))).collect();
        fetch(config.clone(), &urls).await;
    }
    assert!(server.connections() <= 3 * config.policy.concurrency as u32); // a client each
}

#[tokio::test]
async fn a_host_that_hangs_up_after_each_answer_is_asked_again() {
    let server = Server::start();
    let urls: Vec<_> = (0..30).map(|n| server.url(&format!("/hang-up/{n}"))).collect();
    for outcome in fetch(quick(), &urls).await {
        assert_eq!((kind(&outcome), outcome.bytes), (None, 2), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_post_without_a_body_announces_a_length_of_zero() {
    let server = Server::start();
    let config = quick();
    let web = Web::new(config.limits.connect, 1).expect("a client");
    let client = Client::with_transport(config.clone(), web).expect("a client");
    let mut post = Request::get(&server.url("/told-length"));
    post.method = http::Method::POST;
    let requests = stream::iter([post]);
    let outcomes = client.fetch_all(&Context::background(), requests).collect::<Vec<_>>().await;
    assert_eq!(outcomes[0].status, Some(200), "{outcomes:?}");
}

#[tokio::test]
async fn a_truncated_body_is_a_failure() {
    let server = Server::start();
    let outcome = fetch_one(quick(), &server.url("/truncated")).await;
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Body), 3), "{outcome:?}");
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_is_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("one connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("the client reads");
        stream.read(&mut [0; 1024]).expect("a greeting")
    });
    let outcome = fetch_one(quick(), &format!("https://{address}/")).await;
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Tls), 1), "{outcome:?}");
    assert!(server.join().expect("no panic") > 0);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_not_tried_again() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.expect("a key"))
        .expect("a pair");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("one connection");
        let connection = rustls::ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.read(&mut [0; 1]).is_err() // the client hangs up
    });
    let outcome = fetch_one(quick(), &format!("https://localhost:{port}/")).await;
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Tls), 1), "{outcome:?}");
    assert!(server.join().expect("no panic"));
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_max_body() {
    let server = Server::start();
    let mut config = quick();
    config.limits.max_body = 100_000;
    let outcome = fetch_one(config, &server.url("/endless")).await;
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Body), 1), "{outcome:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_timeout() {
    let server = Server::start();
    let mut config = quick();
    config.policy.retries = 0;
    config.limits.max_time = Some(Duration::from_millis(300));
    let outcome = fetch_one(config, &server.url("/endless")).await;
    assert_eq!(kind(&outcome), Some(ErrorKind::Timeout), "{outcome:?}");
    assert!(outcome.took_ms >= 300, "{outcome:?}");
}

#[tokio::test]
async fn a_byte_a_second_and_silence_are_idle() {
    let server = Server::start();
    for path in ["/trickle", "/silent"] {
        let mut config = quick();
        config.policy.retries = 1;
        config.limits.stall = Duration::from_millis(200);
        let outcome = fetch_one(config, &server.url(path)).await;
        assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Timeout), 2));
    }
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let server = Server::start();
    let outcome = fetch_one(quick(), &server.url("/loop")).await;
    assert_eq!(kind(&outcome), Some(ErrorKind::Redirect), "{outcome:?}");
    assert_eq!(server.hits("/loop"), 11, "ten redirects are followed");
}

#[tokio::test]
async fn a_redirect_is_charged_to_the_host_it_leads_to() {
    use exercises::api_client::{Client, Request};
    use futures_util::{StreamExt, stream};

    leaks::leak_check(async {
        let (from, to) = (Server::start(), Server::start());
        let urls = (0..5).map(|n| from.url(&format!("/to/{}/{n}", to.address)));
        let client = Client::new(quick()).expect("a client");
        let requests = stream::iter(urls.map(|url| Request::get(&url)).collect::<Vec<_>>());
        let mut outcomes = client.fetch_all(&common::Context::background(), requests);
        while let Some(outcome) = outcomes.next().await {
            assert_eq!((outcome.error, outcome.status), (None, Some(200)));
        }
        let hosts = outcomes.hosts();
        assert_eq!(hosts.len(), 2, "{hosts:?}");
        assert!(hosts.iter().all(|host| host.accepted == 5), "{hosts:?}");
    })
    .await;
}

#[tokio::test]
async fn whatever_retry_after_says_the_request_is_fetched_or_ends_with_a_time() {
    let waits = ["soon", "-5", "", "Tue, 14 Nov 2023 22:13:20 GMT", "1.5", "31536000"];
    for wait in waits {
        let server = Server::start();
        let url = server.url(&format!("/retry-after/{}", wait.replace(' ', "%20")));
        let outcome = fetch_one(quick(), &url).await;
        let expected = (wait == "31536000").then_some(ErrorKind::Later);
        assert_eq!((kind(&outcome), outcome.rejected), (expected, 1), "{wait}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_host_that_rejects_everything_is_given_up() {
    let server = Server::start();
    let urls: Vec<_> = (0..20).map(|n| server.url(&format!("/storm/{n}"))).collect();
    for outcome in fetch(quick(), &urls).await {
        assert_eq!(kind(&outcome), Some(ErrorKind::Status), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_host_unavailable_half_of_the_time_loses_nothing() {
    let server = Server::start();
    let urls: Vec<_> = (0..40).map(|n| server.url(&format!("/half/{n}"))).collect();
    for rate in [None, Some(Rate { per_second: 400.0, burst: 2 })] {
        let mut config = quick();
        config.policy = Settings { retries: 8, retry_budget: 2.0, rate, ..config.policy };
        for outcome in fetch(config, &urls).await {
            assert_eq!(kind(&outcome), None, "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn an_outage_does_not_last_for_ever() {
    let server = Server::start();
    let urls: Vec<_> = (0..30).map(|n| server.url(&format!("/outage/{n}"))).collect();
    let mut config = quick();
    config.policy.rate = Some(Rate { per_second: 1000.0, burst: 10 });
    let outcomes = fetch(config, &urls).await;
    for outcome in &outcomes {
        assert_eq!(kind(outcome), Some(ErrorKind::Status), "{outcome:?}");
    }
    // 30 first attempts, the retries of those that failed before the host counted as ill, and
    // probes.
    let attempts: u32 = outcomes.iter().map(|outcome| outcome.attempts).sum();
    assert!(attempts <= 45, "{attempts} attempts");
}

#[tokio::test]
async fn a_port_that_opens_late_loses_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let urls: Vec<_> = (0..12).map(|n| format!("http://{address}/ok/{n}")).collect();
    let mut config = quick();
    config.policy = Settings { retries: 0, ..Settings::default() };
    let opens = async {
        tokio::time::sleep(Duration::from_secs(3)).await; // the port must open late
        Server::start_at(address)
    };
    let (outcomes, _server) = tokio::join!(fetch(config, &urls), opens);
    for outcome in outcomes {
        assert_eq!((kind(&outcome), outcome.status), (None, Some(200)), "{outcome:?}");
    }
}

#[tokio::test]
async fn invalid_urls_and_duplicates_each_have_an_outcome() {
    let server = Server::start();
    let same = server.url("/same");
    let urls = ["no sense", "http://", "ftp://host/", "", &same, &same].map(str::to_owned);
    let outcomes = fetch(quick(), &urls).await;
    let invalid = outcomes.iter().filter(|outcome| kind(outcome) == Some(ErrorKind::Invalid));
    assert_eq!(invalid.count(), 4);
    assert_eq!(server.hits("/same"), 2);
}

#[tokio::test]
async fn two_urls_never_share_a_file() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let urls = ["/a/b", "/a_b", "/a/b", "/../../a/b"].map(|path| server.url(path));
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let outcomes = fetch(config, &urls).await;
    let mut files: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.file.clone()).collect();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in &files {
        assert_eq!(file.parent(), Some(directory.path()));
        assert_eq!(std::fs::read_to_string(file).expect("a body"), "ok");
    }
}

#[tokio::test]
async fn an_incomplete_body_leaves_no_file() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = quick();
    config.output = Some(directory.path().to_owned());
    let outcomes = fetch(config, &[server.url("/truncated"), server.url("/missing")]).await;
    assert!(outcomes.iter().all(|outcome| outcome.file.is_none() && outcome.error.is_some()));
    assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 0);
}

#[tokio::test]
async fn a_post_is_tried_again_only_if_that_is_safe() {
    use exercises::api_client::{Client, Request};
    use futures_util::{StreamExt, stream};

    leaks::leak_check(async {
        let server = Server::start();
        let post = |path: &str, key: bool| {
            let mut request = Request::get(&server.url(path));
            request.method = http::Method::POST;
            request.body = "once".into();
            if key {
                request.headers.insert("idempotency-key", "7".parse().expect("a value"));
            }
            request
        };
        let requests = [post("/post/unsafe", false), post("/post/safe", true)];
        let client = Client::new(quick()).expect("a client");
        let outcomes = client.fetch_all(&common::Context::background(), stream::iter(requests));
        let mut outcomes = outcomes.collect::<Vec<_>>().await;
        outcomes.sort_by_key(|outcome| outcome.attempts);
        assert_eq!((outcomes[0].status, outcomes[0].attempts), (Some(500), 1), "{outcomes:#?}");
        assert_eq!((outcomes[1].status, outcomes[1].attempts), (Some(200), 2), "{outcomes:#?}");
    })
    .await;
}

#[tokio::test]
async fn dropping_the_outcomes_drops_what_is_in_flight() {
    use exercises::api_client::{Client, Request};
    use futures_util::{StreamExt, stream};

    leaks::leak_check(async {
        let server = Server::start();
        let client = Client::new(quick()).expect("a client");
        let urls = [server.url("/silent"), server.url("/ok")];
        let requests = stream::iter(urls.map(|url| Request::get(&url)));
        let mut outcomes = client.fetch_all(&common::Context::background(), requests);
        assert_eq!(outcomes.next().await.and_then(|outcome| outcome.status), Some(200));
        drop(outcomes); // an attempt that went on would be a leak
    })
    .await;
}

#[test]
fn an_answer_that_is_not_http_is_malformed_and_tried_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let garbage = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").expect("the client reads");
        }
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(fetch_one(quick(), &format!("http://127.0.0.1:{port}/")));
    assert_eq!((kind(&outcome), outcome.attempts), (Some(ErrorKind::Malformed), 2), "{outcome:?}");
    garbage.join().expect("no panic");
}
