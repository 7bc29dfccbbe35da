//! The live page, the metrics and the probes.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::server;
use super::snapshot::{SILENT, Snapshot};

/// The live page: one file that loads nothing else.
const PAGE: &str = include_str!("page.html");

/// What is served.
#[derive(Clone)]
pub(crate) struct Shown {
    snapshots: watch::Receiver<Snapshot>,
    prometheus: PrometheusHandle,
}

impl Shown {
    pub(crate) fn new(snapshots: watch::Receiver<Snapshot>, prometheus: PrometheusHandle) -> Self {
        Self { snapshots, prometheus }
    }
}

/// The host names that this server answers. With DNS rebinding, a foreign page can make a browser
/// ask this address under the page's own name; such a page must not read the answer.
#[derive(Debug)]
struct Hosts {
    /// `None` if the address is not known any more.
    bound: Option<IpAddr>,
    names: Vec<String>,
}

impl Hosts {
    /// Whether `host`, with a port or without, is one of them.
    fn have(&self, host: &str) -> bool {
        let host = without_port(host);
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = inner.parse::<IpAddr>() {
            return self.bound.is_some_and(|bound| {
                // A bare IP address cannot be rebound: a browser asks for it only if a person wrote
                // it.
                ip == bound || bound.is_unspecified() || bound.is_loopback() && ip.is_loopback()
            });
        }
        let names = self.names.iter().map(|name| without_port(name));
        names.chain(["localhost"]).any(|name| name.eq_ignore_ascii_case(host))
    }
}

fn without_port(host: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name)
}

/// Serves until it is dropped, under the bound address, localhost and these names.
pub(crate) async fn serve(listener: TcpListener, shown: Shown, names: Vec<String>) {
    let bound = listener.local_addr().ok().map(|address| address.ip());
    let hosts = Arc::new(Hosts { bound, names });
    let routes = Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(shown)
        .layer(from_fn_with_state(hosts, only_these_hosts));
    server::serve(listener, routes).await;
}

async fn only_these_hosts(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| hosts.have(host)) {
        return next.run(request).await;
    }
    let text = "unknown host; --http-host HOST adds a name that the program answers to\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// The page may run its own script, use its own style and ask its own server, and nothing else: the
/// names of sources and sinks stay text.
async fn page() -> impl IntoResponse {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let page = PAGE.replacen("<script>", &format!("<script nonce=\"{nonce}\">"), 1).replacen(
        "<style>",
        &format!("<style nonce=\"{nonce}\">"),
        1,
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, Html(page))
}

async fn events(State(shown): State<Shown>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(WatchStream::new(shown.snapshots).map(|snapshot| {
        let json = serde_json::to_string(&snapshot).expect("a snapshot has only string keys");
        Ok(Event::default().data(json))
    }))
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shown.prometheus.render())
}

/// `/healthz`: whether the core is alive.
async fn healthz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.snapshots.borrow().silent < SILENT.as_secs_f64() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the core is stuck\n")
    }
}

/// `/readyz`: whether events are taken and passed on; if not, why.
async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    match &shown.snapshots.borrow().not_ready {
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, PAGE};

    #[test]
    fn only_the_bound_address_localhost_and_given_names_are_answered() {
        let hosts = |bound: &str| Hosts {
            bound: Some(bound.parse().unwrap()),
            names: vec!["logs.example".to_owned(), "other.example:9000".to_owned()],
        };
        for (bound, host, is_ours) in [
            ("127.0.0.1", "127.0.0.1:9000", true),
            ("127.0.0.1", "localhost:9000", true),
            ("127.0.0.1", "LocalHost", true),
            ("127.0.0.1", "[::1]:9000", true),
            ("127.0.0.1", "Logs.example:1", true),
            ("127.0.0.1", "other.example:9000", true),
            ("127.0.0.1", "evil.example:9000", false),
            ("127.0.0.1", "127.0.0.1.evil.example", false),
            ("127.0.0.1", "localhost.evil.example", false),
            ("127.0.0.1", "10.0.0.1", false),
            ("127.0.0.1", "", false),
            ("10.0.0.1", "10.0.0.1:9000", true),
            ("10.0.0.1", "10.0.0.2:9000", false),
            ("0.0.0.0", "10.0.0.2:9000", true),
            ("0.0.0.0", "evil.example", false),
            ("::", "[2001:db8::1]:9000", true),
        ] {
            assert_eq!(hosts(bound).have(host), is_ours, "{host} at {bound}");
        }
    }

    /// The value of a colour in the n-th set: 0 is the light one, 1 the dark one.
    fn colour(name: &str, set: usize) -> [f64; 3] {
        let value = PAGE.split(&format!("--{name}: #")).nth(set + 1).unwrap();
        let value = value.split(';').next().unwrap();
        let digit = |at: usize| {
            let wide = value.len() == 6;
            let digits = if wide { &value[at * 2..at * 2 + 2] } else { &value[at..=at] };
            u8::from_str_radix(digits, 16).unwrap() * if wide { 1 } else { 17 }
        };
        [0, 1, 2].map(|at| f64::from(digit(at)) / 255.0)
    }

    /// The contrast as WCAG 2 defines it.
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear =
            |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn all_text_has_enough_contrast_in_light_and_dark() {
        for set in [0, 1] {
            for (text, back) in ["text", "dim", "hot", "fill"]
                .into_iter()
                .flat_map(|text| [(text, "back"), (text, "card")])
            {
                let mut both = [text, back].map(|name| luminance(colour(name, set)));
                both.sort_by(f64::total_cmp);
                let contrast = (both[1] + 0.05) / (both[0] + 0.05);
                assert!(contrast >= 4.5, "{text} on {back}, set {set}: {contrast:.2}");
            }
        }
    }
}
