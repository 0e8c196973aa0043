//! Every setting there is: name, default, words and how its text is read, in one table.
//!
//! The table yields the command line's flags, the environment's variables, what the files may say, the listing of
//! `mainstay settings` and the settings page of the documentation. A setting that is not here does not exist.

mod capabilities;
mod named;
mod security;
#[cfg(test)]
mod tests;

use std::time::Duration;

use mainstay_jobs as jobs;
use mainstay_store::DatabaseUrl;
use mainstay_trace::Target;

use super::parse::{bytes, count, duration, is_origin, list, size, yes};
use super::setting::Setting;

pub(crate) use named::NAMED;

/// The settings, in the order in which they are listed.
pub(crate) const SETTINGS: &[Setting] =
    &joined::<{ CORE.len() + capabilities::SETTINGS.len() }>(CORE, capabilities::SETTINGS);

/// Those of what every app has, and of what stands between it and the network.
const CORE: &[Setting] = &joined::<{ OWN.len() + security::SETTINGS.len() }>(OWN, security::SETTINGS);

const fn joined<const N: usize>(first: &[Setting], second: &[Setting]) -> [Setting; N] {
    let mut all = [first[0]; N];
    let mut place = 0;
    while place < N {
        all[place] = if place < first.len() { first[place] } else { second[place - first.len()] };
        place += 1;
    }
    all
}

/// Those of what every app has.
const OWN: &[Setting] = &[
    Setting {
        name: "data.dir",
        flag: "data",
        placeholder: "DIR",
        default: "",
        help: "Folder of the embedded database, of files and of the generated secret; APP/data unless said.",
        secret: false,
        apply: |config, text| {
            config.data_dir = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "database.url",
        flag: "database",
        placeholder: "URL",
        default: "",
        help: "Where the data is: sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE with sslmode= and \
               sslrootcert= as libpq reads them; DATA/mainstay.db unless said.",
        secret: true,
        apply: |config, text| {
            // What is wrong with it could tell a password, so it is not repeated.
            if text.parse::<DatabaseUrl>().is_err() {
                return Err("a database URL, such as sqlite:data/mainstay.db".to_owned());
            }
            config.database_url = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "database.synchronous",
        flag: "database-synchronous",
        placeholder: "full|normal",
        default: "full",
        help: "full: an acknowledged write survives a power cut. normal: it survives a crash of the server, \
               but the last moments before a power cut may be lost; writes get faster.",
        secret: false,
        apply: |config, text| {
            config.synchronous_full = match text {
                "full" => true,
                "normal" => false,
                _ => return Err("full or normal".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "database.mmap",
        flag: "database-mmap",
        placeholder: "BYTES",
        default: "0",
        help: "SQLite: so much of the file is mapped into memory, where reads need not copy it. It counts as memory of the process, \
               once for each connection, and a fault of the disk is then the end of the process instead of an error.",
        secret: false,
        apply: |config, text| {
            config.mmap_bytes = bytes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "database.readers",
        flag: "database-readers",
        placeholder: "N",
        default: "0",
        help: "Connections for reads that take long; 0: as many as the machine has cores, at least 2, at most 16.",
        secret: false,
        apply: |config, text| {
            config.readers = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "database.shared_readers",
        flag: "database-shared-readers",
        placeholder: "N",
        default: "0",
        help: "PostgreSQL: connections that all short reads share; 0: as many as the machine has cores, \
               at least 2, at most 4.",
        secret: false,
        apply: |config, text| {
            config.shared_readers = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "database.writers",
        flag: "database-writers",
        placeholder: "N",
        default: "16",
        help: "PostgreSQL: connections that write, one transaction at a time on each.",
        secret: false,
        apply: |config, text| {
            config.writers = size(text)?;
            if config.writers == 0 {
                return Err("at least 1".to_owned());
            }
            Ok(())
        },
    },
    Setting {
        name: "database.connect_timeout",
        flag: "database-connect-timeout",
        placeholder: "DURATION",
        default: "5s",
        help: "PostgreSQL: how long connecting may take before the database counts as away.",
        secret: false,
        apply: |config, text| {
            config.connect_timeout = at_least_one_ms(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "database.pgbouncer",
        flag: "database-pgbouncer",
        placeholder: "yes|no",
        default: "no",
        help: "yes: database.url leads to PgBouncer, or another pooler, in transaction mode. Then nothing is kept on a \
               connection, prepared statements included.",
        secret: false,
        apply: |config, text| {
            config.pgbouncer = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "database.direct_url",
        flag: "database-direct",
        placeholder: "URL",
        default: "",
        help: "PostgreSQL: a way to the same database past the pooler, for changing tables and for hearing of other \
               nodes' changes at once rather than within a second; database.url unless said.",
        secret: true,
        apply: |config, text| {
            config.direct_url = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "database.replica_url",
        flag: "database-replica",
        placeholder: "URL",
        default: "",
        help: "PostgreSQL: a standby that streams from the database, for reads that may be a little old. Whoever has written \
               sees that at once all the same; when the standby is away or too far behind, the database answers.",
        secret: true,
        apply: |config, text| {
            config.replica_url = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "database.replica_age",
        flag: "database-replica-age",
        placeholder: "DURATION",
        default: "1s",
        help: "PostgreSQL: how old what is read from database.replica_url may be.",
        secret: false,
        apply: |config, text| {
            config.replica_age = at_least_one_ms(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "http.listen",
        flag: "listen",
        placeholder: "ADDRESS:PORT",
        default: "127.0.0.1:4040",
        help: "Where the server listens; port 0 takes a free one.",
        secret: false,
        apply: |config, text| {
            config.listen = text.parse().map_err(|_| "an address with a port: 127.0.0.1:4040".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "http.body_limit",
        flag: "http-body-limit",
        placeholder: "BYTES",
        default: "8 MiB",
        help: "Largest body of a request.",
        secret: false,
        apply: |config, text| {
            config.body_limit_bytes =
                usize::try_from(bytes(text)?).map_err(|_| "a smaller size".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "http.timeout",
        flag: "http-timeout",
        placeholder: "DURATION",
        default: "30s",
        help: "How long a request may take before it is given up.",
        secret: false,
        apply: |config, text| {
            config.timeout = at_least_one_ms(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "http.shutdown_timeout",
        flag: "http-shutdown-timeout",
        placeholder: "DURATION",
        default: "30s",
        help: "How long running requests may take to finish after SIGTERM.",
        secret: false,
        apply: |config, text| {
            config.shutdown_timeout = duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "http.max_requests",
        flag: "http-max-requests",
        placeholder: "N",
        default: "1024",
        help: "Requests worked on at a time; those beyond are answered 503 at once.",
        secret: false,
        apply: |config, text| {
            config.max_requests = size(text)?;
            if config.max_requests == 0 {
                return Err("at least 1".to_owned());
            }
            Ok(())
        },
    },
    Setting {
        name: "http.cors_origins",
        flag: "http-cors-origins",
        placeholder: "ORIGIN,…",
        default: "",
        help: "Origins whose pages may call the server from a browser: https://app.example.com. None: only its own.",
        secret: false,
        apply: |config, text| {
            config.cors_origins = list(text);
            match config.cors_origins.iter().find(|origin| !is_origin(origin)) {
                Some(origin) => Err(format!("origins such as https://app.example.com, not {origin:?}")),
                None => Ok(()),
            }
        },
    },
    Setting {
        name: "http.trusted_proxies",
        flag: "http-trusted-proxies",
        placeholder: "NETWORK,…",
        default: "",
        help: "Proxies whose X-Forwarded-For says where a request comes from: 10.0.0.0/8, ::1. None: the other end of the connection.",
        secret: false,
        apply: |config, text| {
            let networks = list(text).iter().map(|network| network.parse()).collect::<Result<Vec<_>, _>>();
            config.trusted_proxies =
                networks.map_err(|error: mainstay_http::NetworkError| error.to_string())?;
            Ok(())
        },
    },
    Setting {
        name: "http.url",
        flag: "http-url",
        placeholder: "URL",
        default: "",
        help: "Where people reach the app, for links in mail: https://app.example.com. Unless said, where the server listens.",
        secret: false,
        apply: |config, text| {
            if !is_origin(text) {
                return Err("an origin such as https://app.example.com".to_owned());
            }
            config.url = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "auth.secret",
        flag: "auth-secret",
        placeholder: "TEXT",
        default: "",
        help: "Signs access tokens; at least 32 characters, the same on every node. \
               Unless said, one is made and kept in DATA/secret.key.",
        secret: true,
        apply: |config, text| {
            if text.len() < 32 {
                return Err("at least 32 characters".to_owned());
            }
            config.auth_secret = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "limits.depth",
        flag: "limits-depth",
        placeholder: "N",
        default: "12",
        help: "Levels of nesting in a query.",
        secret: false,
        apply: |config, text| {
            config.limit_depth = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.parts",
        flag: "limits-parts",
        placeholder: "N",
        default: "1000",
        help: "Parts in a query, nested ones included; each row of an array to create is one.",
        secret: false,
        apply: |config, text| {
            config.limit_parts = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.rows",
        flag: "limits-rows",
        placeholder: "N",
        default: "10000",
        help: "Rows that a request may read or touch, nested ones included.",
        secret: false,
        apply: |config, text| {
            config.limit_rows = count(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.bytes",
        flag: "limits-bytes",
        placeholder: "BYTES",
        default: "32 MiB",
        help: "Largest answer.",
        secret: false,
        apply: |config, text| {
            config.limit_bytes = bytes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.page",
        flag: "limits-page",
        placeholder: "N",
        default: "100",
        help: "Rows of a list that asks for no limit.",
        secret: false,
        apply: |config, text| {
            config.limit_page = count(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.page_max",
        flag: "limits-page-max",
        placeholder: "N",
        default: "1000",
        help: "Largest limit that a list may ask for.",
        secret: false,
        apply: |config, text| {
            config.limit_page_max = count(text)?;
            Ok(())
        },
    },
    Setting {
        name: "limits.hook",
        flag: "limits-hook",
        placeholder: "TIME",
        default: "5s",
        help: "Longest time that one hook of a plugin may take. On SQLite other writers wait for it.",
        secret: false,
        apply: |config, text| {
            config.limit_hook = duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "backup.schedule",
        flag: "backup-schedule",
        placeholder: "CRON",
        default: "",
        help: "When the server makes backups by itself, as a cron line: \"30 3 * * *\" is half past three each night. \
               Never unless said.",
        secret: false,
        apply: |config, text| {
            jobs::cron(text)?;
            config.backup_schedule = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "backup.time_zone",
        flag: "backup-time-zone",
        placeholder: "ZONE",
        default: "UTC",
        help: "The time zone whose clock backup.schedule goes by: Europe/Amsterdam.",
        secret: false,
        apply: |config, text| {
            jobs::zone(text)?;
            config.backup_time_zone = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "backup.directory",
        flag: "backup-directory",
        placeholder: "DIR",
        default: "",
        help: "Folder of the backups that the server makes, best on another disk; DATA/backups unless said.",
        secret: false,
        apply: |config, text| {
            if text.is_empty() {
                return Err("a folder".to_owned());
            }
            config.backup_directory = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "backup.keep",
        flag: "backup-keep",
        placeholder: "N",
        default: "14",
        help: "How many of the backups that the server makes are kept, the newest.",
        secret: false,
        apply: |config, text| {
            config.backup_keep = size(text)?;
            if config.backup_keep == 0 {
                return Err("at least 1".to_owned());
            }
            Ok(())
        },
    },
    Setting {
        name: "jobs.work",
        flag: "jobs-work",
        placeholder: "true|false",
        default: "true",
        help: "Whether `mainstay serve` runs jobs; `mainstay work` always does.",
        secret: false,
        apply: |config, text| {
            config.jobs_work = match text {
                "true" => true,
                "false" => false,
                _ => return Err("true or false".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "jobs.concurrency",
        flag: "jobs-concurrency",
        placeholder: "N",
        default: "32",
        help: "Jobs that one process runs at a time.",
        secret: false,
        apply: |config, text| {
            config.jobs_concurrency = size(text)?.max(1);
            Ok(())
        },
    },
    Setting {
        name: "jobs.only",
        flag: "jobs-only",
        placeholder: "NAMES",
        default: "",
        help: "Names of the jobs that this process runs, separated by commas; mail.* is every name that begins with mail. All unless said.",
        secret: false,
        apply: |config, text| {
            config.jobs_only = list(text);
            Ok(())
        },
    },
    Setting {
        name: "jobs.except",
        flag: "jobs-except",
        placeholder: "NAMES",
        default: "",
        help: "Names of jobs that this process leaves to others.",
        secret: false,
        apply: |config, text| {
            config.jobs_except = list(text);
            Ok(())
        },
    },
    Setting {
        name: "jobs.keep_done",
        flag: "jobs-keep-done",
        placeholder: "TIME",
        default: "24h",
        help: "How long jobs that were done are kept.",
        secret: false,
        apply: |config, text| {
            config.jobs_keep_done = duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "jobs.keep_dead",
        flag: "jobs-keep-dead",
        placeholder: "TIME",
        default: "30d",
        help: "How long jobs that are dead or were cancelled are kept.",
        secret: false,
        apply: |config, text| {
            config.jobs_keep_dead = duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "live.rows",
        flag: "live-rows",
        placeholder: "N",
        default: "10000",
        help: "Rows that one subscription may hold.",
        secret: false,
        apply: |config, text| {
            config.live.rows = count(text)?;
            Ok(())
        },
    },
    Setting {
        name: "live.per_connection",
        flag: "live-per-connection",
        placeholder: "N",
        default: "200",
        help: "Subscriptions of one socket.",
        secret: false,
        apply: |config, text| {
            config.live.per_connection = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "live.per_user",
        flag: "live-per-user",
        placeholder: "N",
        default: "2000",
        help: "Subscriptions of one user on all sockets of this server.",
        secret: false,
        apply: |config, text| {
            config.live.per_user = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "live.queue_frames",
        flag: "live-queue-frames",
        placeholder: "N",
        default: "4096",
        help: "Changes that may wait for one socket; one more, and the subscription is told to begin again from there.",
        secret: false,
        apply: |config, text| {
            config.live.queue_frames = size(text)?.max(1);
            Ok(())
        },
    },
    Setting {
        name: "live.queue_bytes",
        flag: "live-queue-bytes",
        placeholder: "BYTES",
        default: "4 MiB",
        help: "Bytes of the changes that may wait for one socket.",
        secret: false,
        apply: |config, text| {
            config.live.queue_bytes =
                usize::try_from(bytes(text)?).map_err(|_| "a smaller size".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "live.presence_lease",
        flag: "live-presence-lease",
        placeholder: "DURATION",
        default: "30s",
        help: "How long those who were connected to a server that has died are still in `Presence`.",
        secret: false,
        apply: |config, text| {
            config.live.presence_lease = duration(text)?.max(std::time::Duration::from_secs(1));
            Ok(())
        },
    },
    Setting {
        name: "log.level",
        flag: "log-level",
        placeholder: "LEVEL",
        default: "info",
        help: "error, warn, info, debug or trace; or a filter: info,mainstay_engine=debug.",
        secret: false,
        apply: |config, text| {
            if tracing_subscriber::EnvFilter::try_new(text).is_err() {
                return Err("a level (error, warn, info, debug, trace) or a filter".to_owned());
            }
            config.log_level = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "log.format",
        flag: "log-format",
        placeholder: "text|json",
        default: "text",
        help: "How log lines look.",
        secret: false,
        apply: |config, text| {
            config.log_json = match text {
                "text" => false,
                "json" => true,
                _ => return Err("text or json".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "otlp.endpoint",
        flag: "otlp-endpoint",
        placeholder: "URL",
        default: "",
        help: "A collector of OpenTelemetry that traces are sent to, over HTTP: http://127.0.0.1:4318; /v1/traces is added to it. \
               Unless said, no traces are kept.",
        secret: false,
        apply: |config, text| {
            Target::parse(text, "").map_err(|_| "a URL such as http://127.0.0.1:4318".to_owned())?;
            config.otlp_endpoint = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "otlp.headers",
        flag: "otlp-headers",
        placeholder: "NAME=VALUE,…",
        default: "",
        help: "Headers that the collector wants with them: authorization=Bearer …",
        secret: true,
        apply: |config, text| {
            Target::parse("http://collector", text).map_err(|_| "headers such as name=value".to_owned())?;
            config.otlp_headers = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "otlp.sample",
        flag: "otlp-sample",
        placeholder: "SHARE",
        default: "1",
        help: "The share of the traces that begin here which is kept, from 0 to 1. Whether another trace is kept, \
               whoever began it has said in traceparent.",
        secret: false,
        apply: |config, text| {
            let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            config.otlp_sample = share.ok_or_else(|| "a number from 0 to 1".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "otlp.service",
        flag: "otlp-service",
        placeholder: "NAME",
        default: "",
        help: "Under which name the collector knows the app; that of its folder unless said.",
        secret: false,
        apply: |config, text| {
            if text.is_empty() {
                return Err("a name".to_owned());
            }
            config.otlp_service = Some(text.to_owned());
            Ok(())
        },
    },
];

/// A timeout of zero would refuse every request.
fn at_least_one_ms(given: Duration) -> Result<Duration, String> {
    if given < Duration::from_millis(1) { Err("at least 1ms".to_owned()) } else { Ok(given) }
}
