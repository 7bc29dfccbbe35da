//! The live page, the metrics and the probes.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::server;
use super::snapshot::Snapshot;

/// One file, with nothing to load from anywhere.
const PAGE: &str = include_str!("page.html");

/// A core that has not been seen for so many seconds is not healthy.
const SILENT: f64 = 10.0;

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

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shown: Shown) {
    let routes = Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(shown);
    server::serve(listener, routes).await;
}

/// The page may run its own script, use its own style and ask its own server, and nothing else:
/// what a source or a sink is called is text to it, and stays text.
async fn page() -> impl IntoResponse {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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

/// Whether the process does its work.
async fn healthz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.snapshots.borrow().silent < SILENT {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the core is stuck\n")
    }
}

/// Whether it takes events: not while a sink holds everything up.
async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    let snapshot = shown.snapshots.borrow();
    let is_sink =
        |id: &String| snapshot.stages.iter().any(|stage| stage.kind == "sink" && stage.id == *id);
    if snapshot.bottleneck.as_ref().is_some_and(is_sink) {
        return (StatusCode::SERVICE_UNAVAILABLE, "a sink holds everything up\n");
    }
    (StatusCode::OK, "ok\n")
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    /// The value of a colour in the n-th set of them: 0 is the light one, 1 the dark one.
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

    /// As WCAG 2 defines it.
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
