//! What is measured: names, kinds and meanings in one table, and the Prometheus text made of it.
//!
//! The recorder is the process's: several servers in one process (tests) share it.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How a metric is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Counter,
    Gauge,
    Histogram,
}

/// Requests finished, by method, route and status.
pub(crate) const REQUESTS: &str = "mainstay_http_requests_total";
/// Seconds from a request's headers to its answer, by method and route.
pub(crate) const DURATION: &str = "mainstay_http_request_duration_seconds";
/// Requests being worked on.
pub(crate) const IN_FLIGHT: &str = "mainstay_http_requests_in_flight";
/// Requests turned away for want of room.
pub(crate) const SHED: &str = "mainstay_http_requests_shed_total";
/// Connections held.
pub(crate) const CONNECTIONS: &str = "mainstay_http_connections";

const METRICS: &[(&str, Measure, &str)] = &[
    (REQUESTS, Measure::Counter, "Requests finished, by method, route and status."),
    (DURATION, Measure::Histogram, "Seconds from a request's headers to its answer, by method and route."),
    (IN_FLIGHT, Measure::Gauge, "Requests being worked on."),
    (SHED, Measure::Counter, "Requests turned away for want of room."),
    (CONNECTIONS, Measure::Gauge, "Connections held."),
];

/// Upper bounds in seconds: from a point read out of memory to the default deadline.
const DURATION_BUCKETS_S: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Everything measured so far, as Prometheus reads it.
pub(crate) fn render() -> String {
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

/// Makes the process count, and moves samples out of their queues; to be called now and then.
pub(crate) fn upkeep() {
    if let Some(handle) = recorder() {
        handle.run_upkeep();
    }
}

/// `None` when the process already counts elsewhere.
fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), DURATION_BUCKETS_S)
                .expect("the list of buckets is not empty")
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            describe();
            Some(handle)
        })
        .as_ref()
}

fn describe() {
    for (name, measure, words) in METRICS {
        match measure {
            Measure::Counter => metrics::describe_counter!(*name, *words),
            Measure::Gauge => metrics::describe_gauge!(*name, *words),
            Measure::Histogram => metrics::describe_histogram!(*name, *words),
        }
    }
}
