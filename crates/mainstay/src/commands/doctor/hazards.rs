//! Settings that weaken what protects an app: each with a stable name, what may come of it, and what to set instead.
//!
//! They are choices, not faults: an app runs with them. Names are for scripts and are never changed. Elsewhere than in production and its like
//! only what reaches beyond the machine counts.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay_lang::schema::{Operation, Schema};

use crate::settings::Config;

/// Something that weakens the app.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hazard {
    /// Stable.
    pub(super) name: &'static str,
    /// What may come of it, and what to do.
    pub(super) words: String,
}

type Look = fn(&Config, &Schema) -> Option<String>;

/// The strength of a password's hash: memory in KiB times passes. What OWASP takes for equal lies above it.
const HASH_MIN: u64 = 35_000;
const HASH_MEMORY_MIN: u32 = 7 * 1024;
const ACCESS_MAX: Duration = Duration::from_secs(3600);
const IDLE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);

/// Every one there is, by name.
const HAZARDS: &[(&str, Look)] = &[
    ("environment.development", |config, _| {
        let is_open = config.is_development() && !config.listen.ip().is_loopback();
        is_open.then(|| {
            format!(
                "{} is reached by others, and in development tables change by themselves, mail is shown to all and `?explain` shows SQL: say --env production",
                config.listen
            )
        })
    }),
    ("tls.off", |config, _| {
        let is_open =
            !config.is_tls() && !config.listen.ip().is_loopback() && config.trusted_proxies.is_empty();
        is_open.then(|| {
            "passwords and tokens cross the network as they are: set http.tls.cert or http.acme.domains, or name the proxy that speaks TLS in http.trusted_proxies".to_owned()
        })
    }),
    ("tls.hsts", |config, _| {
        let is_off = config.is_tls() && config.security.headers.hsts.is_zero();
        is_off.then(|| "browsers may be led to come without TLS: set http.hsts".to_owned())
    }),
    ("url.plain", |config, _| {
        let url = config.url.as_ref()?;
        url.starts_with("http://").then(|| {
            format!("cookies are sent without TLS as well, and links in mail lead there: {url} should begin with https://")
        })
    }),
    ("cors.plain", |config, _| {
        let is_plain = |origin: &&String| origin.starts_with("http://") && !is_local(origin);
        let origin = config.cors_origins.iter().find(is_plain)?;
        Some(format!(
            "whoever is on the way to {origin} may put a script of theirs into its pages, which may ask here"
        ))
    }),
    ("proxies.all", |config, _| {
        let is_all = config.trusted_proxies.iter().any(|network| network.is_all());
        is_all.then(|| "whoever writes X-Forwarded-For is whoever they like, for limits and sign-in alike: name your proxies alone in http.trusted_proxies".to_owned())
    }),
    ("proxies.none", |config, _| {
        let is_behind = config.listen.ip().is_loopback()
            && !config.is_tls()
            && config.trusted_proxies.is_empty()
            && config.url.as_ref().is_some_and(|url| url.starts_with("https://"));
        is_behind.then(|| {
            "a proxy speaks TLS, and all who come by it are one address: name it in http.trusted_proxies"
                .to_owned()
        })
    }),
    ("secret.file", |config, _| {
        let is_shared = is_postgres(config) && config.auth_secret.is_none();
        is_shared.then(|| "each server makes a secret of its own, and takes the others' tokens for forged: set auth.secret, the same on all".to_owned())
    }),
    ("log.debug", |config, _| {
        let level = config.log_level.to_ascii_lowercase();
        let is_debug = level.contains("debug") || level.contains("trace");
        is_debug.then(|| "the log tells paths and steps of every request: set log.level to info".to_owned())
    }),
    ("rules.open_writes", |_, schema| {
        let tables = open_writes(schema);
        (!tables.is_empty()).then(|| format!("anybody may write without signing in: {}", tables.join(", ")))
    }),
    ("limits.off", |config, _| {
        config
            .security
            .rates
            .is_empty()
            .then(|| "nobody is slowed down, at signing in neither: set http.rate_limits".to_owned())
    }),
    ("limits.data", |config, _| {
        let post = axum::http::Method::POST;
        let is_counted = config.security.rates.iter().any(|rate| rate.counts(&post, "/query"));
        (!config.security.rates.is_empty() && !is_counted)
            .then(|| "one client may ask for data as often as it likes: add a limit such as `user 600/1m` to http.rate_limits".to_owned())
    }),
    ("limits.connections", |config, _| {
        (config.max_connections_per_client == 0)
            .then(|| "one client may take every connection: set http.max_connections_per_client".to_owned())
    }),
    ("headers.frames", |config, _| {
        config.security.headers.frames.is_empty().then(|| {
            "any site may show pages in a frame and lead clicks astray: set http.frames to deny or same"
                .to_owned()
        })
    }),
    ("headers.policy", |config, _| {
        config
            .security
            .headers
            .page_policy
            .is_empty()
            .then(|| "pages say nothing of what they may load: set http.page_policy".to_owned())
    }),
    ("password.hash", |config, _| {
        let password = &config.identity.password;
        let strength = u64::from(password.memory_kib) * u64::from(password.passes);
        (strength < HASH_MIN || password.memory_kib < HASH_MEMORY_MIN).then(|| {
            format!(
                "hashes with {} KiB and {} passes are guessed fast from a copy of the database: leave identity.password_memory and identity.password_passes as they are",
                password.memory_kib, password.passes
            )
        })
    }),
    ("password.length", |config, _| {
        let length = config.identity.password.length_min;
        (length < 12).then(|| {
            format!(
                "passwords of {length} characters are guessed: set identity.password_length to 12 or more"
            )
        })
    }),
    ("tokens.long", |config, _| {
        (config.identity.access_ttl > ACCESS_MAX).then(|| {
            "an access token that was stolen is good for longer than an hour: shorten identity.access"
                .to_owned()
        })
    }),
    ("sessions.long", |config, _| {
        (config.identity.idle_max > IDLE_MAX).then(|| {
            "a device that was lost stays signed in for more than three months: shorten identity.idle"
                .to_owned()
        })
    }),
    ("accounts.unverified", |config, _| {
        (!config.identity.verified_only).then(|| {
            "anybody registers with another's address, and is told whether it has an account: set identity.verified to yes".to_owned()
        })
    }),
    ("database.plain", |config, _| {
        [&config.database_url, &config.direct_url, &config.replica_url].into_iter().flatten().find_map(|url| {
            is_plain_database(url).then(|| {
                "rows and the password cross the network as they are: add sslmode=verify-full to database.url and its like".to_owned()
            })
        })
    }),
    ("mail.plain", |config, _| {
        let is_plain = config.mail_host.as_ref().is_some_and(|host| !is_local(host))
            && config.mail_tls == mainstay_mail::Tls::None;
        is_plain
            .then(|| "links to sign in by cross the network as they are: set mail.tls to starttls".to_owned())
    }),
    ("traces.plain", |config, _| {
        let endpoint = config.otlp_endpoint.as_ref()?;
        (endpoint.starts_with("http://") && !is_local(endpoint)).then(|| {
            "paths of requests cross the network as they are: give otlp.endpoint by https://".to_owned()
        })
    }),
    ("backups.off", |config, _| {
        config
            .backup_schedule
            .is_none()
            .then(|| "nothing makes backups here: set backup.schedule, unless something else does".to_owned())
    }),
];

/// What weakens an app under its settings.
pub(super) fn of(config: &Config, schema: &Schema) -> Vec<Hazard> {
    let counts = |name: &str| !config.is_development() || name == "environment.development";
    let looked = HAZARDS.iter().filter(|(name, _)| counts(name));
    looked.filter_map(|(name, look)| Some(Hazard { name, words: look(config, schema)? })).collect()
}

/// Tables that anybody may write, but those that are for nothing else than to hear from strangers: they let nobody read.
fn open_writes(schema: &Schema) -> Vec<String> {
    let is_write = |operation: &Operation| {
        matches!(operation, Operation::Create | Operation::Update | Operation::Delete)
    };
    let is_open =
        |rule: &mainstay_lang::schema::Rule| rule.condition.is_none() && rule.operations.iter().any(is_write);
    let tables = schema.tables.iter().filter(|table| table.rules.iter().any(is_open));
    tables.map(|table| table.name.clone()).collect()
}

/// Whether a URL, an origin or a host is of this machine.
fn is_local(text: &str) -> bool {
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or(host);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.is_empty()
        || ["localhost", "127.", "[::1]"].iter().any(|own| host.starts_with(own))
        || host.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}

fn is_postgres(config: &Config) -> bool {
    config.database_url.as_ref().is_some_and(|url| url.starts_with("postgres"))
}

fn is_plain_database(url: &str) -> bool {
    let is_encrypted = ["require", "verify-ca", "verify-full"];
    // A folder stands for a socket of this machine.
    let is_socket = url.contains("host=/") || url.contains("@%2F") || url.contains("//%2F");
    url.starts_with("postgres")
        && !is_local(url)
        && !is_socket
        && !is_encrypted.iter().any(|mode| url.contains(&format!("sslmode={mode}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_lang::analyse::analyse;
    use mainstay_lang::schema::Schema;
    use mainstay_lang::source::Sources;

    use super::{HAZARDS, of};
    use crate::settings::{Config, load_words};

    fn schema(rule: &str) -> Schema {
        let mut sources = Sources::default();
        sources.add("app.stay", format!("table Note {{ text text, {rule} }}"));
        analyse(&sources).schema.unwrap()
    }

    const SAFE: &[&str] = &[
        "--env",
        "production",
        "--auth-secret",
        "hG7!kd93Lq0-zXw2vBn5_mRt8YpQs4Ue",
        "--tls-cert",
        "c.pem",
        "--tls-key",
        "k.pem",
        "--backup-schedule",
        "30 3 * * *",
        "--http-rate-limits",
        "address 600/1m, address 60/1m /auth/*",
    ];

    fn names(words: &[&str], rule: &str) -> BTreeSet<&'static str> {
        // What is set again stands in the place of what is set with care.
        let kept = SAFE.chunks(2).filter(|pair| !words.contains(&pair[0])).flatten();
        let words: Vec<&str> = kept.chain(words).copied().collect();
        let config: Config = load_words(&words);
        of(&config, &schema(rule)).into_iter().map(|hazard| hazard.name).collect()
    }

    #[test]
    fn an_app_that_is_set_with_care_has_none() {
        assert_eq!(names(&[], "allow read, allow create if signed_in"), BTreeSet::new());
    }

    #[test]
    fn each_is_found_where_it_is_and_nowhere_else() {
        let mut found = BTreeSet::new();
        let mut check = |words: &[&str], expect: &[&'static str]| {
            let names = names(words, "allow read");
            assert_eq!(names, expect.iter().copied().collect(), "{words:?}");
            found.extend(names);
        };
        check(&["--http-hsts", "0s"], &["tls.hsts"]);
        check(&["--http-url", "http://app.example"], &["url.plain"]);
        check(&["--http-cors-origins", "http://app.example"], &["cors.plain"]);
        check(&["--http-cors-origins", "http://localhost:5173,https://app.example"], &[]);
        check(&["--http-trusted-proxies", "10.0.0.0/8,0.0.0.0/0"], &["proxies.all"]);
        check(&["--http-trusted-proxies", "::/0"], &["proxies.all"]);
        check(&["--log-level", "info,mainstay_engine=debug"], &["log.debug"]);
        check(&["--http-rate-limits", ""], &["limits.off"]);
        check(&["--http-rate-limits", "address 60/1m /auth/*"], &["limits.data"]);
        check(&["--http-max-connections-per-client", "0"], &["limits.connections"]);
        check(&["--http-frames", "any"], &["headers.frames"]);
        check(&["--http-page-policy", ""], &["headers.policy"]);
        check(&["--identity-password-memory", "4096"], &["password.hash"]);
        check(&["--identity-password-passes", "1"], &["password.hash"]);
        check(&["--identity-password-memory", "12288", "--identity-password-passes", "3"], &[]);
        check(&["--identity-password-length", "6"], &["password.length"]);
        check(&["--identity-access", "2h"], &["tokens.long"]);
        check(&["--identity-idle", "180d"], &["sessions.long"]);
        check(&["--identity-verified", "no"], &["accounts.unverified"]);
        check(&["--database", "postgres://a:b@db.example/app"], &["database.plain"]);
        check(&["--database", "postgres://a:b@db.example/app?sslmode=verify-full"], &[]);
        check(&["--database", "postgres://a:b@127.0.0.1:5432/app"], &[]);
        check(&["--mail-host", "mail.example", "--mail-tls", "none"], &["mail.plain"]);
        check(&["--otlp-endpoint", "http://collector.example:4318"], &["traces.plain"]);
        // Those that ask for something not to be set.
        let without = |words: &[&str]| {
            of(&load_words(words), &schema("allow create")).into_iter().map(|hazard| hazard.name)
        };
        found.extend(without(&["--env", "production", "--listen", "0.0.0.0:80"]));
        found.extend(without(&["--env", "production", "--http-url", "https://app.example"]));
        found.extend(without(&["--env", "production", "--database", "postgres://ann@localhost/app"]));
        found.extend(without(&["--listen", "0.0.0.0:80"]));
        let all: BTreeSet<&str> = HAZARDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, all, "some were met by no test");
    }

    #[test]
    fn on_ones_own_machine_nothing_counts() {
        let found = of(&load_words(&[]), &schema("allow all"));
        assert_eq!(found, []);
    }

    #[test]
    fn the_page_of_security_lists_every_one_and_no_other() {
        let page = include_str!("../../../../../docs/src/security.md");
        let (_, rest) =
            page.split_once("| name | what it is about |\n|---|---|\n").expect("the page has their table");
        let rows = rest.lines().take_while(|line| line.starts_with('|'));
        let listed: Vec<&str> = rows.filter_map(|line| line.split('`').nth(1)).collect();
        let names: Vec<&str> = HAZARDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, names);
    }
}
