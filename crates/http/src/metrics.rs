//! What is measured: names, kinds and meanings in one table, and the Prometheus text made of it.
//!
//! The recorder is the process's: several servers in one process (tests) share it.

use std::sync::OnceLock;
use std::time::Duration;

use mainstay_engine::Engine;
use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::RwLock;

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
/// Connections closed at once, by why: the client had as many as it may, or TLS was not agreed on.
pub(crate) const REFUSED: &str = "mainstay_http_connections_refused_total";
/// Requests over the limits on how often a client asks. Counted by `mainstay-security`, as is the next one.
const RATE_LIMITED: &str = "mainstay_rate_limited_total";
/// When the certificate that is shown ends.
const CERTIFICATE_ENDS: &str = "mainstay_tls_certificate_ends_seconds";

/// What the store counts by itself, read when metrics are.
const STORE_WRITE_QUEUE: &str = "mainstay_store_write_queue";
const STORE_READ_QUEUE: &str = "mainstay_store_read_queue";
const STORE_JOBS: &str = "mainstay_store_jobs_total";
const STORE_COMMITS: &str = "mainstay_store_commits_total";
const STORE_COMMIT_US: &str = "mainstay_store_commit_microseconds_total";
const STORE_RERUNS: &str = "mainstay_store_reruns_total";
const STORE_INLINE_READS: &str = "mainstay_store_inline_reads_total";
const STORE_POOL_READS: &str = "mainstay_store_pool_reads_total";
const STORE_OVERRUNS: &str = "mainstay_store_overruns_total";
const STORE_FOREIGN_CHANGES: &str = "mainstay_store_foreign_changes_total";
const STORE_REPLICA_READS: &str = "mainstay_store_replica_reads_total";
const STORE_REPLICA_FALLBACKS: &str = "mainstay_store_replica_fallbacks_total";

/// Changes that were forgotten because their table's history had ended. Counted by the engine.
const CHANGES_PRUNED: &str = "mainstay_changes_pruned_total";
/// Answers that were forgotten because they are not given again any more. Counted by the engine.
const ANSWERS_PRUNED: &str = "mainstay_answers_pruned_total";

/// What the ledger told of migrations when the database was opened.
const MIGRATIONS: &str = "mainstay_migrations_applied";
const MIGRATION_LAST: &str = "mainstay_migration_last_finished_seconds";
const MIGRATION_TOOK: &str = "mainstay_migration_last_duration_seconds";

/// What is known of the backups that the server makes by the clock. Counted by the binary.
const BACKUPS: &str = "mainstay_backups_total";
const BACKUP_LAST_SUCCESS: &str = "mainstay_backup_last_success_seconds";
const BACKUP_LAST_BYTES: &str = "mainstay_backup_last_bytes";
/// The rules that are kept in data. Counted by `mainstay-engine`.
const RULE_OVERRIDES: &str = "mainstay_rule_overrides";
const RULE_OVERRIDES_BROKEN: &str = "mainstay_rule_overrides_broken";
/// What subscriptions are measured by. Counted by `mainstay-live`, but for the last one.
const LIVE_CONNECTIONS: &str = "mainstay_live_connections";
const LIVE_SUBSCRIPTIONS: &str = "mainstay_live_subscriptions";
const LIVE_QUEUE_DEPTH: &str = "mainstay_live_queue_depth_max";
const LIVE_CHANGES: &str = "mainstay_live_changes_total";
const LIVE_EVENTS: &str = "mainstay_live_events_total";
const LIVE_LAG: &str = "mainstay_live_lag_seconds";
const LIVE_LAGGED: &str = "mainstay_live_lagged_total";
/// Seconds from finding a change in the log to having written its frame.
const LIVE_SEND: &str = "mainstay_live_send_seconds";

/// What jobs are measured by. Counted by `mainstay-jobs`.
const JOBS: &str = "mainstay_jobs_total";
const JOB_SECONDS: &str = "mainstay_job_seconds";
const JOB_WAIT: &str = "mainstay_job_wait_seconds";
const JOBS_RUNNING: &str = "mainstay_jobs_running";
const JOB_CLAIMS: &str = "mainstay_job_claims_total";
const JOBS_RESCUED: &str = "mainstay_jobs_rescued_total";

/// What has become of the steps of traces that were to be sent. Counted by `mainstay-trace`.
const TRACE_SPANS: &str = "mainstay_trace_spans_total";

/// What identities are measured by. Counted by `mainstay-identity`.
const SIGN_INS: &str = "mainstay_identity_sign_ins_total";
const REFRESHES: &str = "mainstay_identity_refreshes_total";
const THROTTLED: &str = "mainstay_identity_throttled_total";
const PASSWORD_SECONDS: &str = "mainstay_identity_password_seconds";
const PASSWORD_WAIT: &str = "mainstay_identity_password_wait_seconds";
const PASSWORD_QUEUE: &str = "mainstay_identity_password_queue";
const PASSWORD_REFUSED: &str = "mainstay_identity_password_refused_total";
/// What is kept of callers. Counted by `mainstay-engine`.
const CALLERS: &str = "mainstay_callers";
const CALLER_READS: &str = "mainstay_caller_reads_total";
/// What has become of messages to devices. Counted by `mainstay-push`.
const PUSH: &str = "mainstay_push_total";

/// How often flags and settings were read anew. Counted by `mainstay-flags`.
const FLAGS_READS: &str = "mainstay_flags_reads_total";

/// What became of those who came by a provider of identities. Counted by `mainstay-identity`.
const PROVIDER_SIGN_INS: &str = "mainstay_provider_sign_ins_total";
/// Answers of providers that speak SAML which were not believed. Counted by `mainstay-identity`.
const SAML_REFUSED: &str = "mainstay_identity_saml_refused_total";

const METRICS: &[(&str, Measure, &str)] = &[
    (REQUESTS, Measure::Counter, "Requests finished, by method, route and status."),
    (DURATION, Measure::Histogram, "Seconds from a request's headers to its answer, by method and route."),
    (IN_FLIGHT, Measure::Gauge, "Requests being worked on."),
    (SHED, Measure::Counter, "Requests turned away for want of room."),
    (CONNECTIONS, Measure::Gauge, "Connections held."),
    (
        REFUSED,
        Measure::Counter,
        "Connections closed at once, by why: the client had as many as it may, or TLS was not agreed on.",
    ),
    (RATE_LIMITED, Measure::Counter, "Requests refused because their client had asked too often, by limit."),
    (CERTIFICATE_ENDS, Measure::Gauge, "When the certificate that is shown ends, in seconds since 1970."),
    (STORE_WRITE_QUEUE, Measure::Gauge, "Writes that wait."),
    (STORE_READ_QUEUE, Measure::Gauge, "Long reads that wait."),
    (STORE_JOBS, Measure::Counter, "Writes answered."),
    (STORE_COMMITS, Measure::Counter, "Transactions committed: each holds a group of writes."),
    (STORE_COMMIT_US, Measure::Counter, "Microseconds of all commits together, the disk included."),
    (STORE_RERUNS, Measure::Counter, "Writes run again because a neighbour lost the transaction."),
    (STORE_INLINE_READS, Measure::Counter, "Reads on the thread of their request."),
    (STORE_POOL_READS, Measure::Counter, "Reads by a reader thread."),
    (
        STORE_OVERRUNS,
        Measure::Counter,
        "Reads begun on the thread of their request that took too long there.",
    ),
    (STORE_FOREIGN_CHANGES, Measure::Counter, "Changes of the database by other processes."),
    (STORE_REPLICA_READS, Measure::Counter, "Batches that the database's replica answered."),
    (
        STORE_REPLICA_FALLBACKS,
        Measure::Counter,
        "Batches that the primary answered because the replica was away or not far enough.",
    ),
    (CHANGES_PRUNED, Measure::Counter, "Changes forgotten because their table's history had ended."),
    (ANSWERS_PRUNED, Measure::Counter, "Answers forgotten that were kept for requests sent again."),
    (MIGRATIONS, Measure::Gauge, "Migrations that the database had gone through when the server opened it."),
    (MIGRATION_LAST, Measure::Gauge, "When the last of them was done, in seconds since 1970."),
    (MIGRATION_TOOK, Measure::Gauge, "Seconds that the last of them took."),
    (BACKUPS, Measure::Counter, "Backups made by the clock, by outcome."),
    (BACKUP_LAST_SUCCESS, Measure::Gauge, "When the last good backup was begun, in seconds since 1970."),
    (BACKUP_LAST_BYTES, Measure::Gauge, "Size of the last good backup."),
    (RULE_OVERRIDES, Measure::Gauge, "Rules in data that are in force."),
    (RULE_OVERRIDES_BROKEN, Measure::Gauge, "Rules in data that cannot be read: they let nobody do more."),
    (LIVE_CONNECTIONS, Measure::Gauge, "Sockets and streams of events that listen."),
    (
        LIVE_SUBSCRIPTIONS,
        Measure::Gauge,
        "Subscriptions, by how a change finds them: by keys, by keys and a read, or by asking at every change.",
    ),
    (LIVE_QUEUE_DEPTH, Measure::Gauge, "Frames that wait for the slowest listener."),
    (LIVE_CHANGES, Measure::Counter, "Lines of the change log that were looked at for listeners."),
    (LIVE_EVENTS, Measure::Counter, "Changes that were put on their way to a listener."),
    (LIVE_LAGGED, Measure::Counter, "Subscriptions that ended because their listener was too slow."),
    (
        LIVE_LAG,
        Measure::Histogram,
        "Seconds from the clock of the request that made a change to finding it in the log.",
    ),
    (LIVE_SEND, Measure::Histogram, "Seconds from finding a change in the log to having written its frame."),
    (JOBS, Measure::Counter, "Attempts of jobs that ended, by name and outcome."),
    (JOB_SECONDS, Measure::Histogram, "Seconds of an attempt, by name."),
    (JOB_WAIT, Measure::Histogram, "Seconds from when a job could run to when it was begun, by name."),
    (JOBS_RUNNING, Measure::Gauge, "Jobs that run, by name."),
    (JOB_CLAIMS, Measure::Counter, "Looks for jobs, by whether there were some."),
    (JOBS_RESCUED, Measure::Counter, "Jobs taken back from workers that were lost."),
    (TRACE_SPANS, Measure::Counter, "Steps of traces for a collector, by outcome: exported or dropped."),
    (SAML_REFUSED, Measure::Counter, "Answers of SAML that were not believed, by provider and reason."),
    (SIGN_INS, Measure::Counter, "Sign-ins, by method and outcome."),
    (REFRESHES, Measure::Counter, "Refreshes of sessions, by outcome."),
    (THROTTLED, Measure::Counter, "Attempts refused because too many had failed before."),
    (PASSWORD_SECONDS, Measure::Histogram, "Seconds that a hash of a password took."),
    (PASSWORD_WAIT, Measure::Histogram, "Seconds that a hash of a password waited before it was begun."),
    (PASSWORD_QUEUE, Measure::Gauge, "Hashes of passwords that wait."),
    (PASSWORD_REFUSED, Measure::Counter, "Hashes of passwords refused because too many waited."),
    (CALLERS, Measure::Gauge, "Callers in memory: users with session and tenant."),
    (CALLER_READS, Measure::Counter, "Callers that were read from the database."),
    (PUSH, Measure::Counter, "Messages to devices, by platform and outcome."),
    (FLAGS_READS, Measure::Counter, "Times that flags and settings were read anew, by outcome."),
    (
        PROVIDER_SIGN_INS,
        Measure::Counter,
        "Sign-ins by providers of identities, by provider and outcome: done, or the key of what refused them.",
    ),
];

/// Upper bounds in seconds: from a point read out of memory to the default deadline.
const DURATION_BUCKETS_S: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Everything measured so far, as Prometheus reads it.
pub(crate) fn render(engine: &Engine) -> String {
    record(engine);
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

fn record(engine: &Engine) {
    let migrated = engine.migrated();
    metrics::gauge!(MIGRATIONS).set(migrated.files as f64);
    if let Some(finished) = migrated.finished {
        metrics::gauge!(MIGRATION_LAST).set(finished.0 as f64 / 1e6);
        metrics::gauge!(MIGRATION_TOOK).set(migrated.took.as_secs_f64());
    }
    metrics::gauge!(CALLERS).set(engine.callers_kept() as f64);
    let counted = engine.store().metrics();
    metrics::gauge!(STORE_WRITE_QUEUE).set(counted.write_queue as f64);
    metrics::gauge!(STORE_READ_QUEUE).set(counted.read_queue as f64);
    let counters = [
        (STORE_JOBS, counted.jobs),
        (STORE_COMMITS, counted.commits),
        (STORE_COMMIT_US, counted.commit_us_total),
        (STORE_RERUNS, counted.reruns),
        (STORE_INLINE_READS, counted.inline_reads),
        (STORE_POOL_READS, counted.pool_reads),
        (STORE_OVERRUNS, counted.overruns),
        (STORE_FOREIGN_CHANGES, counted.foreign_changes),
        (STORE_REPLICA_READS, counted.replica_reads),
        (STORE_REPLICA_FALLBACKS, counted.replica_fallbacks),
    ];
    for (name, count) in counters {
        metrics::counter!(name).absolute(count);
    }
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
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS_S)
                .expect("the list of buckets is not empty")
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            describe();
            Some(handle)
        })
        .as_ref()
}

/// Seconds from finding a change in the log to having written its frame, looked up once.
pub(crate) fn live_send() -> &'static Histogram {
    static SEND: OnceLock<Histogram> = OnceLock::new();
    SEND.get_or_init(|| {
        recorder();
        metrics::histogram!(LIVE_SEND)
    })
}

/// What every request is counted in, looked up once: finding a metric by its labels costs as much as reading a row.
pub(crate) struct Meters {
    /// Requests being worked on.
    pub(crate) in_flight: Gauge,
    requests: RwLock<Vec<RequestMeter>>,
}

/// The requests of one method, route and status. There are few of these, so a list is the fastest map.
struct RequestMeter {
    of: (&'static str, Box<str>, u16),
    count: Counter,
    duration: Histogram,
}

/// The meters of this process, once it counts.
pub(crate) fn meters() -> &'static Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(|| {
        recorder();
        Meters { in_flight: metrics::gauge!(IN_FLIGHT), requests: RwLock::default() }
    })
}

impl Meters {
    /// Counts a request that has ended.
    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let is_of = |meter: &RequestMeter| {
            let (known_method, known_route, known_status) = &meter.of;
            (*known_method, &**known_route, *known_status) == (method, route, status)
        };
        if let Some(meter) = self.requests.read().iter().find(|meter| is_of(meter)) {
            return meter.note(took);
        }
        // Routes are those of the table and of plugins: no client makes one up.
        let label = route.to_owned();
        let meter = RequestMeter {
            of: (method, route.into(), status),
            count: metrics::counter!(REQUESTS, "method" => method, "route" => label.clone(), "status" => status.to_string()),
            duration: metrics::histogram!(DURATION, "method" => method, "route" => label),
        };
        meter.note(took);
        let mut requests = self.requests.write();
        // Another request may have been the first of its kind meanwhile.
        if !requests.iter().any(is_of) {
            requests.push(meter);
        }
    }
}

impl RequestMeter {
    fn note(&self, took: Duration) {
        self.count.increment(1);
        self.duration.record(took.as_secs_f64());
    }
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
