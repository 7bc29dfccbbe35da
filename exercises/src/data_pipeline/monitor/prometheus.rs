//! The snapshot as Prometheus metrics, under the names that Vector's users know.

use std::borrow::Cow;

use metrics::{
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::snapshot::{Snapshot, StageShown};

/// The buckets of `buffer_send_duration_seconds`, in seconds.
const BUCKETS: [f64; 7] = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

/// This run's own recorder, not one for the whole process.
pub(crate) struct Prometheus(PrometheusRecorder);

impl Prometheus {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).expect("there are buckets");
        let recorder = builder.build_recorder();
        with_local_recorder(&recorder, describe);
        Self(recorder)
    }

    pub(crate) fn handle(&self) -> PrometheusHandle {
        self.0.handle()
    }

    pub(crate) fn publish(&self, snapshot: &Snapshot) {
        with_local_recorder(&self.0, || {
            for (stage, sends) in snapshot.stages.iter().zip(&snapshot.sends) {
                publish_stage(stage, sends);
            }
            publish_run(snapshot);
        });
        self.handle().run_upkeep(); // otherwise samples of histograms would pile up between scrapes
    }
}

/// What each metric is, for its `HELP` line.
fn describe() {
    for (name, help) in [
        ("component_received_events_total", "Events that came in"),
        ("component_sent_events_total", "Events that were passed on"),
        (
            "component_discarded_events_total",
            "Events that were filtered, dead, left out, or refused",
        ),
        (
            "component_errors_total",
            "Events that cannot be parsed, connections and requests that failed",
        ),
        ("component_received_bytes_total", "Bytes that came in"),
        ("late_events_total", "Events whose window had closed"),
        ("skipped_nul_bytes_total", "NUL bytes at the heads of lines, which are no events"),
        ("warnings_total", "Warnings on stderr, by case"),
    ] {
        describe_counter!(name, help);
    }
    for (name, help) in [
        ("utilization", "Share of the time that the component was busy, 0 to 1"),
        ("buffer_size_bytes", "Bytes in the queue before the component"),
        ("ledger_imbalance", "Events that got lost"),
        ("open_windows", "Windows that are open"),
        ("open_cells", "Keys that are open in all windows"),
        ("watermark_lag_seconds", "How far the watermark is behind the clock"),
        ("checkpoint_age_seconds", "How old the last checkpoint is"),
        ("ready", "1 if events are taken and passed on, as /readyz says"),
    ] {
        describe_gauge!(name, help);
    }
    describe_histogram!("buffer_send_duration_seconds", "How long it took to put into the queue");
}

fn publish_stage(stage: &StageShown, sends: &[f64]) {
    let labels = [
        ("component_id", Cow::Owned(stage.id.clone())),
        ("component_kind", Cow::Borrowed(stage.kind)),
        ("component_type", Cow::Borrowed(stage.form)),
    ];
    let labels = labels.map(|(name, value)| metrics::Label::new(name, value)).to_vec();
    counter!("component_received_events_total", labels.clone()).absolute(stage.received);
    counter!("component_sent_events_total", labels.clone()).absolute(stage.sent);
    counter!("component_discarded_events_total", labels.clone())
        .absolute(stage.discarded + stage.refused);
    counter!("component_errors_total", labels.clone()).absolute(stage.errors);
    counter!("component_received_bytes_total", labels.clone()).absolute(stage.bytes);
    if stage.kind != "source" {
        gauge!("utilization", labels.clone()).set(stage.utilization);
    }
    if stage.queue_capacity > 0 {
        gauge!("buffer_size_bytes", labels.clone()).set(stage.queue_bytes as f64);
        let durations = histogram!("buffer_send_duration_seconds", labels);
        for seconds in sends {
            durations.record(*seconds);
        }
    }
}

fn publish_run(snapshot: &Snapshot) {
    counter!("late_events_total").absolute(snapshot.ledger.late);
    for (case, count) in &snapshot.told {
        counter!("warnings_total", "case" => *case).absolute(*count);
    }
    gauge!("ready").set(f64::from(u8::from(snapshot.not_ready.is_none())));
    counter!("skipped_nul_bytes_total").absolute(snapshot.skipped);
    gauge!("ledger_imbalance").set(snapshot.imbalance as f64);
    gauge!("open_windows").set(snapshot.open_windows as f64);
    gauge!("open_cells").set(snapshot.open_cells as f64);
    if let Some(lag) = snapshot.watermark_lag {
        gauge!("watermark_lag_seconds").set(lag);
    }
    if let Some(age) = snapshot.checkpoint_age {
        gauge!("checkpoint_age_seconds").set(age);
    }
}
